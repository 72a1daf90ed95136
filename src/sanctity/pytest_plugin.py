"""A plugin of pytest's that refuses to test a drifted environment, and has a fixture that proves that a function repeats.

It does nothing unless it is asked to, and imports nothing before. It is asked to look by ``--sanctity`` or by ``sanctity = check``
in pytest's configuration; docs/workplaces.md says more. The look is taken before anything is collected, once: in the process that
was started, and in none of xdist's workers. What is not clean is refused, whatever the reason, with 125, as `sanctity run` does it:
pytest's own codes say something about tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.errors import SanctityError
    from sanctity.model.drift import Comparison
    from sanctity.verbs.functions import FunctionRepeats, Prove

__all__: list[str] = []

#: As `sanctity run` and the guard end what they refuse.
_REFUSED = 125
_MODES = ("off", "check", "warn")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options on the command line and in the configuration."""
    group = parser.getgroup("sanctity", "the environment that the tests run in")
    group.addoption("--sanctity", action="store_true", help="refuse to test an environment that is not what its seal or lock says")
    group.addoption(
        "--sanctity-warn", action="store_true", help="look at the environment and say what is wrong, but test it all the same"
    )
    group.addoption(
        "--sanctity-reference",
        metavar="FILE",
        default=None,
        help="the seal or lock to compare with, else the project's own; means --sanctity",
    )
    parser.addini("sanctity", "whether to look at the environment before testing: check, warn or off", default="off")
    parser.addini("sanctity_reference", "the seal or lock to compare with, else the project's own", default="")
    parser.addini("sanctity_command", "a sanctity that lies outside of the environment, and looks at it", default="")
    parser.addini("sanctity_options", "further options of `sanctity verify`, such as --fast", type="args", default=[])
    parser.addini("sanctity_timeout", "how long a look may take, in seconds", default="600")
    parser.addini("sanctity_prove_runs", "how many runs the fixture prove varies where a test does not say", default="5")


def _mode(config: pytest.Config) -> str:
    """``off``, ``check`` or ``warn``. Raises UsageError."""
    if hasattr(config, "workerinput"):
        return "off"  # whoever started this worker has looked
    if config.getoption("--sanctity-warn"):
        return "warn"
    if config.getoption("--sanctity") or config.getoption("--sanctity-reference") is not None:
        return "check"
    mode = str(config.getini("sanctity")).strip()
    if mode not in _MODES:
        raise pytest.UsageError(f"sanctity = {mode}: it is one of {', '.join(_MODES)}")
    return mode


def pytest_configure(config: pytest.Config) -> None:
    """Have the rest take part only where it is asked to."""
    mode = _mode(config)
    if mode != "off":
        config.pluginmanager.register(_Looking(config, mode), "sanctity-looking")


@pytest.fixture
def prove(pytestconfig: pytest.Config) -> Prove:
    """Prove that a function gives the same again: ``prove(train, seed=1)``, as `sanctity.prove` does. Else the test fails."""
    usual = str(pytestconfig.getini("sanctity_prove_runs"))
    if not usual.isdecimal() or not int(usual):
        raise pytest.UsageError(f"sanctity_prove_runs = {usual}: it is a number of runs, 1 or more")

    def proving(function: Callable[..., object], /, *args: Any, **kwargs: Any) -> FunctionRepeats:
        __tracebackhide__ = True
        from sanctity.errors import SanctityError
        from sanctity.report.text import error_text
        from sanctity.verbs.functions import OPTIONS, prove_call

        options = {name: kwargs.pop(name) for name in OPTIONS if name in kwargs}
        try:
            found = prove_call(function, args, kwargs, options, usual=int(usual))
        except SanctityError as error:
            words = error_text(error).rstrip("\n")
        else:
            if found:
                return found
            words = f"{found.command[0]}: {found}"
        pytest.fail(words, pytrace=False)

    return proving


class _Looking:
    """What takes part in a run of pytest's that is to be looked at."""

    def __init__(self, config: pytest.Config, mode: str) -> None:
        self.mode = mode
        named = config.getoption("--sanctity-reference")
        self.reference = str(config.getini("sanctity_reference") if named is None else named)
        if named and not named.startswith("sha256:"):
            # What is named on the command line is named from where that was typed.
            self.reference = str(config.invocation_params.dir / named)
        self.root = str(config.rootpath)
        self.command = str(config.getini("sanctity_command"))
        self.options = tuple(map(str, config.getini("sanctity_options")))
        try:
            self.timeout = float(config.getini("sanctity_timeout"))
        except ValueError:
            raise pytest.UsageError("sanctity_timeout is not a number of seconds") from None
        self.line = ""
        self.text = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Look, and refuse what is not clean, before tests are collected and before workers are started."""
        found, words = self._look()
        from sanctity.model.drift import Comparison, Verdict
        from sanctity.report.text import comparison_text, error_text
        from sanctity.report.words import claim, plain

        if isinstance(found, Comparison):
            head = claim(found)
            said = " ".join(part for part in (head.word, head.env, head.middle, head.subject) if part) + head.tail
            digest = f", {found.fingerprint.digest}" if found.fingerprint is not None else ""
            self.line = plain(f"sanctity: {said}{digest} ({words})")
            self.text = comparison_text(found, "verify")
            clean = found.verdict is Verdict.CLEAN
            why = f"the environment is {found.verdict}"
        else:
            self.line = plain(f"sanctity: FAILED {found.code}: {found}")
            self.text = error_text(found)
            clean = False
            why = f"the environment could not be looked at ({found.code})"
        if clean:
            self.text = ""
        elif self.mode == "check":
            import sys

            sys.stderr.write(f"{self.text}\n")
            pytest.exit(f"sanctity: {why}, so nothing was tested", returncode=_REFUSED)

    def pytest_report_header(self) -> str:
        """One line with the verdict and the fingerprint."""
        return self.line

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The report again, where tests were run in spite of it."""
        if self.text:
            terminalreporter.section("sanctity", yellow=True)
            terminalreporter.write(self.text)
            terminalreporter.write_line("tested all the same, as --sanctity-warn asks")

    def _look(self) -> tuple[Comparison | SanctityError, str]:
        """What was found, and who looked."""
        import os
        import sys

        from sanctity.errors import SanctityError
        from sanctity.outside import find_outside, look_from_outside

        words = ""
        try:
            outside = find_outside(self.command, prefix=sys.prefix, cwd=self.root, search=os.environ.get("PATH", ""))
            words = outside.words
            found = look_from_outside(
                outside,
                prefix=sys.prefix,
                cwd=self.root,
                environ=os.environ,
                reference=self.reference,
                options=self.options,
                timeout=self.timeout,
            )
        except SanctityError as error:
            return error, words
        return found, words
