"""`compare`: two results, files or folders, bit for bit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError, SanctityError, UsageError

if TYPE_CHECKING:
    from sanctity.model.result import FileResult, ResultComparison
    from sanctity.observe.results import Found, Opened
    from sanctity.verbs.world import World

__all__ = ["compare"]


def compare(before: str, after: str, world: World, *, as_bytes: bool = False) -> ResultComparison:
    """How the result *after* differs from *before*: two files, or two folders whose files are matched by their paths.

    With *as_bytes* no file is looked into. What can not be read is undecided, and never the same, unless it is byte for byte.

    Raises:
        UsageError: ``result-not-found``; ``usage``, one is a folder and the other a file.
        SanctityError: ``result-unreadable``, a folder can not be listed.
    """
    from sanctity.model.result import ResultComparison
    from sanctity.observe.results import find_results

    places = [os.path.join(world.cwd, os.path.expanduser(name)) for name in (before, after)]
    one, two = (find_results(place) for place in places)
    if os.path.isdir(places[0]) != os.path.isdir(places[1]):
        raise UsageError("usage", "one is a folder and the other a file", where=after, hint="name two files, or two folders")
    paths = sorted({*one, *two})
    files: list[FileResult] = []
    for number, path in enumerate(paths):
        world.tick(number, len(paths))
        files.append(_file(path, one.get(path), two.get(path), as_bytes=as_bytes))
    return ResultComparison(before=before, after=after, files=tuple(files))


def _file(path: str, one: Found | None, two: Found | None, *, as_bytes: bool) -> FileResult:
    from sanctity.model.result import FileResult, LeafDifference, Sameness, What
    from sanctity.observe.results import opened

    name = path or os.path.basename((one or two).full)  # type: ignore[union-attr]
    if one is None or two is None:
        what = What.EXTRA if one is None else What.MISSING
        return FileResult(path=name, format="", sameness=Sameness.DIFFERENT, differences=(LeafDifference(path="", what=what),))
    if one.empty:
        return FileResult(path=name, format="empty folder", sameness=Sameness.IDENTICAL)
    if one.target or two.target:
        same = one.target == two.target
        words = [found.target or "(no link)" for found in (one, two)]
        differences = () if same else (LeafDifference(path="", what=What.VALUE, before=words[0], after=words[1]),)
        sameness = Sameness.IDENTICAL if same else Sameness.DIFFERENT
        return FileResult(path=name, format="link", sameness=sameness, differences=differences)
    for which, found in (("first", one), ("second", two)):
        if found.why:
            return FileResult(path=name, format="", sameness=Sameness.UNDECIDED, reason=f"the {which}: {found.why}")
    try:
        with opened(one.full) as before, opened(two.full) as after:
            return _contents(name, (one.full, two.full), before, after, as_bytes=as_bytes)
    except SanctityError as error:
        which = "the first: " if error.where == one.full else "the second: " if error.where == two.full else ""
        return FileResult(path=name, format="", sameness=Sameness.UNDECIDED, reason=f"{error.code}: {which}{error.message}")


def _contents(name: str, paths: tuple[str, str], before: Opened, after: Opened, *, as_bytes: bool) -> FileResult:
    from sanctity.compare.results import compare_bytes, compare_results
    from sanctity.model.result import FileResult, Sameness
    from sanctity.observe.results import same_beginning
    from sanctity.results import formats_of, read

    sizes = (len(before.data), len(after.data))
    formats = ("", "") if as_bytes else formats_of(paths, (before.data, after.data))
    same = same_beginning(before, after)
    if same == sizes[0] == sizes[1]:
        return FileResult(path=name, format=formats[0] or "bytes", sameness=Sameness.IDENTICAL, sizes=sizes)
    if not all(formats):
        reason = "" if as_bytes else "a format that is not known" if not any(formats) else "one is of a format that is not known"
        return compare_bytes(name, before.data, after.data, same=same, reason=reason)
    results = []
    for which, format_, side in zip(("first", "second"), formats, (before, after), strict=True):
        try:
            results.append(read(format_, side.data))
        except DocumentError as error:
            told = f"{error.where}: {error.message}" if error.where else error.message
            needs = "" if error.code == "result-needs-library" else f"the {which}: "
            reason = f"{error.code}: {needs}{told}"
            return FileResult(path=name, format=format_, sameness=Sameness.UNDECIDED, sizes=sizes, reason=reason)
    return compare_results(name, results[0], results[1], sizes, same=same)
