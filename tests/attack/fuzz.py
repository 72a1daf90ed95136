"""A fuzzer for everything that is read: locks, and the files of an environment.

    python tests/attack/fuzz.py --seconds 60 --seed 1

Two laws hold for every case. Nothing but a `SanctityError` is ever raised, and soon. And an environment in which a claimed file was
changed, or code was planted, is never clean, and the report on it is valid and drives no terminal.

A case is made from the seed and its number alone, so ``--seed S --only N`` runs a failed one again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

_TESTS = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # pragma: no cover - pytest has both on its path already
    sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "src")]

from sanctity import verbs  # noqa: E402 - the path comes first
from sanctity.errors import SanctityError  # noqa: E402
from sanctity.model.drift import Depth, Verdict  # noqa: E402
from sanctity.observe.elf import ElfError, read_elf  # noqa: E402
from sanctity.observe.locks import read_lock  # noqa: E402
from sanctity.report.json import comparison_json  # noqa: E402
from sanctity.report.text import comparison_text, error_text  # noqa: E402
from sites import SMALL, add_distribution, build_site, site_packages  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BrokenLawError", "Fuzzer", "main"]

_FIXTURES: Final = _TESTS / "lockfiles/fixtures"
_CORPUS: Final = _TESTS.parents[1] / "shared/corpus"
_NAMES: Final = ("uv.lock", "poetry.lock", "requirements.txt")
#: The folders of the corpus, and the name that each one's locks are read under.
_FOLDERS: Final = {"uv": "uv.lock", "poetry": "poetry.lock", "requirements": "requirements.txt", "pylock": "pylock.toml"}
_LARGEST: Final = 120_000
#: A case that takes longer than this has no bound that anybody would wait for. Seconds.
_TOO_LONG: Final = 30.0

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
    """(where from, the name to read it under, bytes) of every fixture and every lock of the corpus that is not large."""
    found = []
    places = [_FIXTURES, *([_CORPUS] if _CORPUS.is_dir() else [])]
    for path in sorted(path for place in places for path in place.rglob("*") if path.is_file()):
        name = next((name for name in _NAMES if path.name == name or path.name.endswith("." + name)), "")
        if path.is_relative_to(_CORPUS):
            name = next((name for folder, name in _FOLDERS.items() if f"{path.relative_to(_CORPUS)}".startswith(folder)), "")
        if not name and path.name.startswith("pylock.") and path.name.endswith(".toml"):
            name = path.name
        if not name and path.name.endswith(".py.lock"):
            name = path.name
        if name and path.stat().st_size <= _LARGEST:
            found.append((path.name, name, path.read_bytes()))
    return found


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
        path = self.scratch / name
        path.write_bytes(mutate(data, rng))
        try:
            read_lock(path)
        except SanctityError as error:
            _harmless(error_text(error))
            return f"{origin}: refused"
        finally:
            path.unlink()
        return f"{origin}: read"

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
            *(self.lock,) * 4,
            *(self.altered,) * 3,
            self.unhashed,
            self.unhashed,
            self.interpreter,
            self.planted,
        )
        kind = rng.choice(kinds)
        started = time.monotonic()
        try:
            result = kind(rng)
        except BrokenLawError as failure:
            raise BrokenLawError(f"{kind.__name__}: {failure}") from None
        except Exception as error:
            raise BrokenLawError(f"{kind.__name__}: {type(error).__name__}: {error}") from error
        if time.monotonic() - started > _TOO_LONG:
            raise BrokenLawError(f"{kind.__name__}: {result}: {time.monotonic() - started:.0f} s")
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
    """Run cases until the time is up; 0 where both laws held for all of them."""
    parser = argparse.ArgumentParser(description="Fuzz everything that sanctity reads.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, default=None, help="run this one case again")
    options = parser.parse_args(argv)
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
    print(f"{number:7,} cases, seed {options.seed}: both laws held")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
