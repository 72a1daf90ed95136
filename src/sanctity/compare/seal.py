"""An environment against its seal: what a lock can not state.

The seal is the reference, and RECORD a witness: a distribution whose RECORD still states the sealed content is vouched for, so
its RECORD names the altered file; where it does not, it was forged. What was sealed with a drift in it (``--accept``) is as sealed
as long as nothing else of it changes. Parts that gate by policy alone are told as warnings here (`compare.policy` decides).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.canon.fingerprint import part_digest, plain_text, sealed_hook, startup_hooks, system_rows
from sanctity.compare.copies import by_key, compare_distributions_alone, shown_home
from sanctity.compare.files import unclaimed_code
from sanctity.compare.hooks import KNOWN_HOOKS
from sanctity.compare.ownership import own
from sanctity.compare.records import compare_alone, compare_with_records
from sanctity.compare.sites import BASE
from sanctity.model.drift import Code, Comparison, Depth, Drift, Reference, ReferenceKind, Severity, Unchecked
from sanctity.model.environment import HookKind
from sanctity.model.names import SEEDS, normalise_name, version_key
from sanctity.model.platform import PRELOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.digest import Digest
    from sanctity.model.environment import Distribution, Environment, Hook, Origin
    from sanctity.model.platform import NativeLibrary, Platform
    from sanctity.model.seal import Seal, SealedDistribution, SealedEnvironment

__all__ = [
    "compare_with_seal",
    "entry_for",
    "hold_to_seal",
    "origin_in_short",
    "platform_of",
    "platform_parts",
    "seeds_beside",
    "stdlib_digests",
]

#: Drifts of a distribution's own files and RECORD: what its sealed content speaks about.
_CONTENT: Final = frozenset(
    {
        Code.FILE_ALTERED,
        Code.FILE_MISSING,
        Code.DATA_ALTERED,
        Code.FILE_CLOBBERED,
        Code.RECORD_INVALID,
        Code.RECORD_MISSING,
        Code.SCRIPT_ALTERED,
    }
)
#: Drifts about code that no RECORD claims.
_UNCLAIMED: Final = frozenset({Code.FILE_UNCLAIMED, Code.PATH_SHADOW, Code.BYTECODE_ORPHAN, Code.PATH_INVALID})
_HOOKS: Final = frozenset({Code.PTH_HOOK, Code.CUSTOMIZE_HOOK, Code.SYSTEM_SITE, Code.PATH_SHADOW})
_HOOK_CODES: Final = {
    HookKind.CUSTOMIZE: Code.CUSTOMIZE_HOOK,
    HookKind.SYSTEM_SITE: Code.SYSTEM_SITE,
    HookKind.STDLIB_ZIP: Code.PATH_SHADOW,
}
#: What is said of a part of the platform that one side does not know, by the part.
_PART_CODES: Final = ("build", "stdlib", "native", "cpu", "accelerators", "settings")


def platform_of(environment: Environment) -> str:
    """The platform that a seal names: ``linux-x86_64-glibc``. An ELF interpreter is Linux's; others have no libc."""
    interpreter = environment.interpreter
    return "-".join(part for part in ("linux", interpreter.machine, interpreter.libc.partition(" ")[0]) if part)


def entry_for(seal: Seal, environment: Environment) -> SealedEnvironment | None:
    """The entry of *seal* for the platform and Python of *environment*."""
    interpreter = environment.interpreter
    wanted = f"{interpreter.implementation}-{'.'.join(interpreter.version.split('.')[:2])}"
    platform = platform_of(environment)
    return next((each for each in seal.environments if each.platform == platform and each.python == wanted), None)


def origin_in_short(origin: Origin | None) -> str:
    """An origin without its place, as a seal has it: the same wherever the source lies and whoever wrote it down."""
    if origin is None:
        return ""
    if origin.editable:
        return "editable"
    return f"git:{origin.commit}" if origin.kind == "vcs" and origin.commit else origin.kind


def seeds_beside(sealed: SealedEnvironment) -> frozenset[str]:
    """The names that the environment may be seeded with: pip, setuptools and wheel, less those that are sealed."""
    return SEEDS - sealed.names()


def stdlib_digests(platform: Platform) -> tuple[tuple[int, Digest], tuple[int, Digest]]:
    """(files, digest) of the standard library's sources, and of what the build made."""

    def counted(rows: tuple[tuple[str, bytes], ...]) -> tuple[int, Digest]:
        return len(rows), part_digest([[plain_text(path), f"sha256:{digest.hex()}"] for path, digest in rows])

    return counted(platform.stdlib.sources), counted(platform.stdlib.built)


def platform_parts(platform: Platform) -> tuple[tuple[str, Digest], ...]:
    """A digest for each part of what an environment stands on, as it is shown beside a fingerprint; none for what is not known."""
    build = platform.build
    bytes_of = [str(build.executable or ""), str(build.library or "")]
    rows: dict[str, object] = {
        "build": [*build.identity, *bytes_of],
        "stdlib": [[count, str(digest)] for count, digest in stdlib_digests(platform)],
        "native": [platform.libc, *([item.name, item.digest.hex()] for item in platform.libraries)],
        "cpu": [
            platform.cpu.architecture,
            platform.cpu.vendor,
            *platform.cpu.features,
            *([item.library, item.path, item.kernel] for item in platform.blas),
        ],
        "accelerators": [[item.kind, item.name, item.driver, item.capability, item.memory] for item in platform.accelerators],
    }
    unknown = {part for part, _ in platform.unknown}
    return tuple((name, part_digest(value)) for name, value in rows.items() if name not in unknown)


def compare_with_seal(
    environment: Environment,
    sealed: SealedEnvironment,
    *,
    depth: Depth,
    reference: Reference,
    rows: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
    settings: bool = False,
) -> Comparison:
    """Compare *environment* with what was *sealed*.

    *rows* are the content rows behind a content digest, from ``env.seal.files``, where there is one; *settings* also compares the
    numeric settings of the process that looked, which only those who start a program ask for.
    """
    seeds = seeds_beside(sealed)
    own_drifts = [*compare_distributions_alone(environment), *_interpreter(environment, sealed)]
    own_drifts += _distributions(environment, sealed, seeds)
    found = compare_alone(environment, depth=depth, reference=reference, seeds=seeds, drifts=own_drifts, unchecked=[])
    unchecked = list(found.unchecked)
    unchecked.extend(
        Unchecked(code="editable-source", what=item.name, reason="its source is governed by git")
        for item in environment.distributions
        if item.origin is not None and item.origin.editable and item.key not in seeds
    )
    unchecked.extend(
        Unchecked(
            code="seed-not-sealed", what=f"{item.name} {item.version}", reason="no lock names it: held to its own RECORD only"
        )
        for item in environment.distributions
        if item.key in seeds
    )
    drifts = list(found.drifts)
    if depth is not Depth.VERSION:
        drifts = _content(environment, sealed, drifts, rows or {}, unchecked)
        drifts = _as_sealed(environment, sealed, seeds, drifts)
        drifts += _activation(environment, sealed) if not sealed.from_lock else ()
        _compare_platform(environment, sealed, drifts, unchecked, rows or {}, settings=settings)
        drifts += _net(found, sealed, drifts, unchecked)
    return replace(found, drifts=tuple(drifts), unchecked=tuple(unchecked))


def hold_to_seal(
    environment: Environment,
    seal: Seal,
    *,
    depth: Depth,
    rows: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
    settings: bool = False,
) -> tuple[Comparison, SealedEnvironment | None]:
    """Compare *environment* with the entry of *seal* for it, which is given back; undecided, and None, where there is none.

    *rows* and *settings* are as in `compare_with_seal`.
    """
    reference = Reference(kind=ReferenceKind.SEAL, path=seal.path, digest=str(seal.digest))
    sealed = entry_for(seal, environment)
    if sealed is None:
        alone = replace(compare_with_records(environment, depth=depth), reference=reference)
        known = ", ".join(f"{each.platform} {each.python}" for each in seal.environments)
        blind = Unchecked(code="seal-not-for-this-platform", what=seal.path, reason=f"it is for {known}", in_scope=True)
        return replace(alone, unchecked=(*alone.unchecked, blind)), None
    reference = replace(reference, selection=sealed.selection)
    return compare_with_seal(environment, sealed, depth=depth, reference=reference, rows=rows, settings=settings), sealed


def _interpreter(environment: Environment, sealed: SealedEnvironment) -> Iterator[Drift]:
    interpreter = environment.interpreter
    if not interpreter.version:
        return  # told as unknown
    expected = f"{sealed.implementation} {sealed.version} ({sealed.abi})"
    actual = f"{interpreter.implementation} {interpreter.version} ({interpreter.abi})"
    if actual != expected:
        yield Drift(
            code=Code.INTERPRETER_CHANGED,
            path=interpreter.executable,
            expected=expected,
            actual=actual,
            message=f"it is {actual}, and {expected} was sealed",
        )


def _distributions(environment: Environment, sealed: SealedEnvironment, seeds: frozenset[str]) -> Iterator[Drift]:
    """Names, versions and origins."""
    expected: dict[str, list[SealedDistribution]] = {}
    for line in sealed.distributions:
        if line.files is None:
            expected.setdefault(line.name, []).append(line)
    installed = {key: [copy for copy in copies if not copy.keeper] for key, copies in by_key(environment).items()}
    for name, lines in expected.items():
        copies = installed.get(name, [])
        if not copies:
            versions = " or ".join(line.version for line in lines)
            yield Drift(
                code=Code.DISTRIBUTION_MISSING,
                distribution=name,
                version=lines[0].version,
                expected=versions,
                message=f"{name} is not installed; {versions} was sealed",
            )
            continue
        for copy in copies:
            own_line = _line_of(copy, lines)
            if own_line is None:
                versions = " or ".join(line.version for line in lines)
                yield Drift(
                    code=Code.VERSION_MISMATCH,
                    distribution=copy.name,
                    version=copy.version,
                    path=shown_home(copy),
                    expected=versions,
                    actual=copy.version,
                    message=f"{copy.name} {copy.version} is installed; {versions} was sealed",
                )
            elif origin_in_short(copy.origin) != own_line.origin:
                yield Drift(
                    code=Code.ORIGIN_MISMATCH,
                    distribution=copy.name,
                    version=copy.version,
                    path=shown_home(copy),
                    expected=own_line.origin or "index",
                    actual=origin_in_short(copy.origin) or "index",
                    message="its direct_url.json names another kind of origin, or another commit, than was sealed",
                )
    for name, copies in installed.items():
        if name not in expected and name not in seeds and copies:
            yield Drift(
                code=Code.DISTRIBUTION_EXTRA,
                distribution=copies[0].name,
                version=copies[0].version,
                path=shown_home(copies[0]),
                actual=copies[0].version,
                message=f"{copies[0].name} {copies[0].version} is installed, and was not when this was sealed",
            )


def _line_of(copy: Distribution, lines: Iterable[SealedDistribution]) -> SealedDistribution | None:
    """The sealed line of an installed *copy*: the one of its version; an editable's version is its source's, which git governs."""
    key = version_key(copy.version)
    for line in lines:
        if line.version == copy.version or line.origin == "editable" or (key is not None and version_key(line.version) == key):
            return line
    return None


def _content(
    environment: Environment,
    sealed: SealedEnvironment,
    drifts: list[Drift],
    rows: Mapping[str, tuple[tuple[str, str], ...]],
    unchecked: list[Unchecked],
) -> list[Drift]:
    """The sealed content of each distribution against what is there and what its RECORD states."""
    lines: dict[str, list[SealedDistribution]] = {}
    for line in sealed.distributions:
        lines.setdefault(line.name, []).append(line)
    accepted: set[tuple[str, str]] = set()
    found: list[Drift] = []
    for copy in environment.distributions:
        own_line = _line_of(copy, lines.get(copy.key, ()))
        if own_line is None or own_line.content is None or copy.keeper:
            continue
        gating = any(drift.gating and drift.code in _CONTENT and normalise_name(drift.distribution) == copy.key for drift in drifts)
        if copy.content is None:
            if not gating and copy.record is not None:
                reason = "a part of its content could not be read"
                unchecked.append(Unchecked(code="unreadable", what=copy.name, reason=reason, in_scope=True))
            continue
        stated = own_line.stated or own_line.content
        if copy.content == own_line.content:
            if copy.stated == stated:
                accepted.add((copy.key, copy.version))
            elif copy.stated is not None:
                words = "its files are as sealed, but its RECORD does not state them any more"
                found.append(_forged(copy, str(stated), str(copy.stated), words))
        elif copy.stated != stated or not gating:
            found.extend(_named(copy, own_line, rows))
    if accepted:
        drifts = [
            replace(drift, gating=False, severity=Severity.NOTE, message=_sealed_so(drift.message))
            if drift.gating and drift.code in _CONTENT and (normalise_name(drift.distribution), drift.version) in accepted
            else drift
            for drift in drifts
        ]
    present = dict(system_rows(environment))
    for line in sealed.distributions:
        if line.files is None:
            continue
        actual = present.pop(line.name, None)
        package = line.name.partition(":")[2]
        if actual is None:
            found.append(Drift(code=Code.DISTRIBUTION_MISSING, distribution=package, message="this package of the system is gone"))
        elif actual != line.files:
            found.append(
                Drift(
                    code=Code.RECORD_FORGED,
                    distribution=package,
                    expected=str(line.files),
                    actual=str(actual),
                    message="the files of this package of the system are not the sealed ones",
                )
            )
    found.extend(
        Drift(code=Code.DISTRIBUTION_EXTRA, distribution=name.partition(":")[2], message="this package of the system is new")
        for name in present
    )
    return drifts + found


def _sealed_so(message: str) -> str:
    return f"{message}; it was sealed so" if message else "it was sealed so"


def _forged(copy: Distribution, expected: str, actual: str, words: str, path: str = "") -> Drift:
    return Drift(
        code=Code.RECORD_FORGED,
        distribution=copy.name,
        version=copy.version,
        path=path or f"{shown_home(copy)}/RECORD",
        expected=expected,
        actual=actual,
        message=words,
    )


def _named(copy: Distribution, line: SealedDistribution, rows: Mapping[str, tuple[tuple[str, str], ...]]) -> Iterator[Drift]:
    """The drifts of a distribution whose RECORD agrees with its files, or with nothing, and not with the seal."""
    words = "its files are not the sealed ones, and its RECORD agrees with them"
    yield _forged(copy, str(line.content), str(copy.content), words)
    sealed_rows = rows.get(str(line.content))
    if sealed_rows is None or copy.rows is None:
        return
    for key, before, after, message in _row_changes(sealed_rows, copy.rows):
        yield Drift(
            code=Code.FILE_MISSING if not after else Code.FILE_UNCLAIMED if not before else Code.FILE_ALTERED,
            distribution=copy.name,
            version=copy.version,
            path=key.removeprefix("lib/"),
            expected=before,
            actual=after,
            message=message,
        )


def _row_changes(before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """Each row that differs: its key, its value before and after (empty where there is none), and what to say of it."""
    expected, actual = dict(before), dict(after)
    for key in sorted(expected.keys() | actual.keys()):
        one, other = expected.get(key, ""), actual.get(key, "")
        if one != other:
            message = "" if one and other else "it was sealed, and is gone" if one else "it was not there when this was sealed"
            yield key, one, other, message


def _as_sealed(environment: Environment, sealed: SealedEnvironment, seeds: frozenset[str], drifts: list[Drift]) -> list[Drift]:
    """Start-up hooks and unclaimed code: what was sealed is told, what is new or gone gates."""
    ownership = own(environment)
    hooks = {(hook.kind, sealed_hook(hook, environment).path): hook for hook in startup_hooks(environment, seeds)}
    known = {(hook.kind, hook.path): hook for hook in sealed.startup}
    as_sealed = {hook.path for key, hook in hooks.items() if key in known and known[key].digest == hook.digest}
    loose = {plain_text(path): digest for path, digest in unclaimed_code(environment, ownership)}
    sealed_loose = dict(sealed.unclaimed)
    as_sealed_loose = {path for path, digest in loose.items() if sealed_loose.get(path) == digest}
    shown_hooks = {ownership.shown(path) for path in as_sealed}
    shown_loose = {ownership.shown(path) for path in as_sealed_loose}

    names = [line.name for line in sealed.distributions]

    def told(drift: Drift) -> Drift:
        if not drift.gating or not (
            (drift.code is Code.DISTRIBUTION_DUPLICATE and names.count(normalise_name(drift.distribution)) > 1)
            or (drift.code in _HOOKS and drift.path in shown_hooks)
            or (drift.path.startswith(f"{BASE}/") and "pyvenv.cfg" in as_sealed)  # whose digest is over all that lies there
            or (drift.code in _UNCLAIMED and plain_text(drift.path) in shown_loose)
        ):
            return drift
        return replace(drift, gating=False, severity=Severity.NOTE, message=_sealed_so(drift.message))

    drifts = [told(drift) for drift in drifts]
    named = {drift.path for drift in drifts if drift.gating}
    found: list[Drift] = []
    for key, hook in hooks.items():
        if hook.path in as_sealed or ownership.shown(hook.path) in named or hook.digest.hex() in KNOWN_HOOKS:
            continue
        words = "it is not the start-up hook that was sealed" if key in known else "this start-up hook was not there when sealed"
        found.append(_hook_drift(hook, ownership.shown(hook.path), words, known.get(key)))
    for key, hook in known.items():
        if key not in hooks and ownership.shown(hook.path) not in named and hook.digest.hex() not in KNOWN_HOOKS:
            found.append(_hook_drift(hook._replace(digest=b""), ownership.shown(hook.path), "this start-up hook is gone", hook))
    for path, digest in sealed_loose.items():
        if path not in loose and ownership.shown(path) not in named:
            words = "it was sealed, though no RECORD claims it, and is gone"
            found.append(
                Drift(code=Code.FILE_MISSING, path=ownership.shown(path), expected=f"sha256:{digest.hex()}", message=words)
            )
    return drifts + found


def _hook_drift(hook: Hook, shown: str, words: str, before: Hook | None) -> Drift:
    return Drift(
        code=_HOOK_CODES.get(hook.kind, Code.PTH_HOOK),
        path=shown,
        expected=f"sha256:{before.digest.hex()}" if before and before.digest else "",
        actual=f"sha256:{hook.digest.hex()}" if hook.digest else "",
        message=words,
    )


def _activation(environment: Environment, sealed: SealedEnvironment) -> Iterator[Drift]:
    expected, actual = dict(sealed.activation), dict(environment.activation)
    for path in sorted(expected.keys() | actual.keys()):
        before, after = expected.get(path, b""), actual.get(path, b"")
        if before == after:
            continue
        words = "is not the sealed one" if before and after else "was sealed, and is gone" if before else "is new"
        yield _beside(
            Code.ACTIVATE_ALTERED,
            path,
            f"this script, which people source, {words}",
            f"sha256:{before.hex()}" if before else "",
            f"sha256:{after.hex()}" if after else "",
        )


def _beside(code: Code, path: str, message: str, expected: str = "", actual: str = "", distribution: str = "") -> Drift:
    """A drift of a part that gates where the policy says so."""
    return Drift(
        code=code,
        severity=Severity.WARNING,
        gating=False,
        distribution=distribution,
        path=path,
        expected=expected,
        actual=actual,
        message=message,
    )


def _compare_platform(
    environment: Environment,
    sealed: SealedEnvironment,
    drifts: list[Drift],
    unchecked: list[Unchecked],
    rows: Mapping[str, tuple[tuple[str, str], ...]],
    *,
    settings: bool,
) -> None:
    platform = environment.platform
    unknown = dict(platform.unknown) if platform is not None else dict.fromkeys(_PART_CODES, "nobody looked")
    if sealed.from_lock:
        # Nothing of the platform is in the scope of what a lock states.
        reason = "the seal is of a lock alone"
        unchecked += [Unchecked(code="platform-unknown", what=part, reason=reason) for part in sealed.unknown]
        return
    for part in sealed.unknown:
        unknown.setdefault(part, "it was not known when this was sealed")
    if sealed.stdlib_sources is None or sealed.stdlib_built is None:
        unknown.setdefault("stdlib", "the seal does not state it")
    if not settings:
        unknown.pop("settings", None)
    for part, reason in sorted(unknown.items()):
        in_scope = part == "stdlib"  # whose code gates whatever the policy says
        unchecked.append(Unchecked(code="platform-unknown", what=part, reason=reason, in_scope=in_scope))
    if platform is None:
        return
    same_build = True
    if "build" not in unknown or (platform.build.executable is not None and sealed.build.executable is not None):
        same_build = platform.build.identity == sealed.build.identity
        drifts.extend(_build(environment, sealed, platform))
    if "stdlib" not in unknown:
        drifts.extend(_stdlib(sealed, platform, rows, same_build=same_build))
    if "native" not in unknown:
        drifts.extend(_native(sealed, platform))
        reason = "what a program opens by name at run time (dlopen) is not known before it runs"
        unchecked.append(Unchecked(code="dlopen", what="libraries opened at run time", reason=reason))
    # What is known of a part is compared, whatever else of it is not: a driver without its capabilities, all settings but one.
    if "cpu" not in unknown or platform.cpu.features or platform.blas:
        drifts.extend(_cpu(sealed, platform))
    if "accelerators" not in unknown or platform.accelerators:
        drifts.extend(_accelerators(sealed, platform))
    if settings:
        drifts.extend(_settings(sealed, platform))


def _build(environment: Environment, sealed: SealedEnvironment, platform: Platform) -> Iterator[Drift]:
    before, after = sealed.build, platform.build
    if before == after:
        return
    path = environment.interpreter.executable
    if before.identity != after.identity:
        one, other = (f"{build.compiler}, {build.compiled}".strip(", ") or "another build" for build in (before, after))
        differ = f": {other}, sealed {one}" if one != other else ", by its build ids or configure arguments"
        yield _beside(Code.INTERPRETER_CHANGED, path, f"it is another build of the same version{differ}", one, other)
        return
    for name, was, now in (("executable", before.executable, after.executable), ("library", before.library, after.library)):
        if was != now:
            yield Drift(
                code=Code.INTERPRETER_CHANGED,
                path=path if name == "executable" else "libpython",
                expected=str(was or ""),
                actual=str(now or ""),
                message=f"the interpreter's {name} says it is the sealed build, and has other bytes",
            )


def _stdlib(
    sealed: SealedEnvironment, platform: Platform, rows: Mapping[str, tuple[tuple[str, str], ...]], *, same_build: bool
) -> Iterator[Drift]:
    library = platform.stdlib
    sources, built = stdlib_digests(platform)
    for path in library.unchecked:
        yield Drift(
            code=Code.BYTECODE_UNCHECKED,
            path=f"${{stdlib}}/{path}",
            message="import runs it in place of the standard library's own source, and never compares the two",
        )
    for was, now, files, what, gates in (
        (sealed.stdlib_sources, sources, library.sources, "sources", True),
        (sealed.stdlib_built, built, library.built, "extension modules and build files", same_build),
    ):
        if was is None or was == now:
            continue
        counts = f"{now[0]:,} files, sealed {was[0]:,}" if now[0] != was[0] else f"one or more of {now[0]:,} files"
        words = f"the standard library's {what} are not the sealed ones ({counts})"
        found = [_beside(Code.STDLIB_ALTERED, "", words, str(was[1]), str(now[1]))]
        before = rows.get(str(was[1]))
        if before is not None:
            after = [(plain_text(path), f"sha256:{digest.hex()}") for path, digest in files]
            found = [
                _beside(Code.STDLIB_ALTERED, f"${{stdlib}}/{path}", message or "it is not the sealed one", one, other)
                for path, one, other, message in _row_changes(before, after)
            ]
        for drift in found:
            yield replace(drift, gating=True, severity=Severity.ERROR) if gates else drift


def _native(sealed: SealedEnvironment, platform: Platform) -> Iterator[Drift]:
    if sealed.libc != platform.libc:
        yield _beside(
            Code.NATIVE_LIBRARY_CHANGED, "", f"the C library is {platform.libc}, sealed {sealed.libc}", sealed.libc, platform.libc
        )
    before, after = _by_name(sealed.libraries), _by_name(platform.libraries)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, []), after.get(name, [])
        # Two modules may find two files of one name: what is the same on both sides says nothing.
        gone = [item for item in was if item.digest not in {other.digest for other in now}]
        new = [item for item in now if item.digest not in {other.digest for other in was}]
        if not gone and not new:
            continue
        one, other = next(iter(gone or was), None), next(iter(new or now), None)
        yield _library(name, one, other)


def _by_name(libraries: Iterable[NativeLibrary]) -> dict[str, list[NativeLibrary]]:
    found: dict[str, list[NativeLibrary]] = {}
    for item in libraries:
        found.setdefault(item.name, []).append(item)
    return found


def _library(name: str, was: NativeLibrary | None, now: NativeLibrary | None) -> Drift:
    """The drift of the library *name*, which *was* sealed and is another *now*; None where there is none of that name."""
    before = f"sha256:{was.digest.hex()}" if was is not None and was.digest else ""
    after = f"sha256:{now.digest.hex()}" if now is not None and now.digest else ""
    if now is None:
        words = f"{name} was sealed, and nothing needs it now"
        return _beside(Code.NATIVE_LIBRARY_CHANGED, name, words, before)
    if now.needed_by == PRELOADS:
        words = f"{PRELOADS} puts it into every program, and it was not sealed so"
        drift = _beside(Code.NATIVE_LIBRARY_CHANGED, now.path or name, words, before, after)
        return replace(drift, gating=True, severity=Severity.ERROR)
    if was is None:
        words = f"{name} was not needed when this was sealed; {now.needed_by} needs it"
    elif not now.digest:
        words = f"{name} is nowhere to be found"
    else:
        packages = f": {now.package or 'of no package'}, sealed {was.package or 'of no package'}"
        words = f"{name} is another file" + (packages if was.package != now.package else "")
    return _beside(Code.NATIVE_LIBRARY_CHANGED, now.path or name, words, before, after)


def _cpu(sealed: SealedEnvironment, platform: Platform) -> Iterator[Drift]:
    before, after = sealed.cpu, platform.cpu
    if before != after:
        gone = sorted(set(before.features) - set(after.features))
        new = sorted(set(after.features) - set(before.features))
        words = [f"it has no {', '.join(gone)}"] if gone else []
        words += [f"it also has {', '.join(new)}"] if new else []
        if before.vendor != after.vendor:
            words.insert(0, f"it is {after.vendor or 'of no known maker'}'s, sealed {before.vendor or 'of no known maker'}'s")
        if before.architecture != after.architecture:
            words.insert(0, f"it is {after.architecture}, sealed {before.architecture}")
        yield _beside(
            Code.CPU_CHANGED,
            "",
            f"the processor picks other numeric kernels: {'; '.join(words)}",
            " ".join(before.features),
            " ".join(after.features),
        )
    kernels = {item.path: item for item in sealed.blas}
    for item in platform.blas:
        was = kernels.get(item.path)
        if was is not None and was.kernel != item.kernel:
            chosen = f"{item.library} would choose {item.kernel or 'an unknown kernel'}, sealed {was.kernel or 'an unknown one'}"
            yield _beside(Code.CPU_CHANGED, item.path, chosen, was.kernel, item.kernel)


def _accelerators(sealed: SealedEnvironment, platform: Platform) -> Iterator[Drift]:
    if sealed.accelerators == platform.accelerators:
        return

    def listed(items: tuple[tuple[object, ...], ...]) -> str:
        return ", ".join(" ".join(str(field) for field in item if field) for item in items) or "none"

    before, after = listed(sealed.accelerators), listed(platform.accelerators)
    yield _beside(Code.ACCELERATOR_CHANGED, "", f"accelerators: {after}; sealed: {before}", before, after)


def _settings(sealed: SealedEnvironment, platform: Platform) -> Iterator[Drift]:
    before, after = dict(sealed.settings), dict(platform.settings)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            words = "is not set" if now is None else f"is {now}"
            sealed_words = "not set" if was is None else was
            yield _beside(Code.SETTING_CHANGED, name, f"{name} {words}, sealed {sealed_words}", was or "", now or "")


def _net(found: Comparison, sealed: SealedEnvironment, drifts: list[Drift], unchecked: list[Unchecked]) -> Iterator[Drift]:
    """What no rule above named: an environment with another content than the sealed one is never clean."""
    if any(drift.gating for drift in drifts) or any(item.in_scope for item in unchecked):
        return
    if found.fingerprint is None:
        unchecked.append(Unchecked(code="unreadable", what="fingerprint", reason="a part of it could not be read", in_scope=True))
        return
    expected = dict(sealed.parts)
    for name, digest in found.fingerprint.parts:
        if name != "startup" and expected.get(name) != digest:  # hooks are compared one by one, known tools' aside
            yield Drift(
                code=Code.FINGERPRINT_MISMATCH,
                path=name,
                expected=str(expected.get(name, "")),
                actual=str(digest),
                message=f"its {name} are not the sealed ones, and nothing above names what differs",
            )
