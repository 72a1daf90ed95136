"""One page a code: what it means, how it arises, what to do. `explain` prints them, and the documentation links them."""

from __future__ import annotations

import difflib
from importlib import resources

from sanctity.errors import UsageError

__all__ = ["page", "pages", "summary"]

_OF_DIFF = "diff-"
#: Changes that are themselves a reason to look.
_CHANGES = {"hashes": "hash-changed", "source": "source-changed", "down": "downgrade"}


def pages() -> tuple[str, ...]:
    """The codes that have a page, sorted."""
    folder = resources.files(__name__)
    return tuple(sorted(entry.name.removesuffix(".md") for entry in folder.iterdir() if entry.name.endswith(".md")))


def page(code: str) -> str:
    """The page of *code*; a rule of the SARIF of a difference (``diff-recent``) goes by the page of the reason that it is.

    Raises:
        UsageError: there is no such code; the hint names the nearest ones.
    """
    known = pages()
    if code.startswith(_OF_DIFF):
        bare = code.removeprefix(_OF_DIFF)
        named = _CHANGES.get(bare, bare)
        code = named if named in known else code
    if code not in known:
        near = difflib.get_close_matches(code, known, n=3, cutoff=0.7)
        hint = f"did you mean {', '.join(near)}?" if near else "`sanctity explain` lists the codes"
        raise UsageError("unknown-code", "there is no such code", where=code, hint=hint)
    return resources.files(__name__).joinpath(f"{code}.md").read_text("utf-8")


def summary(code: str) -> str:
    """The first sentence of the page of *code*, on one line."""
    paragraph = page(code).split("\n\n")[1].replace("\n", " ")
    return paragraph.partition(". ")[0].rstrip(".") + "."
