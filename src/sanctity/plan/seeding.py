"""What has to be set before a program starts, so that one seed reaches it: variables as values, each with its reason.

Python reads ``PYTHONHASHSEED`` when it starts and cuBLAS its workspace when it begins, so a call inside of the program comes too
late for the one, and often for the other. Nothing here derives a seed: the numbers come in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SEED", "SeedPlan", "SeedVariable", "ignored_by", "plan_seed"]

#: The variable that the call without a seed takes its own from.
SEED: Final = "SANCTITY_SEED"
_HASH: Final = "PYTHONHASHSEED"
_CUBLAS: Final = "CUBLAS_WORKSPACE_CONFIG"
#: The workspaces with which cuBLAS keeps to one order (its documentation, "Results reproducibility"), the faster one first.
_ORDERED: Final = (":4096:8", ":16:8")
#: Options of Python's that take the next word, or the rest of their own.
_TAKES_A_WORD: Final = "WX"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedVariable:
    """One variable: its *name*, the *value* that it gets, and the *reason* for it."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """The variables that a program with the seed *root* is started with; *kept* are sentences on what was left as it was."""

    root: int
    variables: tuple[SeedVariable, ...]
    kept: tuple[str, ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        """The variables by their names."""
        return {variable.name: variable.value for variable in self.variables}


def plan_seed(root: int, *, hash_seed: int, environ: Mapping[str, str]) -> SeedPlan:
    """What a program is to be started with besides *environ*, for the seed *root* and the *hash_seed* (1 .. 2**32 - 1) made of it.

    Raises:
        UsageError: ``seed-conflict``, *environ* already holds another seed, or another one for hashing.
    """
    stated = environ.get(SEED, "").strip()
    if stated and stated != str(root):
        what = stated if re.fullmatch(r"[0-9]{1,39}", stated) else "no seed"
        raise UsageError(
            "seed-conflict",
            f"the environment already says {what}, and --seed says {root}",
            where=SEED,
            hint=f"unset {SEED}, or leave --seed out",
        )
    hashing = environ.get(_HASH, "")
    if hashing and hashing != str(hash_seed):
        what = hashing if re.fullmatch(r"[0-9]{1,10}|random", hashing) else "something that is no number"
        raise UsageError(
            "seed-conflict",
            f"the environment already says {what}, and of --seed {root} comes {hash_seed}",
            where=_HASH,
            hint=f"unset {_HASH}; to keep your own, set {SEED} instead of --seed",
        )
    variables = [
        SeedVariable(name=_HASH, value=str(hash_seed), reason="Python reads it when it starts: the order of sets of texts"),
        SeedVariable(name=SEED, value=str(root), reason="the call without a seed takes it, in this process and in those it starts"),
    ]
    kept: tuple[str, ...] = ()
    workspace = environ.get(_CUBLAS, "")
    if not workspace:
        reason = "cuBLAS reads it when it begins, and keeps to one order with it"
        variables.append(SeedVariable(name=_CUBLAS, value=_ORDERED[0], reason=reason))
    elif workspace not in _ORDERED:
        kept = (f"{_CUBLAS} is left as it was, though cuBLAS keeps to one order with {' and '.join(_ORDERED)} only",)
    return SeedPlan(root=root, variables=tuple(variables), kept=kept)


def ignored_by(arguments: Sequence[str], *, start_hook: bool) -> str:
    """The option among an interpreter's *arguments* that has it ignore what was planned: -E or -I, and -S for a *start_hook*.

    Empty where there is none. What stands after the program's name, ``-c`` or ``-m`` is the program's own.
    """
    letters = "EIS" if start_hook else "EI"
    words = iter(arguments)
    for word in words:
        if not word.startswith("-") or word in {"-", "--"}:
            return ""
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                next(words, None)
            continue
        for position, letter in enumerate(word[1:], 2):
            if letter in letters:
                return f"-{letter}"
            if letter in "cm":
                return ""
            if letter in _TAKES_A_WORD:
                if position == len(word):
                    next(words, None)
                break
    return ""
