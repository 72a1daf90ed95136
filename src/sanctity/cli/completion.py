"""The command that prints what a shell needs to complete sanctity's verbs, options and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from sanctity.cli.common import write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

__all__ = ["complete_codes", "complete_places", "completion"]

#: What each placeholder of an argument or option lets a shell complete.
_PLACES: Final = {
    **dict.fromkeys(("FILE", "EXE", "REFERENCE", "REQUIREMENTS", "LOCK", "A", "B"), "file"),
    "DIR": "dir",
}


class _Place(click.types.StringParamType):
    """Text that names a file or folder; whether there is one is for the verb to say."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Whatever files or folders the shell finds."""
        from click.shell_completion import CompletionItem

        del ctx, param
        return [CompletionItem(incomplete, type=self.kind)]


def complete_places(commands: Iterable[click.Command]) -> None:
    """Let shells complete paths wherever a placeholder of *commands* stands for one."""
    for command in commands:
        for parameter in command.params:
            kind = _PLACES.get((parameter.metavar or "").strip("[]."))
            if kind and isinstance(parameter.type, click.types.StringParamType):
                parameter.type = _Place(kind)


def complete_codes(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The codes that begin with *incomplete*, each with what it means, for the shells that show that."""
    from click.shell_completion import CompletionItem

    from sanctity.pages import pages, summary

    return [CompletionItem(code, help=summary(code)) for code in pages() if code.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options and codes.

    It asks sanctity itself for each completion, so it need not be made anew for another version.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    script = made(context.find_root().command, {}, "sanctity", "_SANCTITY_COMPLETE")
    # The class's own `source` starts a bash to ask for its version; this prints the same text without.
    write(script.source_template % script.source_vars(), "")
