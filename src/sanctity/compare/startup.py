"""The start-up surface: what runs before the program's first line, and whether anybody answers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.compare.hooks import KNOWN_HOOKS, SEED_HOOKS, SEED_MODULES
from sanctity.model.drift import Code, Drift, Severity, Unchecked
from sanctity.model.environment import HookKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Distribution, Environment, Hook

__all__ = ["compare_interpreter", "compare_startup"]

_CODES: Final = {
    HookKind.PTH_CODE: Code.PTH_HOOK,
    HookKind.PTH_PATH: Code.PTH_HOOK,
    HookKind.START: Code.PTH_HOOK,
    HookKind.CUSTOMIZE: Code.CUSTOMIZE_HOOK,
    HookKind.PATH_FILE: Code.PTH_HOOK,
    HookKind.EDITABLE: Code.PTH_HOOK,
    HookKind.SYSTEM_SITE: Code.SYSTEM_SITE,
    HookKind.STDLIB_ZIP: Code.PATH_SHADOW,
}
_CLAIMABLE: Final = (HookKind.PTH_CODE, HookKind.PTH_PATH, HookKind.START, HookKind.CUSTOMIZE, HookKind.EDITABLE)


def compare_startup(environment: Environment, ownership: Ownership, seeds: AbstractSet[str]) -> Iterator[Drift]:
    """Hooks that a distribution claims are one note, however many; any other gates, but for known tools' by their digest.

    A claimed hook whose bytes differ from its RECORD is told as `file-altered`, with the other files. What a seed claims, no lock
    vouches for: it gates too, but for the one hook that setuptools is known to bring.
    """
    claimed: list[tuple[str, str, str]] = []
    for hook in environment.hooks:
        shown = ownership.shown(hook.path)
        owner = ownership.owners.get(hook.path)
        if owner is not None and hook.kind in _CLAIMABLE:
            editable = owner.origin is not None and owner.origin.editable
            if owner.key in seeds and hook.digest.hex() not in SEED_HOOKS:
                yield Drift(
                    code=_CODES[hook.kind],
                    distribution=owner.name,
                    version=owner.version,
                    path=shown,
                    actual=f"sha256:{hook.digest.hex()}",
                    message=f"runs at every start of Python; {owner.name} claims it, which is not known to, and no lock names it",
                )
            elif owner.key in seeds:
                yield from _seed_modules(ownership, hook, owner)
            elif not (editable and hook.kind in {HookKind.PTH_PATH, HookKind.EDITABLE}):
                claimed.append((owner.name, owner.version, shown))
            continue
        if hook.kind in _CLAIMABLE and hook.path in ownership.kept:
            claimed.append((ownership.kept[hook.path], "", shown))
            continue
        if hook.kind in _CLAIMABLE and hook.digest.hex() in KNOWN_HOOKS:
            continue
        actual = f"sha256:{hook.digest.hex()}" if hook.digest else ""
        yield Drift(code=_CODES[hook.kind], path=shown, actual=actual, message=_words(hook.kind, hook.effect))
    if claimed:
        others = ", ".join(f"{name} {shown}" for name, _, shown in claimed[1:])
        more = f"; so are {others}" if others else ""
        yield Drift(
            code=Code.PTH_HOOK,
            severity=Severity.NOTE,
            gating=False,
            distribution=claimed[0][0],
            version=claimed[0][1],
            path=claimed[0][2],
            count=len(claimed),
            message=f"runs at every start of Python; claimed, and as its RECORD states{more}",
        )


def _seed_modules(ownership: Ownership, hook: Hook, owner: Distribution) -> Iterator[Drift]:
    """The modules that setuptools' own *hook* imports, where they are not those that it is known to bring."""
    folder = f"{hook.path.rpartition('/')[0]}/_distutils_hack"
    for path in (f"{folder}/__init__.py", f"{folder}/override.py"):
        entry = ownership.files.get(path)
        if entry is not None and entry.digest and entry.digest.hex() not in SEED_MODULES:
            yield Drift(
                code=Code.PTH_HOOK,
                distribution=owner.name,
                version=owner.version,
                path=ownership.shown(path),
                actual=f"sha256:{entry.digest.hex()}",
                message=f"{ownership.shown(hook.path)} runs it at every start of Python; {owner.name} is not known to bring it, "
                "and no lock names it",
            )


def _words(kind: HookKind, effect: str) -> str:
    match kind:
        case HookKind.PTH_CODE | HookKind.START:
            return f"runs at every start of Python, and no distribution claims it: {effect}"
        case HookKind.EDITABLE:
            return "an editable brings it, and nobody claims it"
        case HookKind.PTH_PATH:
            return f"adds to sys.path, and no distribution claims it: {effect}"
        case HookKind.CUSTOMIZE:
            return "is imported at every start of Python, and no distribution claims it"
        case HookKind.SYSTEM_SITE:
            return f"{effect}: the base interpreter's packages can be imported too"
        case HookKind.PATH_FILE | HookKind.STDLIB_ZIP:
            return effect


def compare_interpreter(environment: Environment) -> Iterator[Drift | Unchecked]:
    """What contradicts itself about the interpreter: who it is, where its library is, what pyvenv.cfg claims."""
    for fault in environment.interpreter.faults:
        if fault.code == "interpreter-unknown":
            yield Unchecked(code=fault.code, what=fault.path, reason=fault.message, in_scope=True)
            continue
        claim = fault.code == "interpreter-claim"
        yield Drift(
            code=Code.INTERPRETER_CHANGED,
            severity=Severity.WARNING if claim else Severity.ERROR,
            gating=not claim,
            path=fault.path,
            message=fault.message,
        )
