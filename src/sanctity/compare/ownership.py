"""Who owns which file: RECORD rows against what was found, in both directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sanctity.model.names import SEEDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.environment import Distribution, Environment, FileEntry, RecordRow, SystemFile

__all__ = ["Ownership", "own"]

#: What pip, setuptools and wheel bring at the top of site-packages, but for what is named as their metadata is: no seal or lock
#: hashes a seed, so it answers for nothing else. From the wheels of their releases since 2018.
_SEED_CODE: Final = {
    "pip": frozenset({"pip"}),
    "setuptools": frozenset({"setuptools", "pkg_resources", "easy_install.py", "_distutils_hack"}),
    "wheel": frozenset({"wheel"}),
}
#: All that lies in ``_distutils_hack``, whose code runs at start-up, and is known by its digest.
_SEED_HACK: Final = frozenset({"__init__.py", "override.py", "__pycache__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Files and their owners.

    *files* are by path; *owners* maps a claimed path to its first owner; *rivals* maps a path with several owners to every
    (distribution, row) that claims it; *kept* maps a path to the package manager's package that owns it, and *keepers* one that
    several of these claim to each claim; *unclaimed* are the files in no RECORD and in no such package, sorted by path; *shown*
    strips site-packages. *importable* are the folders in which a file that nobody claims can be code.
    """

    files: Mapping[str, FileEntry]
    owners: dict[str, Distribution]
    rivals: dict[str, tuple[tuple[Distribution, RecordRow], ...]]
    kept: dict[str, str]
    unclaimed: tuple[FileEntry, ...]
    site: tuple[str, ...]
    keepers: dict[str, tuple[SystemFile, ...]] = field(default_factory=dict)
    importable: tuple[str, ...] = ()

    def shown(self, path: str) -> str:
        """*path* as a report prints it: relative to site-packages where it lies there."""
        for folder in self.site:
            if path.startswith(folder + "/"):
                return path[len(folder) + 1 :]
        return path

    def may_be_code(self, path: str) -> bool:
        """Whether *path* lies where import looks: in site-packages, or in a standard library that has a manifest."""
        return any(path.startswith(folder + "/") for folder in self.importable)

    def in_site(self, path: str) -> bool:
        """Whether *path* lies in site-packages."""
        return any(path.startswith(folder + "/") for folder in self.site)


def _may_be_of_seed(path: str, item: Distribution, site: tuple[str, ...]) -> bool:
    """Whether pip, setuptools or wheel, which *item* is, is known to bring *path*; hooks are known by their digest."""
    folder = next((folder for folder in site if path.startswith(f"{folder}/")), "")
    if not folder or path.endswith((".pth", ".start")):
        return True
    top, _, rest = path[len(folder) + 1 :].partition("/")
    if top == "_distutils_hack" and rest.partition("/")[0] not in _SEED_HACK:
        return False
    stem = item.home.rpartition("/")[2].rpartition(".")[0]
    return top in _SEED_CODE[item.key] or top.rpartition(".")[0] == stem


def own(environment: Environment) -> Ownership:
    """Index the files of *environment* by their owners."""
    owners: dict[str, Distribution] = {}
    contested: set[str] = set()
    for item in environment.distributions:
        paths = [row[0] for row in item.record or ()]
        if item.key in SEEDS:
            paths = [path for path in paths if _may_be_of_seed(path, item, environment.layout.site)]
        mine = dict.fromkeys(paths, item)
        if not owners.keys().isdisjoint(mine):
            both = owners.keys() & mine.keys()
            for path in both:
                del mine[path]
            contested |= both
        owners.update(mine)
    rivals: dict[str, list[tuple[Distribution, RecordRow]]] = {path: [] for path in sorted(contested)}
    if contested:
        for item in environment.distributions:
            for row in item.record or ():
                if row.path in contested:
                    rivals[row.path].append((item, row))
    kept = {file.path: file.package for file in environment.system}
    keepers: dict[str, tuple[SystemFile, ...]] = {}
    if len(kept) != len(environment.system):
        seen: dict[str, list[SystemFile]] = {}
        for file in environment.system:
            seen.setdefault(file.path, []).append(file)
        keepers = {path: tuple(files) for path, files in seen.items() if len(files) > 1}
    layout = environment.layout
    stdlib = (layout.stdlib,) if environment.manager == "conda" and layout.stdlib else ()
    return Ownership(
        files=environment.files,
        owners=owners,
        rivals={path: tuple(claims) for path, claims in rivals.items()},
        kept=kept,
        unclaimed=tuple(environment.files[path] for path in sorted(environment.files.keys() - owners.keys() - kept.keys())),
        site=layout.site,
        keepers=keepers,
        importable=(*layout.site, *stdlib),
    )
