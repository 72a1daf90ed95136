"""Generators that a program holds: seeded by name, in place, again at each call, and apart in children."""

from __future__ import annotations

import random

import numpy as np
import pytest
from programs import told

from sanctity.determinism import controls_numpy
from sanctity.determinism.registry import kind, register, registered, unregister
from sanctity.determinism.scheme import derive
from sanctity.errors import UsageError

KINDS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


@pytest.mark.parametrize("name", KINDS)
def test_a_generator_gets_the_state_and_the_spawn_key_of_its_seed(name: str) -> None:
    entropy = derive(42, "numpy", "generator", "augment")
    generator = np.random.Generator(getattr(np.random, name)(3))
    generator.normal(size=7)
    generator.integers(0, 2**31, dtype=np.uint32)  # half of a word is kept in some of them
    generator.spawn(2)
    same = generator.bit_generator
    controls_numpy.reseed_object(generator, entropy)
    expected = np.random.Generator(getattr(np.random, name)(np.random.SeedSequence(entropy)))
    assert generator.bit_generator is same
    assert generator.integers(0, 99, 50).tolist() == expected.integers(0, 99, 50).tolist()
    # T5: a state without its seed sequence would give other children.
    assert generator.spawn(1)[0].random() == expected.spawn(1)[0].random()


def test_a_random_state_loses_its_cached_gauss() -> None:
    held, expected = np.random.RandomState(1), np.random.RandomState(np.random.MT19937(np.random.SeedSequence(5)))
    held.randn()
    controls_numpy.reseed_object(held, 5)
    assert held.randn(5).tolist() == expected.randn(5).tolist()


def test_a_bit_generator_is_seeded_itself() -> None:
    bits = np.random.PCG64(1)
    controls_numpy.reseed_object(bits, 5)
    assert bits.random_raw() == np.random.PCG64(np.random.SeedSequence(5)).random_raw()


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (np.random.default_rng(1), "numpy"),
        (np.random.RandomState(1), "numpy"),
        (np.random.PCG64(1), "numpy"),
        (random.Random(1), "random"),
        (random.SystemRandom(), None),
        (random, None),
        (np.random, None),
        (3, None),
        (None, None),
    ],
)
def test_what_draws(held: object, expected: str | None) -> None:
    assert kind(held) == expected


def test_a_name_is_held_once() -> None:
    one, other = random.Random(1), random.Random(2)
    try:
        assert register(one, "test-one") is one
        assert register(one, "test-one") is one
        assert registered()["test-one"] is one
        with pytest.raises(UsageError, match="another generator"):
            register(other, "test-one")
        for held, name in ((3, "x"), (random.SystemRandom(), "x"), (one, ""), (one, 3)):
            with pytest.raises(UsageError) as error:
                register(held, name)  # type: ignore[arg-type] # that is what is tested
            assert error.value.code == "determinism-argument"
    finally:
        unregister("test-one")
    unregister("test-one")
    assert "test-one" not in registered()


BEFORE = "import json, random, numpy as np, sanctity\n"
HELD = "g = sanctity.register(np.random.default_rng(), 'augment'); p = sanctity.register(random.Random(), 'order')\n"
CALL = "r = sanctity.set_global_determinism(42, quiet=True)\n"
TOLD = "print(json.dumps([float(g.random()), p.random()]))"


def test_before_or_after_the_call_is_the_same() -> None:
    expected = [
        float(np.random.default_rng(derive(42, "numpy", "generator", "augment")).random()),
        random.Random(derive(42, "random", "generator", "order", bits=256)).random(),
    ]
    assert told(BEFORE + HELD + CALL + TOLD) == expected
    assert told(BEFORE + CALL + HELD + TOLD) == expected
    assert told(BEFORE + CALL + HELD + "g.random(9); p.random()\n" + CALL + TOLD) == expected


def test_the_receipt_names_them() -> None:
    code = BEFORE + CALL + "said = [r['numpy-generators'].status]\n" + HELD
    code += "said += [r['numpy-generators'].status, r['numpy-generators'].detail]\n"
    code += "sanctity.unregister('augment'); sanctity.unregister('order')\nprint(json.dumps([*said, r['numpy-generators'].status]))"
    assert told(code) == ["not-controllable", "applied", "registered: augment, order", "not-controllable"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("g.random(99); g.spawn(3); p.random()", "applied"),
        ("g.bit_generator.state = g.bit_generator.state", "applied"),
        ("g.bit_generator.__setstate__(np.random.PCG64(1).__getstate__())", "overwritten"),
    ],
)
def test_one_that_was_seeded_anew_is_found_where_it_says_so(change: str, status: str) -> None:
    code = BEFORE + HELD + CALL + change + "\nprint(json.dumps(r.recheck()['numpy-generators'].status))"
    assert told(code) == status


def test_one_that_takes_no_seed_is_refused() -> None:
    code = (
        BEFORE
        + "class Stubborn(random.Random):\n    def seed(self, *_):\n        if hasattr(self, 'made'): raise TypeError('no')\n"
    )
    code += "s = Stubborn(); s.made = 1; sanctity.register(s, 'stubborn')\n" + CALL
    code += "print(json.dumps([r['numpy-generators'].status, r['numpy-generators'].detail, r['random'].status]))"
    status, detail, other = told(code)
    assert (status, other) == ("refused", "applied")
    assert "stubborn: TypeError" in detail


def test_the_old_scheme_has_none_for_them() -> None:
    code = BEFORE + HELD + CALL.replace("42", "42, scheme='same-integer'") + "print(json.dumps(r['numpy-generators'].status))"
    assert told(code) == "refused"
