"""What holds for every format of the room: the facts of real locks, the door, the disk, and hostile input."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.errors import DocumentError
from sanctity.lockfiles import READERS, LockReader, decode, pylock, reader_for, requirements, uv
from sanctity.model.digest import Digest
from sanctity.model.lock import Lock, LockFormat, RootKind, SourceKind
from sanctity.observe import locks
from sanctity.observe.locks import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
CORPUS = HERE.parents[1] / ".." / "shared" / "corpus"
DIGEST = Digest("sha256", "0" * 64)
TOML: dict[str, LockReader] = {"uv.lock": uv, "pylock.toml": pylock}


def corpus_rows() -> list[dict[str, str]]:
    index = CORPUS / "INDEX.tsv"
    if not index.exists():
        return []
    with index.open(newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["format"] in TOML]


@pytest.fixture(params=corpus_rows() or [{}], ids=lambda row: row.get("path", "absent"))
def row(request: pytest.FixtureRequest) -> dict[str, str]:
    if not request.param:
        pytest.skip("the corpus of real locks is not beside this checkout")
    found: dict[str, str] = request.param
    return found


def test_the_facts_of_real_locks(row: dict[str, str]) -> None:
    """The corpus was counted by another program, straight from the documents."""
    lock = read_lock(CORPUS / row["path"], reader=TOML[row["format"]])
    facts = json.loads(row["more_facts"])
    artifacts = [artifact for pin in lock.pins for artifact in pin.artifacts]
    unhashed = {pin.name for pin in lock.pins} - {pin.name for pin in lock.pins for a in pin.artifacts if a.digests}
    assert str(len(lock.pins)) == row["packages"]
    assert str(len(lock.names())) == row["unique_names"]
    assert str(sum(bool(artifact.digests) for artifact in artifacts)) == row["hashed_artifacts"]
    assert str(sum(not artifact.digests for artifact in artifacts)) == row["unhashed_artifacts"]
    assert {digest.algorithm for artifact in artifacts for digest in artifact.digests} == (
        {algorithm.partition(":")[0] for algorithm in row["hash_algos"].split(",")} - {""}
    )
    assert unhashed == set(filter(None, row["no_hash_packages"].split(",")))
    assert {f"{pin.name}:{pin.source.kind}" for pin in lock.pins if pin.source.kind is not SourceKind.REGISTRY} == (
        set(filter(None, row["vcs_url_path_packages"].split(",")))
    )
    assert len({(pin.name, pin.version) for pin in lock.pins}) == facts["unique_name_versions"]
    if row["format"] == "pylock.toml":
        assert lock.generator == facts["created_by"]
        kinds = [root.kind for root in lock.roots]
        assert (kinds.count(RootKind.EXTRA), kinds.count(RootKind.GROUP)) == (facts["extras"], facts["groups"])
    else:
        assert lock.format_version == row["format_version"].replace(" (no revision key)", "")
        assert len({p.source.location for p in lock.pins if p.source.kind is SourceKind.REGISTRY}) == facts["registries"]


def test_every_edge_of_a_real_lock_leads_somewhere(row: dict[str, str]) -> None:
    lock = read_lock(CORPUS / row["path"], reader=TOML[row["format"]])
    edges = [edge for root in lock.roots for edge in root.dependencies]
    edges += [edge for pin in lock.pins for edge in pin.dependencies]
    edges += [edge for pin in lock.pins for _, optional in pin.optional for edge in optional]
    assert {edge.name for edge in edges} <= lock.names()
    pairs = {(pin.name, pin.version, pin.source) for pin in lock.pins}
    exact = {(edge.name, edge.version, edge.source) for edge in edges if edge.version and edge.source}
    assert exact <= pairs


# The door.


def test_each_format_has_names_of_its_own() -> None:
    names = ["uv.lock", "x.py.lock", "poetry.lock", "pylock.toml", "pylock.dev.toml", "requirements.txt"]
    names += ["pdm.lock", "pdm.dev.lock", "Pipfile.lock", "pyproject.toml"]
    for name in names:
        claimed = [module for pattern, module in READERS if re.fullmatch(pattern, name)]
        reader = reader_for(name)
        assert claimed == [getattr(reader, "__name__", "")]
    assert reader_for("Cargo.lock") is None


@pytest.mark.parametrize(
    ("data", "code", "where"),
    [
        (b"", "lock-empty", "uv.lock"),
        (b" \r\n\t\n", "lock-empty", "uv.lock"),
        (b"\xef\xbb\xbfversion = 1", "lock-bad-encoding", "uv.lock"),
        ("version = 1".encode("utf-16"), "lock-bad-encoding", "uv.lock"),
        (b"version = 1\nx = '\x00'\n", "lock-bad-encoding", "uv.lock: line 2"),
        (b"version = 1\n\nx = '\xff'\n", "lock-bad-encoding", "uv.lock: line 3"),
        (b"version = 1\n<<<<<<< HEAD\nx = 1\n=======\n", "lock-merge-conflict", "uv.lock: line 2"),
        (b"version = 1\n>>>>>>> theirs\n", "lock-merge-conflict", "uv.lock: line 2"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, code: str, where: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode(data, path="uv.lock")
    assert (caught.value.code, caught.value.where) == (code, where)
    assert caught.value.hint


def test_text_is_text() -> None:
    assert decode("name = 'ü'\n# a <<<<<<< b\n".encode(), path="uv.lock") == "name = 'ü'\n# a <<<<<<< b\n"
    assert decode(b"\xef\xbb\xbfsix==1.0\n", path="requirements.txt", bom=True) == "six==1.0\n"


# The disk.


def test_a_lock_is_read_with_its_digest_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (FIXTURES / "script.py.lock").read_bytes()
    (tmp_path / "uv.lock").write_bytes(data)
    (tmp_path / "pyproject.toml").write_text("[tool.uv]\ndefault-groups = ['x']")
    monkeypatch.chdir(tmp_path)
    lock = read_lock("uv.lock")
    assert (lock.path, lock.format, lock.digest) == ("uv.lock", LockFormat.UV, Digest("sha256", hashlib.sha256(data).hexdigest()))
    assert read_lock(tmp_path / "uv.lock").path == str(tmp_path / "uv.lock")


def test_a_neighbour_is_read(tmp_path: Path) -> None:
    text = (FIXTURES / "workspace.uv.lock").read_text().replace('default-groups = ["lint"]\n', "")
    (tmp_path / "uv.lock").write_text(text)

    def default_groups() -> set[str]:
        return {root.name for root in read_lock(tmp_path / "uv.lock").roots if root.kind == "group" and root.default}

    assert default_groups() == {"dev"}
    (tmp_path / "pyproject.toml").write_text("[tool.uv]\ndefault-groups = ['lint']")
    assert default_groups() == {"lint"}
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(DocumentError, match="not a regular file"):
        read_lock(tmp_path / "uv.lock")


def test_a_tree_of_requirements_has_one_digest(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    files = {
        "requirements.txt": f"-r deep/a.txt\n-c constraints.txt\nsix==1.17.0 --hash=sha256:{'1' * 64}\n",
        "deep/a.txt": f"-r er/b.txt\n-c ../constraints.txt\nidna==3.20 --hash=sha256:{'2' * 64}\n",
        "deep/er/b.txt": f"-r ../a.txt\niniconfig==2.3.1 --hash=sha256:{'3' * 64}\n",
        "constraints.txt": "six<2\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    lock = read_lock(tmp_path / "requirements.txt")
    pairs = sorted([name, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"] for name, text in files.items())
    expected = hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()
    assert lock.digest == Digest("sha256", expected)
    assert {"six", "idna", "iniconfig"} <= lock.names()
    (tmp_path / "constraints.txt").write_text("six<3\n")
    assert read_lock(tmp_path / "requirements.txt").digest != lock.digest, "every file of the tree counts"


def test_a_single_file_of_requirements_has_its_own_digest(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + f"six==1.17.0 --hash=sha256:{'1' * 64}\n".encode()
    (tmp_path / "requirements.txt").write_bytes(data)
    lock = read_lock(tmp_path / "requirements.txt")
    assert lock.digest == Digest("sha256", hashlib.sha256(data).hexdigest())
    assert lock.names() == {"six"}


def test_a_tree_without_end_is_refused(tmp_path: Path) -> None:
    for number in range(locks.MAX_FILES + 1):
        (tmp_path / f"requirements{number}.txt").write_text(f"-r requirements{number + 1}.txt\nsix==1.17.0\n")
    with pytest.raises(DocumentError) as caught:
        read_lock(tmp_path / "requirements0.txt", reader=requirements)
    assert caught.value.code == "lock-too-large"


def planted_fifo(path: Path) -> None:
    os.mkfifo(path)


def planted_folder(path: Path) -> None:
    path.mkdir()


def planted_loop(path: Path) -> None:
    path.symlink_to(path)


def planted_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def planted_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(locks.MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("plant", "code"),
    [
        (lambda _: None, "lock-not-found"),
        (planted_fifo, "lock-not-a-file"),
        (planted_folder, "lock-not-a-file"),
        (planted_device, "lock-not-a-file"),
        (planted_loop, "lock-unreadable"),
        (planted_giant, "lock-too-large"),
    ],
)
def test_what_is_no_readable_file_is_named(tmp_path: Path, plant: Callable[[Path], None], code: str) -> None:
    plant(tmp_path / "uv.lock")
    with pytest.raises(DocumentError) as caught:
        read_lock(tmp_path / "uv.lock")
    assert (caught.value.code, caught.value.where) == (code, str(tmp_path / "uv.lock"))


def test_a_file_of_no_known_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "Cargo.lock").write_text("version = 4")
    with pytest.raises(DocumentError) as caught:
        read_lock(tmp_path / "Cargo.lock")
    assert caught.value.code == "lock-unknown-format"


def test_a_name_with_a_nul_is_named() -> None:
    with pytest.raises(DocumentError) as caught:
        read_lock("a\0/uv.lock")
    assert caught.value.code == "lock-unreadable"


# Hostile input.

SECRET = "https://bob:hunter2@index.example/x.whl?token=hunter2"
BASES = [
    (uv, "workspace.uv.lock"),
    (uv, "conflicts.uv.lock"),
    (uv, "groups-only.uv.lock"),
    (uv, "sources.uv.lock"),
    (pylock, "pylock.sources.toml"),
    (pylock, "pylock.workspace.toml"),
]
TOKEN = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|\{[^{}\n]*\}|\[[^\[\]\n]*\]|[A-Za-z0-9_.-]+")
ODD = ["7", "-1", "true", "1.5", "nan", '""', '"x"', "[]", "[[]]", "[1]", "{}", "{ a = 1 }", "1979-05-27", "07:32:00"]
ODD += [
    f'"{SECRET}"',
    f'{{ name = "{SECRET}" }}',
    '"\\u0000"',
    '"\\u202e"',
    '"../x"',
    "0x" + "f" * 40,
    '"' + "(" * 500 + '"',
    "\n",
    "#",
]


def mutate(text: str, seed: int) -> str:
    """*text* with one to four changes drawn from *seed*: a token replaced by an odd one, or lines cut, doubled, swapped."""
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 4)):
        if dice.random() < 0.7:
            token = dice.choice(list(TOKEN.finditer(text)) or [None])
            if token is not None:
                text = text[: token.start()] + dice.choice(ODD) + text[token.end() :]
            continue
        lines = text.split("\n")
        start, end = sorted((dice.randrange(len(lines)), dice.randrange(len(lines))))
        choice = dice.randrange(3)
        if choice == 0:
            del lines[start : min(end, start + 3)]
        elif choice == 1:
            lines[end:end] = lines[start : start + 4]
        else:
            lines[start], lines[end] = lines[end], lines[start]
        text = "\n".join(lines)
    return text


def outcome(reader: LockReader, data: str | bytes) -> tuple[Lock | None, str]:
    """The lock, or None; and everything that a report would say about it."""
    try:
        text = data if isinstance(data, str) else decode(data, path="a.lock")
        lock = reader.parse(text, path="a.lock", digest=DIGEST, beside={})
    except DocumentError as error:
        said: list[Any] = [str(error), error.where, error.hint]
        said += [(issue.where, issue.message, issue.hint) for issue in error.issues]
        return None, repr(said)
    return lock, repr(lock.notes)


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(base=st.sampled_from(BASES), seed=st.integers(0, 2**32))
def test_a_mutated_lock_is_read_or_refused(base: tuple[LockReader, str], seed: int) -> None:
    """1,500 mutations, the same each time: never another exception, never a secret in what is said."""
    reader, name = base
    lock, said = outcome(reader, mutate((FIXTURES / name).read_text(), seed))
    assert "hunter2" not in said
    if lock is not None:
        assert all(pin.name for pin in lock.pins)
        assert all(artifact.filename for pin in lock.pins for artifact in pin.artifacts)
        assert lock.roots or not lock.pins


@settings(max_examples=500, derandomize=True, deadline=None)
@given(base=st.sampled_from(BASES), at=st.floats(0, 1), junk=st.binary(max_size=8), cut=st.integers(0, 40))
def test_a_lock_of_wrong_bytes_is_read_or_refused(base: tuple[LockReader, str], at: float, junk: bytes, cut: int) -> None:
    """500 splices of wrong bytes, the same each time."""
    reader, name = base
    data = (FIXTURES / name).read_bytes()
    start = int(at * len(data))
    spliced = data[:start] + junk + data[start + cut :]
    lock, said = outcome(reader, spliced)
    if lock is None:
        assert "a.lock" in said
    else:
        assert lock.roots or not lock.pins


@settings(max_examples=300, derandomize=True, deadline=None)
@given(text=st.text(max_size=60) | st.from_regex(r"(version = 1|lock-version = '1.0')\n(package|packages|manifest) = .{0,30}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """300 texts, the same each time."""
    for reader in (uv, pylock):
        lock, said = outcome(reader, text)
        if lock is None:
            assert "a.lock" in said
        else:
            assert lock.pins == ()


def test_no_message_of_a_syntax_error_holds_a_secret() -> None:
    lock, said = outcome(uv, f'a = {{ "{SECRET}" = 1, "{SECRET}" = 2 }}')
    assert lock is None
    assert "not TOML" in said
    assert "bob" not in said
    assert "hunter2" not in said


def test_a_number_beyond_reading_is_an_error(tmp_path: Path) -> None:
    """Python reads no integer of more than 4,300 digits, and packaging passes that on."""
    file = tmp_path / "requirements.txt"
    file.write_text(f"six>=1,<={'9' * 5001}\n")
    with pytest.raises(DocumentError) as caught:
        read_lock(file)
    assert caught.value.where == str(file)
