"""Taking stock: what a lock, an entry of a seal, or an environment states, in the words that all three share.

The text of each part is that of a seal's own document, so that an environment and its seal agree to the letter. What is the
process's own, such as numeric settings, is no property of an environment and is left out of its inventory.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.canon.fingerprint import plain_text, sealed_hook, startup_hooks, system_rows
from sanctity.compare.files import compare_problems, unclaimed_code
from sanctity.compare.hooks import KNOWN_HOOKS
from sanctity.compare.ownership import own
from sanctity.compare.reach import Reach, is_listed, reaches, simplified
from sanctity.compare.seal import origin_in_short, platform_of, stdlib_digests
from sanctity.model.drift import Unchecked
from sanctity.model.environment import CondaPackage, Interpreter
from sanctity.model.inventory import PART_NAMES, Inventory, InventoryKind, LockedFile, Package, Part
from sanctity.model.lock import Ecosystem, LockFormat, SourceKind
from sanctity.model.names import CONDA, SEEDS
from sanctity.policies.document import waiver_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from sanctity.model.digest import Digest
    from sanctity.model.environment import Distribution, Environment, Hook
    from sanctity.model.inventory import Row
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.platform import Accelerator, Blas, Build, Cpu, NativeLibrary
    from sanctity.model.policy import Policy, Waiver
    from sanctity.model.seal import Canary, Seal, SealedDistribution, SealedEnvironment

__all__ = ["environment_key", "inventory_of_environment", "inventory_of_lock", "inventory_of_seal", "name_of", "narrowed"]

_ARCHIVES: Final = frozenset({SourceKind.URL, SourceKind.FILE})
#: What a platform calls its parts where an inventory has another name.
_PARTS: Final = {"build": "interpreter"}


# -- parts ------------------------------------------------------------------------------------------------------------------------


def _hex(raw: bytes) -> str:
    return f"sha256:{raw.hex()}"


def _file_rows(files: Iterable[tuple[str, bytes]]) -> tuple[Row, ...]:
    """Files as the rows that the digest over them is of."""
    return tuple((plain_text(path), _hex(digest)) for path, digest in files)


def _digest_rows(files: Iterable[tuple[str, bytes]]) -> Iterable[Row]:
    """Files that nobody claims; what is known to be an environment's maker's own counts on neither side."""
    return [(path, _hex(digest)) for path, digest in files if digest.hex() not in KNOWN_HOOKS]


def _hook_rows(hooks: Iterable[Hook]) -> Iterable[Row]:
    return [(f"{hook.kind} {hook.path}", _hex(hook.digest)) for hook in hooks if hook.digest.hex() not in KNOWN_HOOKS]


def _stdlib_rows(sources: tuple[int, Digest] | None, built: tuple[int, Digest] | None) -> Iterable[Row]:
    return [(name, str(counted[1])) for name, counted in (("sources", sources), ("built", built)) if counted]


def _python_rows(implementation: str, version: str, abi: str) -> Iterable[Row]:
    return [("implementation", implementation), ("version", version), ("abi", abi)]


def _build_rows(build: Build) -> Iterable[Row]:
    stated = (
        ("executable", str(build.executable or "")),
        ("library", str(build.library or "")),
        ("executable_id", build.executable_id),
        ("library_id", build.library_id),
        ("compiler", build.compiler),
        ("compiled", build.compiled),
        ("configure", build.configure),
    )
    return [(name, value) for name, value in stated if value]


def _native_rows(libc: str, libraries: Iterable[NativeLibrary]) -> Iterable[Row]:
    rows = [(item.name, f"{_hex(item.digest)} {item.package}".rstrip()) for item in libraries]
    return [("libc", libc), *rows] if libc else rows


def _cpu_rows(cpu: Cpu) -> Iterable[Row]:
    stated = [(name, value) for name, value in (("architecture", cpu.architecture), ("vendor", cpu.vendor)) if value]
    return [*stated, *((feature, "feature") for feature in cpu.features)]


def _blas_rows(blas: Iterable[Blas]) -> Iterable[Row]:
    return [(item.path, f"{item.library} {item.kernel}".rstrip()) for item in blas]


def _accelerator_rows(accelerators: Iterable[Accelerator]) -> Iterable[Row]:
    """One row a device; two of one kind and name are told apart by a number."""
    seen: dict[str, int] = {}
    for item in accelerators:
        name = f"{item.kind} {item.name}"
        seen[name] = number = seen.get(name, 0) + 1
        memory = f"{item.memory:,} bytes" if item.memory else ""
        facts = [part for part in (f"driver {item.driver}" if item.driver else "", item.capability, memory) if part]
        yield name if number == 1 else f"{name} #{number}", ", ".join(facts) or "present"


def _policy_rows(policy: Policy) -> Iterable[Row]:
    return [
        ("profile", str(policy.profile)),
        ("gate", " ".join(policy.gate) or "none"),
        ("bytecode", str(policy.bytecode)),
        ("variables", str(policy.variables)),
    ]


def _waiver_rows(waivers: Iterable[Waiver]) -> Iterable[Row]:
    for waiver in waivers:
        stated = {key: value for key, value in waiver_document(waiver).items() if key != "id"}
        yield waiver.id, "; ".join(f"{key} {value}" for key, value in stated.items())


def _canary_rows(canary: Canary | None) -> Iterable[Row]:
    if canary is None:
        return
    # Arguments are written as a shell would take them, so that two lists of them never look alike.
    yield "command", shlex.join(canary.command)
    yield "output", str(canary.output)
    yield "timeout", str(canary.timeout)
    for path, digest in canary.inputs:
        yield f"input {path}", str(digest)


def _parts(parts: Mapping[str, Iterable[Row]], unknown: Iterable[str]) -> tuple[Part, ...]:
    """*parts* in their order, less those that are not known."""
    left = set(unknown)
    return tuple(Part(name, tuple(sorted(parts[name]))) for name in PART_NAMES if name in parts and name not in left)


def _sorted(packages: Iterable[Package]) -> tuple[Package, ...]:
    return tuple(sorted(packages, key=lambda item: (item.name, item.version, item.origin, item.place, item.marker)))


# -- lock -------------------------------------------------------------------------------------------------------------------------


def _origin_of(pin: Pin) -> str:
    source = pin.source
    if source.kind is SourceKind.REGISTRY:
        return "index"
    if source.kind in _ARCHIVES:
        return "archive"
    if source.kind is SourceKind.GIT:
        return f"git:{source.revision}" if source.revision else "git"
    return str(source.kind)


def _package_of(pin: Pin, direct: AbstractSet[str] | None, reach: Reach | None = None, condition: str | None = None) -> Package:
    source = pin.source
    place = source.location + (f"#{source.subdirectory}" if source.subdirectory else "")
    artifacts = {
        LockedFile(artifact.filename, str(digest) if digest else "")
        for artifact in pin.artifacts
        for digest in (artifact.digests or (None,))
    }
    return Package(
        name=name_of(pin),
        version=pin.version,
        specifier=pin.specifier,
        origin=_origin_of(pin),
        place=place,
        artifacts=tuple(sorted(artifacts)),
        marker=pin.marker or ", ".join(pin.platforms),
        direct=pin.name in direct if direct is not None else None,
        reach=reach.told if reach is not None else frozenset(),
        doubtful=reach.doubtful if reach is not None else frozenset(),
        condition=condition,
        locations=tuple(sorted({(each.filename, each.location) for each in pin.artifacts if each.filename and each.location})),
    )


def name_of(pin: Pin) -> str:
    """The name of *pin* where both ecosystems lie side by side; a narrowed lock has it so already.

    A row without a name goes by its place, which stays the same where its commit does not.
    """
    revision = f"@{pin.source.revision}"
    if len(revision) > 1 and pin.name.startswith("git+"):
        return pin.name.replace(revision, "", 1)
    return f"{CONDA}{pin.name.removeprefix(CONDA)}" if pin.ecosystem is Ecosystem.CONDA else pin.name


def inventory_of_lock(lock: Lock, *, project: str = "", beside: Lock | None = None) -> Inventory:
    """Everything that *lock* pins, for whatever environment. *project* is the normalised name of the project it is for.

    Where another lock of its format is *beside* it, it is also said for whom each pin is there, in environments that both are for.
    """
    listed = all(edge.name for root in lock.roots for edge in root.dependencies) and not any(pin.dependencies for pin in lock.pins)
    flat = listed or lock.format.is_of_conda
    own_names = {pin.name for pin in lock.pins if pin.source.kind in {SourceKind.EDITABLE, SourceKind.VIRTUAL}}
    asked = {edge.name for root in lock.roots for edge in root.dependencies}
    asked |= {edge.name for pin in lock.pins if pin.name in own_names for edge in pin.dependencies}
    # A flat list says of no row whether somebody asked for it or something needs it.
    alike = beside if beside is not None and beside.format is lock.format else None
    reach = reaches(lock, alike) if alike is not None else None
    short = simplified(lock, alike) if alike is not None else {}
    packages = [
        _package_of(pin, None if flat else asked, reach.of.get(id(pin)) if reach is not None else None, short.get(pin.marker))
        for pin in lock.pins
    ]
    return Inventory(
        kind=InventoryKind.LOCK,
        path=lock.path,
        format=str(lock.format),
        digest=str(lock.digest),
        project="" if project in lock.names() else project,
        packages=_sorted(packages),
        parts=(
            Part("requires", (("requires-python", lock.requires_python),) if lock.requires_python else ()),
            Part("indexes", tuple((str(number), url) for number, url in enumerate(lock.indexes, start=1)) if _asks(lock) else ()),
            Part("options", tuple(sorted(lock.settings))),
        ),
        listed=is_listed(lock),
        blind=tuple(Unchecked(code="not-stated", what=what, reason=why) for what, why in reach.blind) if reach is not None else (),
    )


def _asks(lock: Lock) -> bool:
    """Whether the indexes of *lock* are a list of its own, whose order counts, and not just where its pins are from."""
    return lock.format in {LockFormat.REQUIREMENTS, LockFormat.PIPFILE, LockFormat.ENVIRONMENT_YML} or lock.format.is_of_conda


def narrowed(inventory: Inventory, lock: Lock, other: Inventory) -> Inventory:
    """The *inventory* of *lock* for the environment that *other* is of: pins for other platforms or groups need not be there.

    Raises:
        DocumentError: ``lock-bad-marker``; ``lock-not-for-this-platform``, it says nothing of that environment's platform.
    """
    from sanctity.compare.markers import environment_of
    from sanctity.compare.selection import select

    assert other.interpreter is not None
    if lock.format.is_of_conda:
        lock = _of_one_platform(lock, other)
    installed: dict[str, set[str]] = {}
    for package in other.packages:
        if package.files is None:
            installed.setdefault(package.name, set()).add(package.version)
    local = {SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL}
    selected = select(
        lock,
        environment_of(other.interpreter),
        {name: frozenset(versions) for name, versions in installed.items()},
        members_installed=frozenset(pin.name for pin in lock.pins if pin.source.kind in local and pin.name in installed),
    )
    expected = {id(pin) for pin in selected.expected}
    doubts = {id(each.pin): (each.code, each.reason) for each in selected.undecided}
    allowed = {id(pin) for pin in selected.allowed}
    allowed |= {id(pin) for pin in lock.pins if pin.source.kind is SourceKind.VIRTUAL}
    packages = [
        replace(_package_of(pin, None), needed=id(pin) in expected, doubt=doubts.get(id(pin)))
        for pin in (*selected.expected, *selected.allowed, *lock.pins, *(each.pin for each in selected.undecided))
        if id(pin) in expected or id(pin) in doubts or id(pin) in allowed
    ]
    sealed = {package.name.partition(":")[2] for package in other.packages if package.files is not None}
    told: tuple[Unchecked, ...] = ()
    if other.kind is InventoryKind.SEAL and lock.format.is_of_conda:
        kept = [package for package in packages if not package.name.startswith(CONDA) or package.name[len(CONDA) :] not in sealed]
        reason = "a seal states their files, and no versions of theirs"
        count = len(packages) - len(kept)
        told = (Unchecked(code="not-stated", what="conda packages", reason=reason, count=count),) if count else ()
        packages = kept
    return replace(inventory, packages=_sorted(dict.fromkeys(packages)), blind=(*inventory.blind, *told))


def _of_one_platform(lock: Lock, other: Inventory) -> Lock:
    """*lock* as the environment that *other* is of sees it. Raises DocumentError where it says nothing of its platform."""
    from sanctity.compare.conda import choose_environment, covers, narrow, platform_word, platforms_of
    from sanctity.errors import DocumentError

    assert other.interpreter is not None
    there = [_conda_package(package) for package in other.packages if package.name.startswith(CONDA)]
    platform = platform_word(other.interpreter, there)
    sealed = dict(next((part.rows for part in other.parts if part.name == "selection"), ()))
    place = f"/envs/{sealed['environment']}" if "environment" in sealed else other.path
    chosen = choose_environment(lock, platform, place=place, installed=there)
    if not covers(lock, platform, chosen):
        words = f"it is for {', '.join(platforms_of(lock, chosen))}, and this is {platform or 'of no known platform'}"
        raise DocumentError("lock-not-for-this-platform", words, where=lock.path, hint="lock for that platform too")
    return narrow(lock, platform, chosen)


def _conda_package(package: Package) -> CondaPackage:
    """What is known of a conda package by its place in an inventory: its build is in its archive's name."""
    name = package.name.removeprefix(CONDA)
    filename = next((item.filename for item in package.artifacts), "")
    build = filename.removeprefix(f"{name}-{package.version}-").removesuffix(".conda").removesuffix(".tar.bz2")
    return CondaPackage(name, package.version, build, "", subdir=package.marker)


# -- seal -------------------------------------------------------------------------------------------------------------------------


def environment_key(sealed: SealedEnvironment) -> str:
    """How an entry of a seal is called: ``linux-x86_64-glibc cpython-3.11``."""
    return f"{sealed.platform} {sealed.python}"


def _sealed_package(item: SealedDistribution, rows: Mapping[str, tuple[Row, ...]]) -> Package:
    known = item.content or item.files
    return Package(
        name=item.name,
        version=item.version,
        origin=item.origin or "index",
        artifacts=(LockedFile("", str(item.artifact)),) if item.artifact else (),
        content=item.content,
        files=item.files,
        rows=rows.get(str(known)) if known else None,
    )


def inventory_of_seal(seal: Seal, sealed: SealedEnvironment, *, rows: Mapping[str, tuple[Row, ...]] | None = None) -> Inventory:
    """What *seal* states of the one environment *sealed*; *rows* are those of ``env.seal.files``, by the digest they hash to."""
    rows = rows or {}
    parts: dict[str, Iterable[Row]] = {
        "startup": _hook_rows(sealed.startup),
        "unclaimed": _digest_rows(sealed.unclaimed),
        "activation": _digest_rows(sealed.activation),
        "stdlib": _stdlib_rows(sealed.stdlib_sources, sealed.stdlib_built),
        "python": _python_rows(sealed.implementation, sealed.version, sealed.abi),
        "platform": [("platform", sealed.platform)],
        "interpreter": _build_rows(sealed.build),
        "native": _native_rows(sealed.libc, sealed.libraries),
        "cpu": _cpu_rows(sealed.cpu),
        "blas": _blas_rows(sealed.blas),
        "accelerators": _accelerator_rows(sealed.accelerators),
        "settings": sealed.settings,
        "lock": [(sealed.lock.path, str(sealed.lock.digest))] if sealed.lock else [],
        "selection": [
            (kind, " ".join(names))
            for kind, names in (
                ("groups", sealed.selection.groups),
                ("extras", sealed.selection.extras),
                ("members", sealed.selection.members),
                ("environment", (sealed.selection.environment,) if sealed.selection.environment else ()),
            )
            if names
        ],
        "accepted": [(text, "accepted") for text in sealed.accepted],
        "policy": _policy_rows(seal.policy),
        "waivers": _waiver_rows(seal.waivers),
        "canary": _canary_rows(seal.canary),
    }
    unknown = [_PARTS.get(part, part) for part in sealed.unknown]
    known = [str(counted[1]) for counted in (sealed.stdlib_sources, sealed.stdlib_built) if counted]
    machine = sealed.platform.split("-")[1] if sealed.platform.count("-") else ""
    return Inventory(
        kind=InventoryKind.SEAL,
        path=seal.path,
        digest=str(seal.digest),
        environment=environment_key(sealed),
        packages=_sorted([_sealed_package(item, rows) for item in sealed.distributions]),
        parts=_parts(parts, unknown),
        behind=tuple(sorted((digest, rows[digest]) for digest in known if digest in rows)),
        unknown=tuple((part, "it was not known when this was sealed") for part in unknown),
        interpreter=Interpreter(
            implementation=sealed.implementation, version=sealed.version, abi=sealed.abi, machine=machine, libc=sealed.libc
        ),
    )


# -- environment ------------------------------------------------------------------------------------------------------------------


def _installed_package(item: Distribution, seeds: AbstractSet[str]) -> Package:
    editable = item.origin is not None and item.origin.editable
    return Package(
        name=item.key,
        version=item.version,
        origin=origin_in_short(item.origin) or "index",
        artifacts=tuple(LockedFile("", str(digest)) for digest in sorted(item.origin.digests)) if item.origin else (),
        content=None if editable or item.keeper else item.content,
        rows=None if editable or item.keeper else item.rows,
        seed=item.key in seeds,
        kept=bool(item.keeper),
    )


def _system_packages(environment: Environment) -> Iterable[Package]:
    digests = {entry.path: entry.digest for entry in environment.files.values()} if environment.system else {}
    rows: dict[str, list[Row]] = {}
    for file in environment.system:
        found = (file.content or digests.get(file.path, b"")).hex()
        rows.setdefault(f"system:{file.package}", []).append((plain_text(file.path), found))
    for name, files in system_rows(environment):
        yield Package(name=name, files=files, rows=tuple(sorted(rows[name])))


def _conda_packages(environment: Environment) -> Iterable[Package]:
    for item in environment.conda:
        if item.name.startswith("__"):
            continue
        filename = item.url.rpartition("/")[2]
        yield Package(
            name=f"{CONDA}{item.name}",
            version=item.version,
            place=item.url,
            artifacts=tuple(sorted(LockedFile(filename, str(digest)) for digest in item.digests)),
            marker=item.subdir,
            kept=True,
        )


def _elsewhere(environment: Environment) -> Iterable[Unchecked]:
    """Packages that can be imported from here, and lie in another environment."""
    for other, what in (
        (environment.system_site, "packages of the base interpreter"),
        (environment.user_site, "packages of the user's own folder"),
    ):
        if other is not None:
            reason = f"they can be imported too, and were not compared: name {other.prefix} to do so"
            yield Unchecked(code="system-site", what=what, reason=reason)


def inventory_of_environment(
    environment: Environment, *, path: str = "", fingerprint: str = "", seeds: AbstractSet[str] = SEEDS, conda: bool = False
) -> Inventory:
    """What there is in *environment*, shown as *path*; *seeds* are the normalised names that nothing else names.

    With *conda*, for a lock of its packages, these are listed as such, and the distributions that they brought are not.
    """
    ownership = own(environment)
    interpreter = environment.interpreter
    hooks = [sealed_hook(hook, environment) for hook in startup_hooks(environment, seeds)]
    loose = [(plain_text(name), digest) for name, digest in unclaimed_code(environment, ownership)]
    parts: dict[str, Iterable[Row]] = {
        "startup": _hook_rows(hooks),
        "unclaimed": _digest_rows(loose),
        "activation": _digest_rows(environment.activation),
        "python": _python_rows(interpreter.implementation, interpreter.version, interpreter.abi),
        "platform": [("platform", platform_of(environment))],
    }
    unknown: list[tuple[str, str]] = []
    behind: dict[str, tuple[Row, ...]] = {}
    platform = environment.platform
    if platform is not None:
        sources, built = stdlib_digests(platform)
        behind = {str(sources[1]): _file_rows(platform.stdlib.sources), str(built[1]): _file_rows(platform.stdlib.built)}
        parts |= {
            "stdlib": _stdlib_rows(sources, built),
            "interpreter": _build_rows(platform.build),
            "native": _native_rows(platform.libc, platform.libraries),
            "cpu": _cpu_rows(platform.cpu),
            "blas": _blas_rows(platform.blas),
            "accelerators": _accelerator_rows(platform.accelerators),
        }
        unknown.extend((_PARTS.get(part, part), reason) for part, reason in platform.unknown)
    if not interpreter.version:
        unknown.append(("python", "its interpreter is not known"))
    packages = [_installed_package(item, seeds) for item in environment.distributions if not (conda and item.keeper)]
    packages += _conda_packages(environment) if conda else ()
    return Inventory(
        kind=InventoryKind.ENVIRONMENT,
        path=path or environment.prefix,
        digest=fingerprint,
        packages=_sorted([*packages, *_system_packages(environment)]),
        parts=_parts(parts, [part for part, _ in unknown]),
        behind=tuple(sorted(behind.items())),
        unknown=tuple(sorted(unknown)),
        blind=(*compare_problems(environment, ownership), *_elsewhere(environment)),
        interpreter=interpreter,
    )
