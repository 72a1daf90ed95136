"""What runs before a program, on values: who answers for it decides whether it gates."""

from __future__ import annotations

import hashlib

import pytest

from factories import a_distribution, an_environment
from sanctity.compare.hooks import KNOWN_HOOKS, SEED_HOOKS
from sanctity.compare.ownership import own
from sanctity.compare.startup import compare_startup
from sanctity.model.environment import Distribution, FileEntry, FileKind, Hook, HookKind, RecordRow
from sanctity.model.names import SEEDS

SITE = "lib/python3.11/site-packages"


def _gating(hook: Hook, *owners: Distribution) -> bool:
    entry = FileEntry(hook.path, FileKind.FILE, 9, hook.digest, 1, 1)
    claimed = [
        Distribution(
            key=item.key,
            name=item.name,
            version=item.version,
            home=item.home,
            record=(RecordRow(hook.path, "sha256", hook.digest, 9),),
        )
        for item in owners
    ]
    environment = an_environment(*claimed, files={hook.path: entry}, hooks=(hook,))
    return any(drift.gating for drift in compare_startup(environment, own(environment), SEEDS))


def _hook(digest: str = "", kind: HookKind = HookKind.PTH_CODE) -> Hook:
    return Hook(kind, f"{SITE}/x.pth", bytes.fromhex(digest) or hashlib.sha256(b"import x").digest())


@pytest.mark.parametrize("kind", [HookKind.PTH_CODE, HookKind.PTH_PATH, HookKind.START, HookKind.CUSTOMIZE])
def test_a_claimed_hook_is_a_note_and_an_unclaimed_one_gates(kind: HookKind) -> None:
    assert not _gating(_hook(kind=kind), a_distribution("coverage"))
    assert _gating(_hook(kind=kind))


@pytest.mark.parametrize("kind", [HookKind.SYSTEM_SITE, HookKind.PATH_FILE, HookKind.STDLIB_ZIP])
def test_nobody_can_claim_the_rest(kind: HookKind) -> None:
    assert _gating(_hook(kind=kind), a_distribution("coverage"))


@pytest.mark.parametrize("seed", sorted(SEEDS))
def test_a_seed_may_bring_setuptools_own_hook_and_no_other(seed: str) -> None:
    assert _gating(_hook(), a_distribution(seed, "99"))
    for known in SEED_HOOKS:
        assert not _gating(_hook(known), a_distribution(seed))


def test_known_tools_hooks_are_known_by_their_digest() -> None:
    for known in KNOWN_HOOKS:
        assert not _gating(_hook(known))
        assert _gating(_hook(f"{int(known, 16) ^ 1:064x}"))
