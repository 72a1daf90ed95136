"""The commands that fill, check and move an archive."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from sanctity.cli.common import paint, perform, tell, write
from sanctity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.archive import ArchivedArtifact, ArchivedLock
    from sanctity.report.text import Paint
    from sanctity.store.upkeep import Garbage, Scrubbed
    from sanctity.verbs.archiving import Added
    from sanctity.verbs.keeping import Contents, Healthy

__all__ = ["archive"]

_SCHEMA: Final = "sanctity.archive/1"
_MOST: Final = 40

_place = click.option(
    "--archive",
    "place",
    metavar="DIR",
    default="",
    envvar="SANCTITY_ARCHIVE",
    help="The archive: a folder, or s3://, gs:// or az:// and a bucket; by default $SANCTITY_ARCHIVE.",
)
_format = click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
)


@click.group()
def archive() -> None:
    """Keep what a rebuild needs: fill, check and move an archive.

    An archive is an OCI image layout: wheels, sdists, locks, seals and interpreters, each under the SHA-256 of its bytes.
    """


def _named(place: str) -> str:
    if not place:
        raise UsageError("usage", "no archive is named", hint="name it: --archive DIR, or $SANCTITY_ARCHIVE")
    return place


def _jobs(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--jobs", type=click.IntRange(0, 64), default=0, help="Downloads at the same time; 0 means 8.")(function)


def _targets(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name platforms and Pythons."""
    for option in (
        click.option(
            "--python-version", "pythons", metavar="VERSION", multiple=True, help="For this Python, such as 3.11; may be repeated."
        ),
        click.option(
            "--platform",
            "platforms",
            metavar="NAME",
            multiple=True,
            help="For this platform, such as linux-aarch64-glibc; may be repeated.",
        ),
    ):
        function = option(function)
    return function


@archive.command()
@click.argument("references", nargs=-1, required=True, metavar="LOCK-OR-SEAL...")
@_place
@click.option("--env", metavar="DIR", default="", help="The environment to add for, and to pack from what no index has as a wheel.")
@_targets
@click.option("--all", "whole", is_flag=True, help="Every artifact that the lock lists, for whatever platform.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="This dependency group too; may be repeated.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="This extra too; may be repeated.")
@click.option(
    "--interpreter", metavar="FILE", default="", help="Keep this file beside the interpreter's identity: an archive of it."
)
@click.option("--build", is_flag=True, help="Build what has no wheel, with uv or pip. This runs code of the sdists.")
@click.option("--offline", is_flag=True, help="Ask no index: take what lies in caches, and where the lock says.")
@click.option("--name", metavar="NAME", default="", help="What the archive calls it; by default the project's name and the file's.")
@_jobs
@_format
def add(
    *,
    references: tuple[str, ...],
    place: str,
    env: str,
    platforms: tuple[str, ...],
    pythons: tuple[str, ...],
    whole: bool,
    groups: tuple[str, ...],
    extras: tuple[str, ...],
    interpreter: str,
    build: bool,
    offline: bool,
    name: str,
    jobs: int,
    format_: str,
) -> None:
    """Keep locks and seals, and every artifact that a rebuild of them needs.

    By default for the project's own environment, else for the Python that this runs on; of a seal, for each of its entries. What
    was cut short goes on where it was. Exit codes: 0 kept, 3 something could not be had.
    """
    from sanctity.verbs.archiving import add_to_archive

    made: Added = perform(
        "archive add",
        format_,
        lambda world: add_to_archive(
            references,
            world,
            place=_named(place),
            env=env,
            platforms=platforms,
            pythons=pythons,
            whole=whole,
            groups=groups,
            extras=extras,
            interpreter=interpreter,
            build=build,
            offline=offline,
            name=name,
            jobs=jobs,
        ),
    )
    for notice in made.notices:
        tell(f"note: {_plain(notice)}\n")
    code = 3 if made.failed else 0
    if format_ == "json":
        _json("archive add", code, _added_document(made))
    headline = _headline("NOT ALL KEPT" if made.failed else "KEPT", good=not made.failed)
    total = made.there + made.fetched + made.found + made.made
    where = f"{made.fetched:,} fetched, {made.found:,} from caches and folders, {made.made:,} made, {made.there:,} were there"
    lines = [f"{headline}  {_plain(made.place)}   {_count(total, 'artifact')}, {_size(made.size)}: {where}"]
    lines += [f"  lock  {_plain(lock.name)}   {lock.digest}   for {_wanted(lock)}" for lock in made.locks]
    lines += [f"  seal  {_plain(seal.name)}   {seal.digest}" for seal in made.seals]
    lines += [f"  python  {each.implementation} {each.version} {each.platform}" for each in made.interpreters]
    colour = paint(sys.stdout)
    for item in made.lacking[:_MOST]:
        code_ = colour("bad" if item.failed else "doubt", item.code)
        lines.append(f"  {code_}   {_plain(f'{item.name} {item.version}')}   {_plain(item.reason)}")
    lines += _more(len(made.lacking))
    _end(lines, code)


@archive.command("list")
@_place
@_format
def list_(*, place: str, format_: str) -> None:
    """Say what is kept: locks, seals, interpreters, and their artifacts."""
    from sanctity.verbs.keeping import archive_contents

    found: Contents = perform("archive list", format_, lambda world: archive_contents(world, place=_named(place)))
    if format_ == "json":
        _json("archive list", 0, _contents_document(found))
    built = sum(bool(item.built_from) for item in found.artifacts)
    lines = [
        f"{_plain(found.place)}   {_count(len(found.locks), 'lock')}, {_count(len(found.seals), 'seal')}, "
        f"{_count(len(found.interpreters), 'interpreter')}, {_count(len(found.artifacts), 'artifact')}"
        + (f" ({built:,} built here)" if built else "")
        + f"; {_count(found.blobs, 'blob')}, {_size(found.size)}"
    ]
    for lock in found.locks:
        size = _size(sum(item.size for item in lock.artifacts))
        artifacts = _count(len(lock.artifacts), "artifact")
        lines.append(f"  lock    {_plain(lock.name or '(older)')}   {lock.digest}   {artifacts}, {size}, for {_wanted(lock)}")
    lines += [f"  seal    {_plain(seal.name or '(older)')}   {seal.digest}" for seal in found.seals]
    for each in found.interpreters:
        file = f"   {_plain(each.file.path)}, {_size(each.file.size)}" if each.file is not None else "   identity only"
        lines.append(f"  python  {_plain(f'{each.implementation} {each.version} {each.platform}')}{file}")
    _end(lines, 0)


@archive.command()
@_place
@click.option("--deep", is_flag=True, help="Also compute the content digest of each wheel again.")
@click.option("--workers", type=click.IntRange(0, 64), default=0, help="Reading threads; 0 means one a processor.")
@_format
def scrub(*, place: str, deep: bool, workers: int, format_: str) -> None:
    """Hash every byte again, and name what rotted, was cut short, or is missing.

    Exit codes: 0 all is sound, 1 something is wrong.
    """
    from sanctity.verbs.keeping import scrub_archive

    found: Scrubbed = perform(
        "archive scrub", format_, lambda world: scrub_archive(world, place=_named(place), workers=workers, deep=deep)
    )
    code = 1 if found.faults else 0
    if format_ == "json":
        faults = [
            {"code": fault.code, "what": fault.what, "message": fault.message, "used_by": list(fault.used_by)}
            for fault in found.faults
        ]
        beside = {"unreferenced": found.unreferenced, "leftovers": found.leftovers}
        _json("archive scrub", code, {"archive": place, "blobs": found.blobs, "bytes": found.size, **beside, "faults": faults})
    words = f"{_count(found.blobs, 'blob')}, {_size(found.size)}"
    lines = [f"{_headline('SOUND' if not code else 'DAMAGED', good=not code)}  {_plain(place)}   {words}"]
    colour = paint(sys.stdout)
    for fault in found.faults[:_MOST]:
        lines.append(f"  {colour('bad', fault.code)}   {_plain(fault.what)}   {_plain(fault.message)}")
        lines += [f"    used by {_plain(user)}" for user in fault.used_by[:6]]
        lines += [f"    and {len(fault.used_by) - 6:,} more"] if len(fault.used_by) > 6 else []
    lines += _more(len(found.faults))
    if found.unreferenced or found.leftovers:
        lines.append(
            f"  {_count(found.unreferenced, 'blob')} that nothing refers to, {found.leftovers:,} in the making or left behind: "
            "see sanctity archive gc"
        )
    _end(lines, code)


@archive.command()
@click.argument("references", nargs=-1, metavar="[LOCK-OR-SEAL|all]...")
@_place
@_targets
@click.option("--offline", is_flag=True, help="Ask no index whether something was yanked, or is gone.")
@_format
def health(
    *, references: tuple[str, ...], place: str, platforms: tuple[str, ...], pythons: tuple[str, ...], offline: bool, format_: str
) -> None:
    """Say whether locks and seals can be rebuilt today, from the archive alone.

    Indexes are asked as well, for what they have yanked, or have no more. Exit codes: 0 they can, 1 something is missing, 3 it
    can not be told.
    """
    from sanctity.verbs.keeping import State, archive_health

    found: Healthy = perform(
        "archive health",
        format_,
        lambda world: archive_health(references, world, place=_named(place), platforms=platforms, pythons=pythons, offline=offline),
    )
    code = {State.GOOD: 0, State.LACKING: 1, State.UNKNOWN: 3}[found.state]
    if format_ == "json":
        _json("archive health", code, _health_document(found))
    colour = paint(sys.stdout)
    words = {State.GOOD: ("good", "CAN BE REBUILT"), State.LACKING: ("bad", "LACKS SOMETHING"), State.UNKNOWN: ("doubt", "UNKNOWN")}
    lines = []
    for result in found.results:
        style, word = words[result.state]
        where = f"{result.wanted_for.platform} {result.wanted_for.python}"
        lines.append(f"{colour(style, word)}  {_plain(result.lock)}   {where}, {_count(result.artifacts, 'artifact')}")
        for item in result.ailments[:_MOST]:
            weight = "dim" if not item.ails else "doubt" if item.unknown else "bad"
            lines.append(f"  {colour(weight, item.code)}   {_plain(item.what)}   {_plain(item.reason)}")
        lines += _more(len(result.ailments))
    if not found.results:
        lines.append(f"{_plain(found.place)} keeps no locks")
    _end(lines, code)


@archive.command()
@click.argument("file", metavar="FILE")
@click.argument("references", nargs=-1, metavar="[LOCK-OR-SEAL]...")
@_place
@_format
def export(*, file: str, references: tuple[str, ...], place: str, format_: str) -> None:
    """Write the archive, or some locks of it, to one FILE that can be carried over an air gap."""
    from sanctity.verbs.keeping import export_from_archive

    made = perform("archive export", format_, lambda world: export_from_archive(world, file, references, place=_named(place)))
    stated = {"manifests": made.manifests, "blobs": made.blobs, "bytes": made.size}
    if format_ == "json":
        _json("archive export", 0, {"archive": place, "file": file, **stated})
    words = f"{_count(made.manifests, 'manifest')}, {_count(made.blobs, 'blob')}, {_size(made.size)}"
    _end([f"{_headline('EXPORTED', good=True)}  {_plain(file)}   {words}"], 0)


@archive.command("import")
@click.argument("file", metavar="FILE")
@_place
@_format
def import_(*, file: str, place: str, format_: str) -> None:
    """Take over an exported FILE: every blob is hashed, and nothing is listed unless all of it is whole."""
    from sanctity.verbs.keeping import import_into_archive

    made = perform("archive import", format_, lambda world: import_into_archive(world, file, place=_named(place)))
    stated = {"manifests": made.manifests, "blobs": made.blobs, "new": made.new, "bytes": made.size}
    if format_ == "json":
        _json("archive import", 0, {"archive": place, "file": file, **stated})
    words = f"{_count(made.manifests, 'manifest')}, {_count(made.blobs, 'blob')} of which {made.new:,} new, {_size(made.size)}"
    _end([f"{_headline('IMPORTED', good=True)}  {_plain(file)}   {words}"], 0)


@archive.command()
@_place
@click.option("--apply", is_flag=True, help="Delete it.")
@_format
def gc(*, place: str, apply: bool, format_: str) -> None:
    """Show what nothing needs any more; with --apply, delete it.

    Named locks stay, and every seal with all that it refers to.
    """
    from sanctity.verbs.keeping import collect_garbage

    found: Garbage = perform("archive gc", format_, lambda world: collect_garbage(world, place=_named(place), apply=apply))
    if format_ == "json":
        _json(
            "archive gc",
            0,
            {
                "archive": place,
                "applied": apply,
                "manifests": [{"digest": str(digest), "of": words} for digest, words in found.manifests],
                "blobs": [{"digest": f"sha256:{name}", "bytes": size} for name, size in found.blobs],
                "leftovers": [{"path": name, "bytes": size} for name, size in found.leftovers],
                "young": found.young,
                "bytes": found.size,
            },
        )
    verb = "DELETED" if apply else "WOULD DELETE"
    numbers = ((len(found.manifests), "manifest"), (len(found.blobs), "blob"), (len(found.leftovers), "leftover"))
    counts = ", ".join(_count(number, word) for number, word in numbers)
    lines = [f"{_headline(verb, good=True)}  {_plain(place)}   {counts}, {_size(found.size)}"]
    lines += [f"  manifest  {digest}   {_plain(words)}" for digest, words in found.manifests[:_MOST]]
    lines += [f"  blob      sha256:{name}   {_size(size)}" for name, size in found.blobs[:_MOST]]
    lines += [f"  leftover  {_plain(name)}   {_size(size)}" for name, size in found.leftovers[:_MOST]]
    lines += _more(max(map(len, (found.manifests, found.blobs, found.leftovers))))
    if found.young:
        lines.append(f"  {_count(found.young, 'blob')} left for another time: somebody may be adding them")
    if not apply and (found.manifests or found.blobs or found.leftovers):
        lines.append("  sanctity archive gc --apply deletes it")
    _end(lines, 0)


# -- drawing ----------------------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    from sanctity.report.words import plain

    return plain(text)


def _count(number: int, word: str) -> str:
    from sanctity.report.words import count

    return count(number, word)


def _size(size: int) -> str:
    """A number of bytes as people read it."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def _wanted(lock: ArchivedLock) -> str:
    """What the artifacts of *lock* are kept for."""
    return _plain(", ".join(f"{each.platform} {each.python}" for each in lock.wanted_for)) or "no platform"


def _headline(words: str, *, good: bool) -> str:
    colour: Paint = paint(sys.stdout)
    return colour("good" if good else "bad", words)


def _more(number: int) -> list[str]:
    return [f"  and {number - _MOST:,} more: --format json lists all"] if number > _MOST else []


def _end(lines: list[str], code: int) -> NoReturn:
    write("\n".join(lines) + "\n", "")
    raise SystemExit(code)


def _json(verb: str, code: int, stated: dict[str, Any]) -> NoReturn:
    from sanctity.report.words import utf8

    text = json.dumps({"schema": _SCHEMA, "verb": verb, "exit_code": code} | stated, indent=2, ensure_ascii=False)
    write(utf8(text) + "\n", "")
    raise SystemExit(code)


def _artifact_document(item: ArchivedArtifact) -> dict[str, Any]:
    stated = {
        "filename": item.filename,
        "kind": str(item.kind),
        "name": item.name,
        "version": item.version,
        "sha256": item.sha256.value,
        "bytes": item.size,
        "content": str(item.content or ""),
        "built_from": item.built_from,
        "yanked": item.yanked,
    }
    return {key: value for key, value in stated.items() if value != ""}


def _added_document(made: Added) -> dict[str, Any]:
    return {
        "archive": made.place,
        "artifacts": {"fetched": made.fetched, "found": made.found, "made": made.made, "there": made.there, "bytes": made.size},
        "locks": [
            {
                "name": lock.name,
                "digest": str(lock.digest),
                "manifest": str(lock.manifest),
                "for": [str(each) for each in lock.wanted_for],
            }
            for lock in made.locks
        ],
        "seals": [{"name": seal.name, "digest": str(seal.digest), "manifest": str(seal.manifest)} for seal in made.seals],
        "interpreters": [
            {"version": each.version, "platform": each.platform, "manifest": str(each.manifest)} for each in made.interpreters
        ],
        "lacking": [
            {"name": item.name, "version": item.version, "code": item.code, "reason": item.reason, "failed": item.failed}
            for item in made.lacking
        ],
    }


def _contents_document(found: Contents) -> dict[str, Any]:
    return {
        "archive": found.place,
        "blobs": found.blobs,
        "bytes": found.size,
        "locks": [
            {
                "name": lock.name,
                "digest": str(lock.digest),
                "format": lock.format,
                "manifest": str(lock.manifest),
                "for": [str(each) for each in lock.wanted_for],
                "whole": lock.whole,
                "documents": [{"path": item.path, "sha256": item.sha256.value, "bytes": item.size} for item in lock.documents],
                "artifacts": [_artifact_document(item) for item in lock.artifacts],
            }
            for lock in found.locks
        ],
        "seals": [
            {
                "name": seal.name,
                "digest": str(seal.digest),
                "manifest": str(seal.manifest),
                "locks": [str(digest) for digest in seal.locks],
                "documents": [{"path": item.path, "sha256": item.sha256.value, "bytes": item.size} for item in seal.documents],
            }
            for seal in found.seals
        ],
        "interpreters": [
            {
                "implementation": each.implementation,
                "version": each.version,
                "abi": each.abi,
                "platform": each.platform,
                "compiled": each.build.compiled,
                "executable": str(each.build.executable or ""),
                "manifest": str(each.manifest),
                "file": each.file.path if each.file is not None else "",
            }
            for each in found.interpreters
        ],
    }


def _health_document(found: Healthy) -> dict[str, Any]:
    return {
        "archive": found.place,
        "state": str(found.state),
        "asked_indexes": found.asked,
        "results": [
            {
                "lock": result.lock,
                "digest": str(result.digest),
                "platform": result.wanted_for.platform,
                "python": result.wanted_for.python,
                "artifacts": result.artifacts,
                "state": str(result.state),
                "ailments": [
                    {"code": item.code, "what": item.what, "reason": item.reason, "ails": item.ails, "unknown": item.unknown}
                    for item in result.ailments
                ],
            }
            for result in found.results
        ],
    }
