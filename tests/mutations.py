"""Documents with something wrong in them: lines of a sound one that are lost, doubled, cut, or say something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from sanctity.errors import DocumentError
from sanctity.model.digest import Digest

if TYPE_CHECKING:
    from sanctity.lockfiles import LockReader
    from sanctity.model.lock import Lock

__all__ = ["outcome", "secret", "spoiled"]

secret: Final = "s3cr3t"

#: What a value may become. Where it holds the secret, the secret may never be seen again.
_VALUES: Final = (
    "",
    "~",
    "[]",
    "{}",
    "[a]",
    "{a: b}",
    "'",
    '"\\0"',
    "*a",
    "&a b",
    "!x y",
    "- - -",
    "1.10",
    "no",
    "{{ x }}",
    "{% x %}",
    "..",
    "../../x-1-0.conda",
    "a\tb",
    "\u202e",
    "\ue000\ue001",
    "x" * 5000,
    "[" * 80 + "]" * 80,
    "https://[",
    f"https://me:{secret}@conda.example/main/linux-64/a-1-0.conda",
    f"https://conda.example/t/{secret}/main/linux-64/a-1-0.conda",
    f"https://conda.example/main/linux-64/a-1-0.conda?token={secret}",
    f"me:{secret}@conda.example/main/linux-64/a-1-0.conda",
    f"git+https://{secret}@host.example/x",
    f"git+https://host.example/x?token={secret}",
    f"direct+https://me:{secret}@host.example/a-1.whl",
    f"a https://me:{secret}@host.example/x",
)


@st.composite
def spoiled(draw: st.DrawFn, text: str) -> str:
    """*text* with up to three of its lines spoiled."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        match draw(st.integers(0, 6)):
            case 0:
                lines[at : at + 1] = []
            case 1:
                lines.insert(at, draw(st.sampled_from(lines)))
            case 2:
                lines[at] = line.partition(":")[0] + ": " + draw(st.sampled_from(_VALUES))
            case 3:
                lines[at] = line[: draw(st.integers(0, len(line)))]
            case 4:
                lines[at] = " " * draw(st.integers(0, 6)) + "- " + draw(st.sampled_from(_VALUES))
            case 5:
                lines[at] = line + draw(st.sampled_from(_VALUES))
            case _:
                place = draw(st.integers(0, len(line)))
                lines[at] = line[:place] + draw(st.sampled_from("\t :-#'\"[]{}@/\\%\0\x85\ufeff\U0001f600")) + line[place:]
        lines = lines or [""]
    return "\n".join(lines)


def outcome(reader: LockReader, text: str) -> Lock | DocumentError:
    """What *reader* makes of *text*: a lock or a refusal, and nothing else; neither holds the secret."""
    try:
        reader.wants(text)
        lock = reader.parse(text, path="the.lock", digest=Digest("sha256", "0" * 64), beside={})
    except DocumentError as caught:
        error = caught
    else:
        assert secret not in repr(lock)
        hash(lock)
        return lock
    assert error.code
    assert error.hint
    assert "the.lock" in error.where
    assert secret not in f"{error} {error.issues}"
    return error
