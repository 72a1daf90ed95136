"""What the guard's child does: look at the environment that a program runs in, compare it with the program's seal, and say so.

`main` runs under ``-I -S -B`` in a process that the base interpreter started with an empty environment, and to which nothing of the
environment but this package can be imported. It reads one request from standard input and writes one answer to standard output,
both lists of fields that each follow their length; whatever else is printed goes to standard error. `judge` is also what the guard
asks in process, at depth ``version``, where names and versions are not plainly the sealed ones.

The sealed policy and the sealed waivers judge, whatever the working tree says. The variables that the program was started with and
its numeric settings are judged too, since here there is a program.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see `guard`
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.errors import SanctityError
    from sanctity.model.drift import Comparison, Unchecked
    from sanctity.model.environment import Environment
    from sanctity.model.seal import Seal

__all__ = ["judge", "main"]

_LARGEST_REQUEST = 1 << 28
#: The longest report that is sent; people read no more of it.
_LONGEST_TEXT = 1 << 16
#: Memory that a child may take for its data. A look at 80,000 files takes a twentieth of it. Bytes.
_MOST_DATA = 4 << 30
_REFUSED = "REFUSED: this program does not go on; `sanctity verify {}` looks from outside, `sanctity explain CODE` says more\n"

#: Of the program: prefix, base prefix, the folder of the user's own packages (empty where it imports none of them), sys.path,
#: the variables that it was started with, and those of now.
Surroundings = tuple[str, str, str, tuple[str, ...], "Mapping[str, str]", "Mapping[str, str]"]


def judge(data: bytes, path: str, depth: str, surroundings: Surroundings) -> tuple[str, tuple[str, ...], str, str]:
    """Compare the environment that a program runs in with the seal *data*, read from *path*: verdict, codes, message and report.

    What can not be read or looked at is undecided; nothing is raised for what an environment or a seal may hold.
    """
    from sanctity.errors import SanctityError

    try:
        comparison = _compare(data, path, depth, surroundings)
    except SanctityError as error:
        return _as_error(error, path)
    return _as_result(comparison, path)


def _compare(data: bytes, path: str, depth: str, surroundings: Surroundings) -> Comparison:
    from time import monotonic

    started = monotonic()
    # What compares is imported while the files are read, so that the look begins at once.
    from sanctity.model.drift import Depth
    from sanctity.observe.environment import observe_environment

    prefix, _, user, _, variables, now = surroundings
    read: list[Seal] = []

    def prepare() -> Iterator[None]:
        """Read the seal while the files are read."""
        from sanctity.seals.document import parse_seal

        yield
        read.append(parse_seal(data, path))
        yield
        __import__("sanctity.compare.seal")
        yield
        __import__("sanctity.observe.platform")

    kind = Depth(depth)
    environment = observe_environment(prefix, depth=kind, clock=monotonic, meanwhile=prepare(), user_base=user)
    from dataclasses import replace
    from datetime import UTC, datetime

    from sanctity.compare.policy import apply_policy
    from sanctity.compare.seal import hold_to_seal
    from sanctity.compare.variables import compare_variables
    from sanctity.observe.variables import observe_variables

    seal = read[0]
    if kind is Depth.RECORD:
        from sanctity.observe.platform import observe_platform
        from sanctity.observe.view import View

        found, problems = observe_platform(View(""), environment, environ=now, workers=0, clock=monotonic)
        environment = replace(environment, platform=found, problems=tuple(sorted({*environment.problems, *problems})))
    comparison, _ = hold_to_seal(environment, seal, depth=kind, settings=True)
    comparison = replace(
        comparison,
        seconds=monotonic() - started,
        drifts=(*comparison.drifts, *compare_variables(observe_variables(variables, os.pathsep))),
        unchecked=(*comparison.unchecked, *_outside(environment, surroundings), *_own_code(prefix)),
    )
    return apply_policy(comparison, seal.policy, seal.waivers, digest=seal.policy_digest, today=datetime.now(UTC).date())


def _outside(environment: Environment, surroundings: Surroundings) -> Iterator[Unchecked]:
    """What else of sys.path brings in distributions: no seal of this environment speaks of them."""
    from sanctity.model.drift import Unchecked

    prefix, base, _, entries, _, _ = surroundings
    root = os.path.realpath(prefix)
    layout = environment.layout
    sites = {os.path.realpath(f"{prefix}/{site}") for site in layout.site}
    others = [other for other in (environment.system_site, environment.user_site) if other is not None]
    sites |= {os.path.realpath(f"{other.prefix}/{site}") for other in others for site in other.layout.site}
    for entry in dict.fromkeys(entries):
        if not os.path.isabs(entry):
            continue  # it is the working folder, where the program itself may be
        real = os.path.realpath(entry)
        inside = real in sites or (layout.virtual and (real == root or real.startswith(root.rstrip("/") + "/")))
        library = real.startswith(os.path.realpath(base).rstrip("/") + "/") and not real.endswith("-packages")
        if inside or library:
            continue
        names = sorted(_distributions_in(real))
        if names:
            some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            reason = f"it is on sys.path and holds {some}, of which the seal says nothing"
            yield Unchecked(code="outside-environment", what=entry, reason=reason, count=len(names), in_scope=True)


def _distributions_in(place: str) -> set[str]:
    """The distributions in the folder or zip *place*, but for this one."""
    try:
        names = os.listdir(place)
    except FileNotFoundError:
        return set()
    except NotADirectoryError:
        from zipfile import BadZipFile, ZipFile

        try:
            with ZipFile(place) as archive:
                names = [name.partition("/")[0] for name in archive.namelist()]
        except (OSError, BadZipFile, ValueError):
            return {"what could not be read"}
    except OSError:
        return {"what could not be read"}
    return {
        name.rpartition(".")[0] for name in names if name.lower().endswith(".dist-info") and not name.startswith(("sanctity-", "~"))
    }


def _own_code(prefix: str) -> Iterator[Unchecked]:
    """Who judged: code of the environment itself, where this package was imported from it."""
    from sanctity.model.drift import Unchecked

    if os.path.realpath(__file__).startswith(os.path.realpath(prefix).rstrip("/") + "/"):
        reason = "it is the environment's own, and who could change that could change this verdict"
        yield Unchecked(code="guard-own-code", what="the code of the guard", reason=reason)


def _as_error(error: SanctityError, path: str) -> tuple[str, tuple[str, ...], str, str]:
    from sanctity.report.text import error_text

    return "undecided", (error.code,), str(error), error_text(error) + _REFUSED.format(path)


def _as_result(comparison: Comparison, path: str) -> tuple[str, tuple[str, ...], str, str]:
    from sanctity.model.drift import Verdict
    from sanctity.report.text import comparison_text
    from sanctity.report.words import detail, plain

    text = comparison_text(comparison, "guard")
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT].rpartition("\n")[0] + "\n  and more: the report was cut here\n"
    if comparison.verdict is Verdict.CLEAN:
        return "clean", (), f"the environment is what {path} says", text
    gating = [drift for drift in comparison.by_weight() if drift.gating]
    blind = [item for item in comparison.unchecked if item.in_scope]
    codes = tuple(dict.fromkeys([str(drift.code) for drift in gating] + [item.code for item in blind]))
    if gating:
        first = gating[0]
        about = " ".join(filter(None, (str(first.code), first.distribution, first.path)))
        why = detail(first)
        words = f"{about}: {why}" if why else about
        more = len(gating) - 1
    else:
        words = f"{blind[0].code} {blind[0].what}: {blind[0].reason}"
        more = len(blind) - 1
    message = plain(f"{words}, and {more:,} more" if more else words)
    return str(comparison.verdict), codes, message, text + _REFUSED.format(path)


# -- the child --------------------------------------------------------------------------------------------------------------------


def _unframe(data: bytes) -> list[bytes]:
    fields = []
    at = 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        if end > len(data):
            raise SystemExit("the request was cut short")
        fields.append(data[at + 8 : end])
        at = end
    return fields


def _pairs(field: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in os.fsdecode(field).split("\0") if "=" in line)


def _limit(seconds: int) -> None:
    """Take limits upon this process and those it starts: it writes no file and no core, and ends on its own if nobody ends it."""
    import signal

    signal.alarm(seconds)
    try:
        import resource
    except ImportError:  # pragma: no cover - not on this platform
        return
    for name, most in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_CPU", seconds), ("RLIMIT_DATA", _MOST_DATA)):
        which = getattr(resource, name, None)
        if which is not None:
            _, hard = resource.getrlimit(which)
            most_now = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most_now, hard))


def main() -> None:
    """Answer the one request that standard input holds."""
    answer_fd = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    parts = []
    size = 0
    while part := os.read(0, 1 << 20):
        parts.append(part)
        size += len(part)
        if size > _LARGEST_REQUEST:
            raise SystemExit("the request is too long")
    fields = _unframe(b"".join(parts))
    if len(fields) != 10:
        raise SystemExit("this is no request")
    nonce, seconds, path, data, prefix, base, user, entries, started, now = fields
    _limit(int(seconds))
    surroundings = (
        os.fsdecode(prefix),
        os.fsdecode(base),
        os.fsdecode(user),
        tuple(os.fsdecode(entries).split("\0")),
        _pairs(started),
        _pairs(now),
    )
    verdict, codes, message, text = judge(data, os.fsdecode(path), "record", surroundings)
    answer = b"".join(
        len(field).to_bytes(8, "little") + field
        for field in (
            nonce,
            str(sys.hexversion).encode(),
            verdict.encode(),
            " ".join(codes).encode(),
            message.encode("utf-8", "backslashreplace"),
            text.encode("utf-8", "backslashreplace"),
        )
    )
    sent = 0
    while sent < len(answer):
        sent += os.write(answer_fd, answer[sent:])
