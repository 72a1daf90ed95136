"""Names and versions as the index compares them.

These two rules are all of them that a look at an environment needs, so they stand here in the standard library alone: the guard
runs where nothing else is installed. What a lock states is read by `packaging`, with which a test compares these.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CONDA", "SEEDS", "normalise_name", "version_key"]

#: What the name of a conda package begins with where names of both ecosystems lie side by side; no project of an index has a colon.
CONDA: Final = "conda:"

#: What an environment may be seeded with when it is made; never evidence that a group was asked for.
SEEDS: Final = frozenset({"pip", "setuptools", "wheel"})

_SEPARATORS: Final = re.compile(r"[-_.]+")

# PEP 440, appendix B, with groups for what equality is about.
_VERSION: Final = re.compile(
    r"""\s*v?
    (?:(?P<epoch>[0-9]+)!)?
    (?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>[0-9]+)?)?
    (?P<post>-(?P<post_n1>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n2>[0-9]+)?)?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_n>[0-9]+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?
    \s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PRE: Final = {"alpha": "a", "a": "a", "beta": "b", "b": "b", "c": "rc", "rc": "rc", "pre": "rc", "preview": "rc"}


def normalise_name(name: str) -> str:
    """*name* as the index compares it (PEP 503): lower case, runs of ``-``, ``_`` and ``.`` as one ``-``."""
    return _SEPARATORS.sub("-", name).lower()


def version_key(version: str) -> tuple[object, ...] | None:
    """What is equal for two spellings of one version (PEP 440), or None where *version* is not one."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    try:
        release = [int(part) for part in match["release"].split(".")]
        while len(release) > 1 and not release[-1]:
            release.pop()
        pre = (_PRE[match["pre"].lower()], int(match["pre_n"] or 0)) if match["pre"] else ()
        post = int(match["post_n1"] or match["post_n2"] or 0) if match["post"] else None
        dev = int(match["dev_n"] or 0) if match["dev"] else None
        local = tuple(int(part) if part.isdigit() else part.lower() for part in re.split(r"[-_.]", match["local"] or "") if part)
        return int(match["epoch"] or 0), tuple(release), pre, post, dev, local
    except ValueError:  # a number with more digits than Python reads
        return None
