"""The frozen scheme `sanctity-seed/1`: golden vectors, two other implementations of it, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.determinism import scheme
from sanctity.determinism.scheme import SCHEME, canonical, check_root, derive, hash_seed, mt19937, mt19937_words
from sanctity.errors import UsageError

GOLDEN = Path(__file__).parent / "golden"
SEEDS = json.loads((GOLDEN / "seeds.json").read_text("utf-8"))
STATES = json.loads((GOLDEN / "mt19937.json").read_text("utf-8"))

roots = st.integers(0, 2**128 - 1)
labels = st.lists(st.one_of(st.text(st.characters(codec=None), min_size=1), st.integers(0, 2**63 - 1)), max_size=6)


def ten_lines(root: int, path: list[str | int], bits: int) -> int:
    """The scheme as docs/seed-scheme.md has it."""
    blocks = b""
    for i in range(-(-bits // 256)):
        text = json.dumps(["sanctity-seed/1", str(root), path, i], separators=(",", ":"))
        blocks += hashlib.sha256(text.encode("ascii")).digest()
    return int.from_bytes(blocks[: bits // 8], "big")


def init_by_array(key: tuple[int, ...]) -> tuple[int, ...]:
    """``init_by_array`` of mt19937ar.c, from its description: the two passes over 624 words that mix a key into them."""
    words = [19650218]
    for i in range(1, 624):
        words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + i) & 0xFFFFFFFF)
    i, j = 1, 0
    for _ in range(max(624, len(key))):
        words[i] = ((words[i] ^ (words[i - 1] ^ words[i - 1] >> 30) * 1664525) + key[j] + j) & 0xFFFFFFFF
        i, j = i + 1, (j + 1) % len(key)
        if i == 624:
            words[0], i = words[623], 1
    for _ in range(623):
        words[i] = ((words[i] ^ (words[i - 1] ^ words[i - 1] >> 30) * 1566083941) - i) & 0xFFFFFFFF
        i += 1
        if i == 624:
            words[0], i = words[623], 1
    words[0] = 0x80000000
    return tuple(words)


def test_golden_seeds() -> None:
    assert SEEDS["scheme"] == SCHEME == "sanctity-seed/1"
    assert len(SEEDS["seeds"]) > 100
    for row in SEEDS["seeds"]:
        seed = derive(int(row["root"]), *row["labels"], bits=row["bits"])
        assert f"{seed:0{row['bits'] // 4}x}" == row["seed"], row
        assert ten_lines(int(row["root"]), row["labels"], row["bits"]) == seed


def test_golden_states() -> None:
    for row in STATES["states"]:
        seed = derive(int(row["root"]), *row["labels"], bits=256)
        words = mt19937(seed)
        assert list(words[:4]) == row["first"], row
        assert hashlib.sha256(b"".join(word.to_bytes(4, "little") for word in words)).hexdigest() == row["sha256"]
        assert words == init_by_array(mt19937_words(seed))


@given(roots, labels, st.integers(0, 2**40))
def test_the_bytes_are_those_of_json(root: int, path: list[str | int], block: int) -> None:
    ours = canonical(root, tuple(path), block)
    assert ours == json.dumps([SCHEME, str(root), path, block], sort_keys=True, separators=(",", ":")).encode("ascii")


@given(roots, labels, st.integers(1, 512))
def test_the_ten_lines_of_the_specification_agree(root: int, path: list[str | int], size: int) -> None:
    assert derive(root, *path, bits=size * 8) == ten_lines(root, path, size * 8)


@given(roots, labels)
def test_a_shorter_seed_is_the_head_of_a_longer_one(root: int, path: list[str | int]) -> None:
    longest = derive(root, *path, bits=4096)
    assert all(derive(root, *path, bits=bits) == longest >> (4096 - bits) for bits in (8, 64, 256, 264, 1024))


@given(roots)
def test_a_hash_seed_is_one_that_python_takes(root: int) -> None:
    assert 0 < hash_seed(root) < 2**32


@given(st.integers(0, 2**256 - 1))
def test_the_words_of_a_seed_are_those_that_random_mixes(seed: int) -> None:
    assert init_by_array(mt19937_words(seed)) == mt19937(seed)
    assert sum(word << 32 * i for i, word in enumerate(mt19937_words(seed))) == seed


def test_paths_that_look_alike_are_none() -> None:
    alike = [
        (),
        ("a",),
        ("a", "b"),
        ("ab",),
        ("a,b",),
        ('a","b',),
        (1,),
        ("1",),
        (1, 1),
        (11,),
        ("1,1",),
        ("a", 0),
        ("a", 0, 0),
        ("[a]",),
    ]
    seeds = {derive(root, *path) for path in alike for root in (0, 1, 42, 2**32, 2**32 + 42)}
    assert len(seeds) == len(alike) * 5
    # One letter in two spellings of Unicode is two labels: nothing is normalised.
    assert derive(1, "\u00e9") != derive(1, "e\u0301")


def test_runs_share_no_rank() -> None:
    """T4: seed + rank gives run 42 and run 43 three of four streams in common."""
    popular = [{seed + rank for rank in range(4)} for seed in (42, 43)]
    ours = [{derive(seed, "rank", rank, "random") for rank in range(4)} for seed in (42, 43)]
    assert len(popular[0] & popular[1]) == 3
    assert not ours[0] & ours[1]


@pytest.mark.parametrize("root", [-1, 2**128, True, False, None, 1.0, "42", b"1", [1]])
def test_what_is_no_root(root: object) -> None:
    with pytest.raises(UsageError, match="is no seed") as error:
        check_root(root)
    assert error.value.code == "seed-invalid"
    assert "seed-scheme.md" in error.value.hint
    with pytest.raises(UsageError):
        derive(root, "a")  # type: ignore[arg-type] # that is what is tested


@pytest.mark.parametrize("label", ["", -1, 2**63, True, None, 1.5, b"a", ("a",)])
def test_what_is_no_label(label: object) -> None:
    with pytest.raises(UsageError, match="is no label") as error:
        derive(1, "a", label)  # type: ignore[arg-type] # that is what is tested
    assert error.value.code == "seed-label-invalid"


@pytest.mark.parametrize("bits", [0, 7, 12, -8, 4104, True, "8", None])
def test_what_is_no_number_of_bits(bits: object) -> None:
    with pytest.raises(UsageError, match="number of bits") as error:
        derive(1, "a", bits=bits)  # type: ignore[arg-type] # that is what is tested
    assert error.value.code == "seed-invalid"


def test_an_index_is_an_integer() -> None:
    class Three:
        def __index__(self) -> int:
            return 3

    assert derive(Three(), "worker", Three()) == derive(3, "worker", 3)  # type: ignore[arg-type] # as numpy's integers are
    assert derive(1, "a", bits=128) == derive(1, "a")


def test_a_process_of_its_own_says_the_same() -> None:
    """Under another hash seed, without site, and with `hashlib` hidden."""
    code = (
        "import sys; sys.modules['hashlib'] = sys.modules['json'] = None\n"
        "namespace = {'__name__': 'scheme'}\n"
        f"exec(open({scheme.__file__!r}, encoding='utf-8').read(), namespace)\n"
        "print(namespace['derive'](42, 'stream', 'augment', 3), namespace['mt19937'](7)[5])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.split() == [str(derive(42, "stream", "augment", 3)), str(random.Random(7).getstate()[1][5])]
