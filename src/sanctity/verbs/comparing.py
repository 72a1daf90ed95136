"""`compare`: two results, files or folders, bit for bit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError, SanctityError, UsageError

if TYPE_CHECKING:
    from sanctity.model.result import FileResult, ResultComparison
    from sanctity.observe.results import Found
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
    files = []
    for number, path in enumerate(paths):
        world.tick(number, len(paths))
        files.append(_file(path or os.path.basename(before), one.get(path), two.get(path), as_bytes=as_bytes))
    return ResultComparison(before=before, after=after, files=tuple(files))


def _file(path: str, one: Found | None, two: Found | None, *, as_bytes: bool) -> FileResult:
    from sanctity.compare.results import compare_bytes, compare_results, same_bytes
    from sanctity.model.result import FileResult, LeafDifference, Sameness, What
    from sanctity.observe.results import mapped
    from sanctity.results import format_of, read

    if one is None or two is None:
        what = What.EXTRA if one is None else What.MISSING
        return FileResult(path=path, format="", sameness=Sameness.DIFFERENT, differences=(LeafDifference(path="", what=what),))
    if one.target or two.target:
        same = one.target == two.target
        differences = () if same else (LeafDifference(path="", what=What.VALUE, before=one.target, after=two.target),)
        sameness = Sameness.IDENTICAL if same else Sameness.DIFFERENT
        return FileResult(path=path, format="link", sameness=sameness, differences=differences)
    if why := one.why or two.why:
        return FileResult(path=path, format="", sameness=Sameness.UNDECIDED, reason=why)
    try:
        with mapped(one.full) as before, mapped(two.full) as after:
            sizes = (len(before), len(after))
            name = os.path.basename(path)
            format_ = "" if as_bytes else format_of(name, before)
            if same_bytes(before, after):
                return FileResult(path=path, format=format_ or "bytes", sameness=Sameness.IDENTICAL, sizes=sizes)
            if not format_ or as_bytes:
                return compare_bytes(path, before, after, "" if as_bytes else "a format that is not known")
            read_before, read_after = read(name, before), read(name, after)
            if read_before is None or read_after is None:
                return compare_bytes(path, before, after, "one of them is of a format that is not known")
            return compare_results(path, read_before, read_after, sizes)
    except DocumentError as error:
        reason = f"{error.where}: {error.message}" if error.where else error.message
        return FileResult(path=path, format=format_, sameness=Sameness.UNDECIDED, sizes=sizes, reason=f"{error.code}: {reason}")
    except SanctityError as error:
        return FileResult(path=path, format="", sameness=Sameness.UNDECIDED, reason=f"{error.code}: {error.message}")
