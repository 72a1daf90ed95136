"""`run`: verify, and say how to start a program in what was verified. To start it is the caller's."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError
from sanctity.model.drift import Code, Depth, Drift, ReferenceKind, Verdict
from sanctity.model.policy import Variables
from sanctity.verbs.judging import compare_and_judge, look
from sanctity.verbs.world import locate, meant, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.apply.canary import Surroundings
    from sanctity.model.drift import Comparison
    from sanctity.model.seal import Canary
    from sanctity.plan.seeding import SeedPlan
    from sanctity.plan.start import Program, Start
    from sanctity.verbs.judging import Look
    from sanctity.verbs.world import Outcome, Target, World

__all__ = ["Running", "canary_of", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What `run` came to: the *outcome* of the comparison, and what to *start*, None where that is refused.

    *dropped* are the names of the variables that the program does not get; *seeding* is what it gets for its seed, where one was
    asked for, and *injected* the digest of the start hook that it gets beside it.
    """

    outcome: Outcome
    start: Start | None = None
    dropped: tuple[str, ...] = ()
    seeding: SeedPlan | None = None
    injected: str = ""


#: The variables that a program's receipts are kept by, and what its controls may be relaxed by. See `sanctity.determinism`.
_SEED: Final = "SANCTITY_SEED"
_RECEIPTS: Final = "SANCTITY_RECEIPTS"
_RULES: Final = "SANCTITY_RULES"


def run(
    target: Target,
    world: World,
    command: tuple[str, ...],
    *,
    seal: str = "",
    lock: str = "",
    profile: str = "",
    drop_variables: bool = False,
    fresh_bytecode: bool = False,
    otel: bool = False,
    fast: bool = False,
    workers: int = 0,
    seed: int | None = None,
    inject: bool = False,
    receipts: str = "",
) -> Running:
    """Compare an environment with its seal, or else its lock, and say how to start *command* in it.

    *seal* or *lock* names the one to take; by default it is the project's own. It is compared at depth ``record``, and judged as
    strictly as *profile* ``production`` asks. Variables of *world* that load code are drifts, and dropped instead where
    *drop_variables* or the policy says so; with a seal that is the sealed policy, as the sealed waivers are what counts, and its
    canary is run. With *fresh_bytecode* the program gets an empty folder for its bytecode, with *otel* the fingerprint and the
    verdict in ``OTEL_RESOURCE_ATTRIBUTES``. With *fast* a file is not read again that the file system says did not move: no proof.

    With a *seed* (0 .. 2**128 - 1) the program gets what has to be set before it starts, and with *inject* a start hook that makes
    the call in every Python it starts. *receipts* is a folder for the receipts of its processes. What may be relaxed in it, and by
    which waivers, is handed on where a seed or receipts are asked for, or where there is a waiver of a control.

    Raises:
        SanctityError: ``no-reference``, there is nothing to hold it to; ``seed-invalid``; ``seed-conflict``, another seed is set
            already; ``seed-ignored``, the program would not read it; ``inject-failed``; ``receipts-failed``; ``rules-too-long``; as
            `verify`; and as `find_program` and `plan_start` where the program is not to be found, or is no part of what was
            verified.
    """
    from sanctity.apply.run import find_program, inherited
    from sanctity.apply.run import fresh_bytecode as make_folder
    from sanctity.compare.variables import code_loading, compare_variables, without
    from sanctity.observe.variables import observe_variables
    from sanctity.plan.start import FRESH, plan_start, resource_attributes

    # Before anything is read: whether there is such a program at all does not depend on what is in it.
    reference = _named(seal, lock, world)
    project, place = locate(meant(target, reference, world)[0], world)
    reference = reference or _own_seal(project, os.path.dirname(place.prefix) if target.env else "", world)
    scripts = "Scripts" if os.path.isdir(f"{place.prefix}/Scripts") and not os.path.isdir(f"{place.prefix}/bin") else "bin"
    search = world.environ.get("PATH", "")
    program = find_program(command[0], place.prefix, scripts=scripts, cwd=world.cwd, search=search)
    seeding = _seeding(seed, world.environ)
    if inject and seeding is None:
        raise UsageError("usage", "what is injected makes the call with the seed", where="--inject", hint="give --seed too")

    memory = None
    if fast:
        from sanctity.verbs.remembering import remember

        ways = {"groups": (), "extras": (), "profile": profile, "settings": True, "depth": str(Depth.RECORD)}
        memory = remember(target, world, reference, ways)
    known = memory.known(world) if memory is not None else None
    # The settings that are compared are those that the program will have.
    settled = replace(world, environ={**world.environ, **seeding.environ}) if seeding is not None else world
    taken = look(target, settled, reference=reference, workers=workers, profile=profile, known=known)
    outcome = compare_and_judge(taken, world, depth=Depth.RECORD, settings=True)
    if seeding is not None:
        outcome = _as_asked(outcome, seeding)
    if memory is not None:
        memory.keep(taken, outcome, world)
    if outcome.comparison.reference.kind is ReferenceKind.NONE:
        raise SanctityError(
            "no-reference",
            "there is no seal and no lock, so nothing says what it has to be",
            where=taken.place.shown,
            hint=f"seal it with `sanctity seal{f' --env {shlex.quote(target.env)}' if target.env else ''}`, or lock the project",
        )
    environ = inherited(world.environ)
    if fresh_bytecode:
        environ.pop(FRESH, None)  # it is set anew, so what it names now is not read
    dropped: tuple[str, ...] = ()
    if drop_variables or taken.judging.policy.variables is Variables.DROP:
        dropped = code_loading(environ)
        environ = without(environ, dropped)
    outcome = _with(outcome, tuple(compare_variables(observe_variables(environ))))
    sealed = taken.references.seal
    if sealed is not None and sealed.canary is not None and outcome.comparison.verdict is Verdict.CLEAN:
        outcome = _with_canary(outcome, sealed.canary, _around(taken, outcome.comparison, _folder(sealed.path, world), world))
    comparison = outcome.comparison
    if comparison.verdict is not Verdict.CLEAN:
        return Running(outcome=outcome, dropped=dropped)
    # Planned first without a folder, so that none is made for what is refused.
    start = plan_start(program, command[1:], taken.environment, comparison, environ)
    injected = ""
    if seeding is not None:
        _need_heard(program, command[1:], taken, inject=inject)
        environ.update(seeding.environ)
    if inject:
        from sanctity.apply.inject import place_hook

        hook = place_hook(world.environ)
        environ["PYTHONPATH"], injected = hook.path, hook.digest
    if otel and comparison.fingerprint is not None:
        name = "OTEL_RESOURCE_ATTRIBUTES"
        environ[name] = resource_attributes(
            environ.get(name, ""), fingerprint=str(comparison.fingerprint.digest), verdict=str(comparison.verdict)
        )
    bytecode = make_folder(world.environ) if fresh_bytecode else ""
    from sanctity.policies.waivers import rules_of, rules_text

    rules = rules_of(taken.judging.policy, taken.judging.waivers)
    if seeding is not None or receipts or rules.waivers or environ.get(_SEED) or environ.get(_RECEIPTS):
        environ[_RULES] = rules_text(rules)
    if receipts:
        environ[_RECEIPTS] = _begin_receipts(receipts, outcome, seeding, injected, program, str(rules.digest), world)
    start = plan_start(program, command[1:], taken.environment, comparison, environ, bytecode=bytecode)
    return Running(outcome=outcome, start=start, dropped=dropped, seeding=seeding, injected=injected)


def _seeding(seed: int | None, environ: Mapping[str, str]) -> SeedPlan | None:
    if seed is None:
        return None
    from sanctity.determinism.scheme import check_root, hash_seed
    from sanctity.plan.seeding import plan_seed

    root = check_root(seed)
    return plan_seed(root, hash_seed=hash_seed(root), environ=environ)


def _as_asked(outcome: Outcome, seeding: SeedPlan) -> Outcome:
    """*outcome* without what differs from the seal because a seed was asked for: settings of *seeding* that are not in it."""
    comparison = outcome.comparison
    kept = tuple(
        drift
        for drift in comparison.drifts
        if drift.code is not Code.SETTING_CHANGED or drift.expected or drift.path not in seeding.environ
    )
    return replace(outcome, comparison=replace(comparison, drifts=kept))


def _need_heard(program: Program, arguments: tuple[str, ...], taken: Look, *, inject: bool) -> None:
    """Raise where *program* would not read what is set for it: Python under -E or -I, or too old a Python for what is injected."""
    from sanctity.plan.seeding import ignored_by
    from sanctity.plan.start import is_interpreter

    words = arguments if is_interpreter(program.file, taken.environment) else tuple(program.options.split())
    option = ignored_by(words, start_hook=inject)
    if option:
        raise SanctityError(
            "seed-ignored",
            f"with {option} Python reads neither the seed of hashing nor what is injected"
            if option != "-S"
            else "with -S Python does not run what is injected",
            where=f"{program.word} {option}",
            hint=f"leave {option} out; -P and -s keep the working folder and the user's packages off sys.path",
        )
    version = taken.environment.interpreter.version
    if inject and version and tuple(map(int, version.split(".")[:2])) < (3, 11):
        raise SanctityError(
            "inject-failed",
            f"the injected call needs Python 3.11, and the environment has {version}",
            where="--inject",
            hint="leave --inject out: the variables are set all the same",
        )


def _begin_receipts(
    folder: str, outcome: Outcome, seeding: SeedPlan | None, injected: str, program: Program, rules: str, world: World
) -> str:
    """Make the folder of receipts ready, with what `run` did in it; its absolute path."""
    from sanctity.determinism.files import begin
    from sanctity.determinism.scheme import SCHEME

    comparison = outcome.comparison
    path = os.path.abspath(os.path.join(world.cwd, os.path.expanduser(folder)))
    launch = {
        "seed": str(seeding.root) if seeding is not None else "",
        "scheme": SCHEME if seeding is not None else "",
        "variables": seeding.environ if seeding is not None else {},
        "kept": list(seeding.kept) if seeding is not None else [],
        "injected": injected,
        "program": os.path.basename(program.file.path),
        "verdict": str(comparison.verdict),
        "fingerprint": str(comparison.fingerprint.digest) if comparison.fingerprint is not None else "",
        "rules": rules,
    }
    begin(path, launch)
    return path


def _named(seal: str, lock: str, world: World) -> str:
    """The reference that the user named, if any. Raises UsageError where it is of the other kind."""
    from sanctity.observe.seals import is_seal

    if seal and lock:
        raise UsageError("usage", "a seal and a lock are both named", where="--seal --lock", hint="give one of them")
    for option, name in (("--seal", seal), ("--lock", lock)):
        path = os.path.join(world.cwd, os.path.expanduser(name))
        if name and os.path.isfile(path) and is_seal(path) is not (option == "--seal"):
            other = "a lock with --lock" if option == "--seal" else "a seal with --seal"
            raise UsageError("usage", f"it is no {option[2:]}", where=f"{option} {name}", hint=f"name {other}")
        if name and not os.path.isfile(path):
            raise UsageError("usage", "there is no such file", where=f"{option} {name}", hint=f"name the {option[2:]}")
    return seal or lock


def _own_seal(project: str, beside: str, world: World) -> str:
    """The seal of the project, or of the folder *beside* the environment; empty where there is none.

    Where there is one it is as if it were named: one that says nothing of this platform is no reason to take a lock, and with it
    the working tree's policy.
    """
    from sanctity.observe.seals import SEAL_NAME

    return next(
        (
            shown(f"{folder}/{SEAL_NAME}", world)
            for folder in (project, beside)
            if folder and os.path.lexists(f"{folder}/{SEAL_NAME}")
        ),
        "",
    )


def canary_of(description: str, taken: Look, comparison: Comparison, folder: str, world: World) -> Canary:
    """The canary that the file *description* states, run twice in the environment that was looked at, for a seal in *folder*.

    Raises:
        SanctityError: it can not be read, is not a part of the environment, or did not write the same twice.
    """
    from sanctity.apply.canary import make_canary

    return make_canary(os.path.join(world.cwd, description), _around(taken, comparison, folder, world), shown=description)


def _folder(path: str, world: World) -> str:
    return os.path.dirname(os.path.abspath(os.path.join(world.cwd, path)))


def _around(taken: Look, comparison: Comparison, folder: str, world: World) -> Surroundings:
    from sanctity.apply.canary import Surroundings
    from sanctity.observe.settings import NUMERIC_SETTINGS

    settings = {name: world.environ[name] for name in NUMERIC_SETTINGS if name in world.environ}
    return Surroundings(environment=taken.environment, comparison=comparison, folder=folder, settings=settings)


def _with(outcome: Outcome, drifts: tuple[Drift, ...]) -> Outcome:
    comparison = outcome.comparison
    return replace(outcome, comparison=replace(comparison, drifts=(*comparison.drifts, *drifts)))


def _with_canary(outcome: Outcome, canary: Canary, around: Surroundings) -> Outcome:
    from sanctity.apply.canary import check_canary

    found = check_canary(canary, around)
    if found is None:
        return outcome
    if isinstance(found, Drift):
        return _with(outcome, (found,))
    return replace(outcome, comparison=replace(outcome.comparison, unchecked=(*outcome.comparison.unchecked, found)))
