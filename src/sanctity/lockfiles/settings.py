"""What a lock tells its tool beside its pins: options, overrides, channels, keys that are not known.

Nobody here follows them; who reviews a change of the lock is shown each that changed. A URL loses its secrets, as everywhere.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from sanctity.lockfiles.toml import clean_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["plain_setting", "settings_of"]

#: A value that is longer is told by its beginning and by what tells it apart.
_LONGEST: Final = 2000
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://\S+")
#: A user and password where no ``//`` says that they are.
_USER: Final = re.compile(r"(?<![^/\\@\s])[^/\\@\s:]*:[^/\\@\s]*@")
#: How conda has a token in a path.
_TOKEN: Final = re.compile(r"/t/[^/]+(?=/|$)")
#: How deep a table is taken apart into keys; what lies deeper is one value.
_DEEPEST: Final = 3


def plain_setting(text: str) -> str:
    """*text* with each URL in it less its user, password, query and fragment."""
    text = _URL.sub(_plain_url, text) if "://" in text else text
    return _USER.sub("", text) if "@" in text else text


def _plain_url(match: re.Match[str]) -> str:
    try:
        return _TOKEN.sub("", clean_url(match[0])[0])
    except ValueError:
        return f"{match[0].partition('://')[0]}://…"


def settings_of(document: Mapping[str, Any], *, besides: Collection[str], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """All that *document* states under its own keys, less those *besides*, as dotted keys and values in words."""
    rest = {key: value for key, value in document.items() if key not in besides}
    return tuple(_leaves(rest, prefix, _DEEPEST))


def _leaves(table: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}{plain_setting(key)}"
        if isinstance(value, dict) and value and depth > 1:
            yield from _leaves(value, f"{name}.", depth - 1)
        else:
            yield name, _words(value)


def _plain(value: object) -> object:
    """*value* with each text in it as `plain_setting` has it."""
    if isinstance(value, str):
        return plain_setting(value)
    if isinstance(value, dict):
        return {plain_setting(str(key)): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _words(value: object) -> str:
    from hashlib import sha256

    try:
        plain = _plain(value)
        text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, sort_keys=True, default=str)
    except RecursionError:
        return "nested too deeply to be told"
    if len(text) <= _LONGEST:
        return text
    return f"{text[:80]}… ({len(text):,} characters, sha256:{sha256(text.encode(errors='replace')).hexdigest()})"
