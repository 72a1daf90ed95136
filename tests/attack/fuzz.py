"""A fuzzer for everything that is read: locks, and the files of an environment.

    python tests/attack/fuzz.py --seconds 60 --seed 1

Three laws hold for every case. Nothing but a `SanctityError` is ever raised, soon and in little memory. An environment in which a
claimed file was changed, or code was planted, is never clean, and the report on it is valid and drives no terminal. And a lock that is
read can be linted and told in every format, and is exported as a lock that is read again, or refused.

A case is made from the seed and its number alone, so ``--seed S --only N`` runs a failed one again.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import datetime as dt
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli
import yaml

_TESTS = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # pragma: no cover - pytest has both on its path already
    sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "src")]

from attack.broken import SOUND  # noqa: E402 - the path comes first
from sanctity import verbs  # noqa: E402
from sanctity.errors import SanctityError  # noqa: E402
from sanctity.lockfiles import pylock  # noqa: E402
from sanctity.model.digest import Digest  # noqa: E402
from sanctity.model.drift import Depth, Verdict  # noqa: E402
from sanctity.observe.elf import ElfError, read_elf  # noqa: E402
from sanctity.observe.locks import read_lock  # noqa: E402
from sanctity.plan.flatten import flatten  # noqa: E402
from sanctity.plan.pylock import pylock_text, toml_string  # noqa: E402
from sanctity.report.json import comparison_json  # noqa: E402
from sanctity.report.linting import FORMATS as LINT_FORMATS  # noqa: E402
from sanctity.report.linting import linting_text  # noqa: E402
from sanctity.report.text import comparison_text, error_text  # noqa: E402
from sites import SMALL, add_distribution, build_site, site_packages  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BrokenLawError", "Fuzzer", "main"]

_FIXTURES: Final = _TESTS / "lockfiles/fixtures"
_CORPUS: Final = _TESTS.parents[1] / "shared/corpus"
#: The folders of the corpus, and the name that each one's locks are read under.
_FOLDERS: Final = {
    "uv": "uv.lock",
    "poetry": "poetry.lock",
    "pdm": "pdm.lock",
    "pipfile": "Pipfile.lock",
    "pylock": "pylock.toml",
    "conda-lock": "conda-lock.yml",
    "pixi": "pixi.lock",
    "conda-explicit": "conda-linux-64.lock",
    "requirements": "requirements.txt",
    "constraints": "requirements.txt",
    "environment-yml": "environment.yml",
    "pyproject": "pyproject.toml",
}
_LARGEST: Final = 120_000
#: A case that takes longer than this has no bound that anybody would wait for. Seconds of the processor.
_TOO_LONG: Final = 20.0
#: A lock that takes longer to read, lint and export than this is not read soon. None of them is larger than `_LARGEST`.
_TOO_LONG_FOR_A_LOCK: Final = 5.0
#: The most memory that a run may ask for, in bytes: more ends the case with a MemoryError.
_MEMORY: Final = 2 << 30

#: Pieces that parsers stumble over.
_TOKENS: Final = tuple(
    token.encode("utf-8", "surrogatepass")
    for token in (
        *("\0", "\x1b[2J", "\ud800", "\u202e", "\ufeff", "\u2028", "\x85", "\r", "\r\n", "\n\n", "\n ", '"', "'", '"""', "'''"),
        *(
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            "==",
            "===",
            ",",
            ";",
            "#",
            "\\",
            "\\\n",
            "${HOME}",
            "%(x)s",
            "../../../../etc/passwd",
        ),
        *("/etc/passwd", "file:///", "http://[", "//[::1", "@", ":", "git+", "-r ", "-e ", "--hash=sha256:", "sha256=", "sha256:"),
        *(
            "1" * 5000,
            "9" * 25,
            "-1",
            "1e999",
            "nan",
            "true",
            "null",
            "[" * 2000,
            "{" * 2000,
            "(" * 500,
            "a" * 200_000,
            " " * 50_000,
        ),
        *("import os\n", "Name: x\n", "Version: 1\n", "console_scripts", "home = /", "include-system-site-packages = true\n"),
        *('{"url": "file:///x", "dir_info": {"editable": true}}', '"\\ud800"', "1.0 ; python_version > '3'", "!=*", "~=1", ">=0,<"),
    )
)


class BrokenLawError(AssertionError):
    """A law was broken by one case."""


def mutate(data: bytes, rng: random.Random) -> bytes:
    """*data* with one to four small accidents."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 64, 1000)))
        match rng.randrange(12):
            case 0 | 1 if data:
                flipped = bytearray(data)
                flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                data = bytes(flipped)
            case 2:
                data = data[:at]
            case 3:
                data = data[:at] + data[end:]
            case 4:
                data = data[:at] + data[at:end] * rng.choice((2, 3, 50)) + data[end:]
            case 5:
                data = data[:at] + rng.randbytes(rng.choice((1, 4, 16))) + data[at:]
            case 6 | 7 | 8:
                data = data[:at] + rng.choice(_TOKENS) + data[at:]
            case 9:
                lines = data.split(b"\n")
                index = rng.randrange(len(lines))
                lines[index : index + 1] = rng.choice(([], [lines[index]] * 2, [rng.choice(lines)], [rng.choice(_TOKENS)]))
                data = b"\n".join(lines)
            case 10 if rng.random() < 0.1:
                with contextlib.suppress(UnicodeDecodeError):
                    data = data.decode().encode(rng.choice(("utf-16", "utf-8-sig", "utf-32", "latin-1")), "replace")
            case _:
                words = data[at : at + 4000].split(b'"')
                if len(words) > 3:
                    index = rng.randrange(1, len(words) - 1)
                    words[index] = rng.choice((rng.choice(words), b"", rng.choice(_TOKENS)))
                    data = data[:at] + b'"'.join(words) + data[at + 4000 :]
    return data


def lock_texts() -> list[tuple[str, str, bytes]]:
    """(where from, the name to read it under, bytes) of every sound example, fixture, and lock of the corpus that is not large."""
    found = [(f"sound {name}", name, text.encode()) for name, text in SOUND.items()]
    for path in sorted(path for place in (_FIXTURES, _CORPUS) for path in place.rglob("*") if path.is_file()):
        if path.stat().st_size > _LARGEST:
            continue
        if path.is_relative_to(_CORPUS):
            name = _FOLDERS.get(path.relative_to(_CORPUS).parts[0], "")
        else:
            named = (name for name in _FOLDERS.values() if path.name == name or path.name.endswith("." + name))
            name = next(named, path.name if path.name.startswith("pylock.") or path.name.endswith(".py.lock") else "")
        if name:
            found.append((path.name, name, path.read_bytes()))
    return found


# --- Documents with another shape ------------------------------------------------------------------------------------------


def _odd(rng: random.Random, depth: int = 0) -> Any:
    """A value that nobody expects."""
    plain: tuple[Any, ...] = (
        *("", " ", "x" * 5000, "../../x", "\u202e", "a\x00b", "https://[", "https://u:p@h/x?token=t", "==1", "1!2.0+x", "9" * 400),
        *("python_version < '3'", "(" * 200 + "os_name == ''" + ")" * 200, "sha256:" + "a" * 64, "six", "\ud7ff", "1.0 || 2"),
        *(0, -1, 1, 2**31, 2**63 - 1, True, False, 1.5, float("inf")),
        *([], {}, [[]], [{}], {"": ""}, {"name": 1}, dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.date(9999, 12, 31), None),
    )
    if depth < 3 and rng.random() < 0.1:
        return [_odd(rng, depth + 1) for _ in range(rng.randrange(3))]
    if rng.random() < 0.03:
        nested: Any = "deep"
        for _ in range(rng.choice((30, 60, 150))):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return rng.choice(plain)


#: Texts that are right somewhere.
_PLAUSIBLE: Final = (
    *("six", "click", "1.0", "2.0.1", "==1.0", ">=1,<2", "*", "main", "dev", "default", "linux-64", "noarch", ".", "..", "a/b"),
    *("os_name == 'nt'", "python_version < '3.9' or extra == 'dev'", "'dev' in dependency_groups", "extra != 'x' and extra == 'y'"),
    *(
        "sha256:" + "0" * 64,
        "md5:" + "0" * 32,
        "https://index.example/simple",
        "https://files.example/six-1.0.tar.gz",
        "git",
        "url",
    ),
    *("../x-1.0-py3-none-any.whl", "git+https://git.example/x@" + "a" * 40, "https://conda.example/c/linux-64/x-1-0.conda"),
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key or number there."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        for key in here if isinstance(here, dict) else range(len(here)):
            yield here, key
            if isinstance(here[key], (dict, list)):
                waiting.append(here[key])


def reshape(document: Any, rng: random.Random) -> Any:
    """*document* with one to three of its values replaced, moved, doubled or taken away; it may be changed itself."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(document))
        if not places:
            return _odd(rng)
        holder, key = rng.choice(places)
        if rng.random() < 0.5:  # a value of its own kind: what comes of it is often read, and lint and export see it
            alike = [(other, there) for other, there in places if there == key and type(other[there]) is type(holder[key])]
            other, there = rng.choice(alike)
            if rng.random() < 0.3 and isinstance(holder[key], list):
                holder[key] = copy.deepcopy([*holder[key], *other[there]])[: rng.choice((1, 3, 100))]
            elif rng.random() < 0.3 and isinstance(holder[key], str):
                holder[key] = rng.choice(_PLAUSIBLE)
            else:
                holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(holder[key])  # one may lie in the other
            continue
        other, there = rng.choice(places)
        match rng.randrange(8):
            case 0 | 1 | 2:
                holder[key] = _odd(rng)
            case 3:
                del holder[key]
            case 4:
                holder[key] = json.loads(json.dumps(other[there], default=str))
            case 5 if isinstance(holder, list):
                holder[key:key] = [holder[key]] * rng.choice((1, 2, 40))
            case 6 if isinstance(holder, dict):
                holder[rng.choice((f"{key}x", "", "version", "name", "extra", str(_odd(rng))))] = holder[key]
            case _ if isinstance(holder[key], str) and holder[key]:
                text = holder[key]
                at = rng.randrange(len(text) + 1)
                holder[key] = rng.choice((text[:at], text[at:], text.upper(), text + text, text[:at] + str(_odd(rng)) + text[at:]))
            case _:
                holder[key] = [holder[key]]
    return document


def _toml(value: Any) -> str:
    """*value* in one line of TOML, as far as TOML has such a value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_string(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    return (
        json.dumps(value) if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else toml_string(str(value))
    )


def reshaped(name: str, data: bytes, rng: random.Random) -> bytes | None:
    """The lock *data*, called *name*, in another shape; None where it has no shape but lines."""
    ending = name.rpartition(".")[2]
    if name == "Pipfile.lock":
        return json.dumps(reshape(json.loads(data), rng), default=str).encode()
    if ending in {"yml", "yaml"} or name == "pixi.lock":
        try:
            document = yaml.load(data, yaml.CBaseLoader)
        except yaml.YAMLError:  # a template is none
            return None
        return yaml.dump(reshape(document, rng), Dumper=yaml.CSafeDumper, allow_unicode=True).encode("utf-8", "replace")
    if ending == "txt" or name == "conda-linux-64.lock":
        return None
    document = reshape(tomli.loads(data.decode()), rng)
    rows = document.items() if isinstance(document, dict) else [("x", document)]
    return "".join(f"{toml_string(str(key))} = {_toml(value)}\n" for key, value in rows).encode("utf-8", "replace")


class Fuzzer:
    """Cases in the empty folder *scratch*; *counts* says how many of each kind were run, and what came of them."""

    def __init__(self, scratch: Path, seed: int) -> None:
        self.scratch = scratch
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.locks = lock_texts()
        self.env = build_site(scratch, {**SMALL, "gamma 3.0": {"gamma/__init__.py": b"", "gamma-hook.pth": b"import gamma\n"}})
        self.site = site_packages(self.env)
        origin = b'{"url": "https://index.example/delta-4.tar.gz", "archive_info": {"hashes": {"sha256": "' + b"0" * 64 + b'"}}}'
        add_distribution(self.env, "delta", "4", {"delta.py": b"", "delta-4.dist-info/direct_url.json": origin})
        # A copy in place of the link, so that its bytes can be changed.
        python = self.env / "bin/python"
        real = python.resolve()
        python.unlink()
        shutil.copy2(real, python)
        for cache in self.env.rglob("__pycache__"):
            shutil.rmtree(cache)
        claimed = [path for path in self.site.rglob("*") if path.is_file() and path.name != "RECORD"]
        self.claimed = sorted([*claimed, self.env / "bin/beta"])
        self.others = sorted([*self.site.glob("*/RECORD"), self.env / "pyvenv.cfg"])
        outcome = self._verify()
        if outcome is not Verdict.CLEAN:
            raise BrokenLawError(f"the environment is {outcome} before anything was changed")

    def _verify(self, depth: Depth = Depth.RECORD) -> Verdict | None:
        """The verdict on the environment, None for an error; the report is made as well."""
        world = verbs.World(cwd=str(self.scratch), environ={}, clock=time.monotonic)
        try:
            outcome = verbs.verify(verbs.Target(project=str(self.scratch), env=str(self.env)), world, depth=depth)
        except SanctityError as error:
            _harmless(error_text(error))
            return None
        json.loads(comparison_json(outcome.comparison, "verify").encode("utf-8"))
        _harmless(comparison_text(outcome.comparison, "verify"))
        return outcome.comparison.verdict

    def lock(self, rng: random.Random) -> str:
        """A lock with accidents in it: it is read, or refused."""
        origin, name, data = rng.choice(self.locks)
        return self._told(origin, name, mutate(data, rng))

    def shape(self, rng: random.Random) -> str:
        """A lock whose document has another shape: it is read, or refused."""
        origin, name, data = rng.choice(self.locks)
        shaped = reshaped(name, data, rng)
        return self._told(origin, name, mutate(data, rng) if shaped is None else shaped)

    def _told(self, origin: str, name: str, data: bytes) -> str:
        """What came of the lock *data* under *name*: read, linted, told in every format, and exported."""
        path = self.scratch / name
        path.write_bytes(data)
        started = time.process_time()
        try:
            result = f"{name}: {self._read(path)}"
        except Exception as error:
            kept = self._keep(name, data)
            raise BrokenLawError(f"{origin}: {type(error).__name__}: {error}: the bytes are in {kept}") from error
        finally:
            path.unlink()
        if time.process_time() - started > _TOO_LONG_FOR_A_LOCK:
            raise BrokenLawError(f"{origin}: {time.process_time() - started:.1f} s: the bytes are in {self._keep(name, data)}")
        return result

    def _keep(self, name: str, data: bytes) -> str:
        """Where the bytes of a failure are kept."""
        kept = Path(tempfile.mkdtemp(prefix="sanctity-fuzz-"), name)
        kept.write_bytes(data)
        return str(kept)

    def _read(self, path: Path) -> str:
        world = verbs.World(cwd=str(self.scratch), environ={}, clock=time.monotonic)
        found = verbs.lint((str(path),), world).linting
        _harmless(linting_text(found))
        for name in ("json", "markdown", "sarif", "github"):
            text = LINT_FORMATS[name](found)
            if name in {"json", "sarif"}:  # read by programs, which any character may reach
                json.loads(text.encode("utf-8"))
            else:
                _harmless(text)
        try:
            lock = read_lock(path)
        except SanctityError as error:
            _harmless(error_text(error))
            return "refused"
        try:
            flat = flatten(lock)
            text = pylock_text(flat)
        except SanctityError as error:
            _harmless(error_text(error))
            return "read"
        again = pylock.parse(text, path="pylock.toml", digest=Digest("sha256", "0" * 64), beside={})
        if [(pin.name, pin.version) for pin in again.pins] != [(pin.name, pin.version) for pin in flat.pins]:
            raise BrokenLawError("exported and read again, it holds other packages")
        return "exported"

    def altered(self, rng: random.Random) -> str:
        """A claimed file with other bytes: never clean."""
        path = rng.choice(self.claimed)
        data = path.read_bytes()
        changed = mutate(data, rng)
        if changed == data:
            return "unchanged"
        with _replaced(path, changed):
            self._verify(Depth.VERSION)
            if self._verify() is Verdict.CLEAN:
                raise BrokenLawError(f"{path.relative_to(self.env)} was changed, and the verdict is clean")
        return f"changed {path.name}"

    def unhashed(self, rng: random.Random) -> str:
        """A RECORD or pyvenv.cfg with accidents: whatever it says, there is a verdict or an error."""
        path = rng.choice(self.others)
        with _replaced(path, mutate(path.read_bytes(), rng)):
            self._verify()
        return f"changed {path.name}"

    def interpreter(self, rng: random.Random) -> str:
        """An interpreter with other bytes: never clean, and its header costs no more than an error."""
        path = self.env / "bin/python"
        data = path.read_bytes()
        head = bytearray(data)
        # Mostly in the headers, the dynamic section and the hash tables, where the reader looks.
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(rng.choice((64, 1024, 4096, len(data))))
            head[at : at + 4] = rng.choice((rng.randbytes(4), b"\xff" * 4, bytes(4), bytes([head[at] ^ 1 << rng.randrange(8)])))
        changed = bytes(head[: rng.choice((len(head), len(head), rng.randrange(len(head))))])
        if changed == data:
            return "unchanged"
        with _replaced(path, changed):
            with contextlib.suppress(ElfError):
                read_elf(str(path), "Py_Version")
            if self._verify() is Verdict.CLEAN:
                raise BrokenLawError("bin/python was changed, and the verdict is clean")
        return "changed interpreter"

    def planted(self, rng: random.Random) -> str:
        """A module nobody claims, under any name that the file system takes: never clean."""
        letters = bytes(code for code in range(1, 256) if code != ord("/"))
        stem = bytes(rng.choice(letters) for _ in range(rng.choice((1, 3, 20, 200))))
        name = stem + rng.choice((b".py", b".so", b".pyc", b".pth", b".PY", b".zip"))
        folder = os.fsencode(rng.choice((self.site, self.site / "alpha", self.site / "alpha/deep")))
        path = folder + b"/" + name
        if os.path.lexists(path):
            return "taken"
        try:
            if rng.random() < 0.2:
                os.symlink(rng.choice((b"/etc/hostname", b"nowhere", name, b"..", b"/dev/zero", b"\xff")), path)
            else:
                with open(path, "wb") as file:
                    file.write(rng.choice((b"", b"import os\n", rng.randbytes(40))))
            if self._verify() is Verdict.CLEAN:
                raise BrokenLawError(f"{path!r} was planted, and the verdict is clean")
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return "planted"

    def run(self, number: int) -> None:
        """Run the case *number*. Raises BrokenLawError."""
        rng = random.Random(f"{self.seed}:{number}")
        kinds: tuple[Callable[[random.Random], str], ...] = (
            *(self.lock,) * 6,
            *(self.shape,) * 6,
            *(self.altered,) * 3,
            self.unhashed,
            self.unhashed,
            self.interpreter,
            self.planted,
        )
        kind = rng.choice(kinds)
        started = time.process_time()
        try:
            result = kind(rng)
        except BrokenLawError as failure:
            raise BrokenLawError(f"{kind.__name__}: {failure}") from None
        except Exception as error:
            raise BrokenLawError(f"{kind.__name__}: {type(error).__name__}: {error}") from error
        if time.process_time() - started > _TOO_LONG:
            raise BrokenLawError(f"{kind.__name__}: {result}: {time.process_time() - started:.0f} s")
        self.counts[kind.__name__] += 1
        self.counts[f"  {result}"] += 1


def _harmless(text: str) -> None:
    bad = {c for c in text if c != "\n" and not c.isprintable()}
    if bad:
        raise BrokenLawError(f"the report holds {sorted(bad)!r}")


@contextlib.contextmanager
def _replaced(path: Path, data: bytes) -> Iterator[None]:
    kept = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(kept)


def main(argv: list[str] | None = None) -> int:
    """Run cases until the time is up; 0 where all laws held for all of them."""
    parser = argparse.ArgumentParser(description="Fuzz everything that sanctity reads.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, default=None, help="run this one case again")
    options = parser.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with tempfile.TemporaryDirectory() as scratch:
        fuzzer = Fuzzer(Path(scratch), options.seed)
        number = options.only or 0
        end = time.monotonic() + options.seconds
        while options.only is not None or time.monotonic() < end:
            try:
                fuzzer.run(number)
            except BrokenLawError:
                traceback.print_exc()
                print(f"failed: python tests/attack/fuzz.py --seed {options.seed} --only {number}", file=sys.stderr)
                return 1
            number += 1
            if options.only is not None:
                break
    for name, count in sorted(fuzzer.counts.items()):
        print(f"{count:7,}  {name}")
    print(f"{number:7,} cases, seed {options.seed}: all laws held")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
