"""An environment against its seal, on values: exactly what changed is told, by its own code, and what gates gates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_digest, an_origin
from sanctity.canon.content import content_digest
from sanctity.compare.policy import apply_policy
from sanctity.compare.seal import compare_with_seal
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Depth, Severity, Verdict
from sanctity.model.environment import Distribution, FileEntry, FileKind, HookKind, RecordRow
from sanctity.model.platform import PRELOADS, Accelerator, Blas, Cpu, NativeLibrary, StandardLibrary
from sanctity.model.policy import Policy, Profile
from sealing import PLATFORM, SITE, WHOLE, a_hook, compared, gating, installed, on_platform, raw, sealed, with_files

if TYPE_CHECKING:
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Environment

DAY = date(2026, 11, 25)


def codes(comparison: Comparison) -> list[Code]:
    return [drift.code for drift in comparison.drifts]


def altered(environment: Environment, path: str, text: str, *, with_record: bool = False, row_only: bool = False) -> Environment:
    """*environment* with the file at *path* (in site-packages) changed, its RECORD row with it, or the row alone."""
    whole = f"{SITE}/{path}"
    files = dict(environment.files)
    if not row_only:
        files[whole] = files[whole]._replace(digest=raw(text), size=len(text))

    def changed(item: Distribution) -> Distribution:
        if item.record is None or whole not in {row.path for row in item.record}:
            return item
        rewrite = with_record or row_only
        record = tuple(
            RecordRow(whole, "sha256", raw(text), len(text)) if rewrite and row.path == whole else row for row in item.record
        )
        content = content_digest([], lib=[(row.path[len(SITE) + 1 :], files[row.path].digest) for row in record])
        stated = content_digest([], lib=[(row.path[len(SITE) + 1 :], row.digest) for row in record])
        rows = tuple(sorted((f"lib/{row.path[len(SITE) + 1 :]}", f"sha256:{files[row.path].digest.hex()}") for row in record))
        return replace(item, record=record, content=content, stated=stated, rows=rows)

    return replace(environment, files=files, distributions=tuple(changed(item) for item in environment.distributions))


def test_nothing_changed_is_clean_and_silent() -> None:
    found = compared(WHOLE)
    assert found.verdict is Verdict.CLEAN
    assert not found.drifts
    assert {item.code for item in found.unchecked} == {"dlopen"}


def test_the_same_under_another_installer_is_clean() -> None:
    other = replace(WHOLE, distributions=tuple(replace(item, installer="pip", requested=True) for item in WHOLE.distributions))
    assert not compared(other).drifts


def test_an_altered_file_is_named_by_its_record_that_the_seal_vouches_for() -> None:
    (drift,) = compared(altered(WHOLE, "six.py", "evil")).drifts
    assert (drift.code, drift.distribution, drift.path, drift.gating) == (Code.FILE_ALTERED, "six", "six.py", True)


def test_a_record_forged_with_its_file_is_named() -> None:
    (drift,) = compared(altered(WHOLE, "six.py", "evil", with_record=True)).drifts
    assert (drift.code, drift.distribution, drift.gating) == (Code.RECORD_FORGED, "six", True)


def test_the_rows_behind_the_seal_name_the_file_behind_a_forged_record() -> None:
    before = next(item for item in WHOLE.distributions if item.key == "six")
    assert before.rows is not None
    found = compared(altered(WHOLE, "six.py", "evil", with_record=True), rows={str(before.content): before.rows})
    assert [(drift.code, drift.path) for drift in found.drifts] == [
        (Code.RECORD_FORGED, "six-1.16.0.dist-info/RECORD"),
        (Code.FILE_ALTERED, "six.py"),
    ]


def test_a_record_that_no_longer_states_the_sealed_files_is_forged() -> None:
    found = compared(altered(WHOLE, "six.py", "other", row_only=True))
    assert {(drift.code, drift.gating) for drift in found.drifts} == {(Code.FILE_ALTERED, True), (Code.RECORD_FORGED, True)}


def test_what_was_accepted_is_told_and_stays_so() -> None:
    drifted = altered(WHOLE, "six.py", "patched")
    seal = sealed(drifted, accept=True)
    assert seal.accepted == ("file-altered six 1.16.0 six.py",)
    found = compared(drifted, seal)
    assert found.verdict is Verdict.CLEAN
    assert [(drift.code, drift.severity) for drift in found.drifts] == [(Code.FILE_ALTERED, Severity.NOTE)]
    assert gating(compared(altered(drifted, "six.py", "patched again"), seal))
    assert gating(compared(WHOLE, seal)), "undoing an accepted drift is a drift"


def test_distributions_are_compared_both_ways() -> None:
    six, numpy = WHOLE.distributions
    less = replace(WHOLE, distributions=(numpy,), files={p: e for p, e in WHOLE.files.items() if "six" not in p})
    assert [(d.code, d.distribution) for d in gating(compared(less))] == [(Code.DISTRIBUTION_MISSING, "six")]
    extra, files = installed("attrs", "1.0", {"attrs.py": "x"})
    more = replace(WHOLE, distributions=(*WHOLE.distributions, extra), files={**WHOLE.files, **files})
    assert [(d.code, d.distribution) for d in gating(compared(more))] == [(Code.DISTRIBUTION_EXTRA, "attrs")]
    moved = replace(WHOLE, distributions=(replace(six, version="1.17.0"), numpy))
    assert Code.VERSION_MISMATCH in codes(compared(moved))
    elsewhere = replace(WHOLE, distributions=(replace(six, origin=an_origin("vcs", "https://x.example", commit="ab" * 20)), numpy))
    assert codes(compared(elsewhere)) == [Code.ORIGIN_MISMATCH]


def test_a_seed_is_not_extra_and_a_sealed_pip_is_no_seed() -> None:
    pip, files = installed("pip", "26.3", {"pip/__init__.py": "pip"})
    seeded = replace(WHOLE, distributions=(*WHOLE.distributions, pip), files={**WHOLE.files, **files})
    assert not gating(compared(seeded))
    locked = sealed(seeded, seeds=frozenset({"setuptools", "wheel"}))
    assert not gating(compared(seeded, locked))
    assert [drift.code for drift in gating(compared(altered(seeded, "pip/__init__.py", "evil"), locked))] == [Code.FILE_ALTERED]


def test_the_interpreter_gates_by_version_and_abi() -> None:
    for fields in ({"version": "3.11.8"}, {"abi": "cpython-311d"}, {"implementation": "pypy"}):
        other = replace(WHOLE, interpreter=replace(WHOLE.interpreter, **fields))  # type: ignore[arg-type]
        assert [drift.code for drift in gating(compared(other))] == [Code.INTERPRETER_CHANGED]


def test_other_bytes_of_the_same_build_gate() -> None:
    for part in ("executable", "library"):
        other = on_platform(build=replace(PLATFORM.build, **{part: a_digest("four bytes more")}))  # type: ignore[arg-type]
        (drift,) = compared(other).drifts
        assert (drift.code, drift.gating) == (Code.INTERPRETER_CHANGED, True)


def test_another_build_of_the_same_version_is_shown_beside_it() -> None:
    build = replace(
        PLATFORM.build, executable=a_digest("x"), library=a_digest("y"), executable_id="cc", compiled="Nov 24 2026, 09:00:00"
    )
    stdlib = replace(PLATFORM.stdlib, built=(("lib-dynload/_ssl.so", raw("other")),))
    found = compared(on_platform(build=build, stdlib=stdlib))
    assert found.verdict is Verdict.CLEAN
    assert [(drift.code, drift.severity) for drift in found.drifts] == [
        (Code.INTERPRETER_CHANGED, Severity.WARNING),
        (Code.STDLIB_ALTERED, Severity.WARNING),
    ]
    judged = apply_policy(found, Policy(gate=("interpreter",)), (), digest=None, today=DAY)
    assert judged.verdict is Verdict.DRIFTED


@pytest.mark.parametrize(
    ("stdlib", "expected"),
    [
        (replace(PLATFORM.stdlib, sources=(*PLATFORM.stdlib.sources[:1], ("random.py", raw("evil")))), Code.STDLIB_ALTERED),
        (replace(PLATFORM.stdlib, sources=(*PLATFORM.stdlib.sources, ("zz.py", raw("new")))), Code.STDLIB_ALTERED),
        (replace(PLATFORM.stdlib, sources=PLATFORM.stdlib.sources[:1]), Code.STDLIB_ALTERED),
        (replace(PLATFORM.stdlib, built=()), Code.STDLIB_ALTERED),
        (replace(PLATFORM.stdlib, unchecked=("__pycache__/random.cpython-311.pyc",)), Code.BYTECODE_UNCHECKED),
    ],
)
def test_a_changed_standard_library_gates(stdlib: StandardLibrary, expected: Code) -> None:
    (drift,) = compared(on_platform(stdlib=stdlib)).drifts
    assert (drift.code, drift.gating) == (expected, True)


def numeric() -> list[tuple[str, dict[str, object], Code]]:
    libraries = PLATFORM.libraries
    return [
        (
            "native",
            {"libraries": (libraries[0]._replace(digest=raw("new"), package="libc6 2.37"), libraries[1])},
            Code.NATIVE_LIBRARY_CHANGED,
        ),
        ("native", {"libraries": libraries[:1]}, Code.NATIVE_LIBRARY_CHANGED),
        ("native", {"libraries": (*libraries, libraries[0]._replace(name="libz.so.1"))}, Code.NATIVE_LIBRARY_CHANGED),
        ("native", {"libraries": (libraries[0]._replace(digest=b""), libraries[1])}, Code.NATIVE_LIBRARY_CHANGED),
        ("native", {"libc": "glibc 2.37"}, Code.NATIVE_LIBRARY_CHANGED),
        ("cpu", {"cpu": Cpu(architecture="x86_64", vendor="AuthenticAMD", features=("avx",))}, Code.CPU_CHANGED),
        ("cpu", {"cpu": Cpu(architecture="x86_64", vendor="GenuineIntel", features=("avx", "avx2"))}, Code.CPU_CHANGED),
        ("cpu", {"blas": (Blas("openblas 0.3.27", "numpy.libs/libopenblas.so", "SkylakeX"),)}, Code.CPU_CHANGED),
        ("accelerators", {"accelerators": ()}, Code.ACCELERATOR_CHANGED),
        (
            "accelerators",
            {"accelerators": (Accelerator("cuda", "H100", "560.1", "9.0", 80_000_000_000),)},
            Code.ACCELERATOR_CHANGED,
        ),
    ]


@pytest.mark.parametrize(("part", "fields", "code"), numeric())
def test_the_numeric_class_is_told_and_gates_where_the_policy_says_so(part: str, fields: dict[str, object], code: Code) -> None:
    found = compared(on_platform(WHOLE, **fields))
    assert [(drift.code, drift.severity, drift.gating) for drift in found.drifts] == [(code, Severity.WARNING, False)]
    assert apply_policy(found, Policy(), (), digest=None, today=DAY).verdict is Verdict.CLEAN
    assert apply_policy(found, Policy(gate=(part,)), (), digest=None, today=DAY).verdict is Verdict.DRIFTED
    assert apply_policy(found, Policy(profile=Profile.PRODUCTION), (), digest=None, today=DAY).verdict is Verdict.DRIFTED
    others = tuple(each for each in ("native", "cpu", "accelerators", "settings") if each != part)
    assert apply_policy(found, Policy(gate=others), (), digest=None, today=DAY).verdict is Verdict.CLEAN


def test_what_the_system_puts_into_every_program_gates_where_it_was_not_sealed() -> None:
    evil = NativeLibrary("/opt/evil.so", raw("evil"), path="/opt/evil.so", needed_by=PRELOADS)
    with_it = on_platform(libraries=(*PLATFORM.libraries, evil))
    assert [(drift.code, drift.path) for drift in gating(compared(with_it))] == [(Code.NATIVE_LIBRARY_CHANGED, "/opt/evil.so")]
    assert not compared(with_it, sealed(with_it)).drifts
    other = on_platform(libraries=(*PLATFORM.libraries, evil._replace(digest=raw("worse"))))
    assert [drift.code for drift in gating(compared(other, sealed(with_it)))] == [Code.NATIVE_LIBRARY_CHANGED]


@pytest.mark.parametrize("value", [(), (("OMP_NUM_THREADS", "4"),), (("MKL_CBWR", "AVX2"), ("OMP_NUM_THREADS", "2"))])
def test_settings_are_compared_by_those_who_start_a_program_alone(value: tuple[tuple[str, str], ...]) -> None:
    other = on_platform(settings=value)
    assert not compared(other).drifts
    assert codes(compared(other, settings=True)) == [Code.SETTING_CHANGED]
    assert not compared(WHOLE, settings=True).drifts


def test_an_activate_script_is_told() -> None:
    for activation in ((("bin/activate", raw("evil")),), (), (("bin/activate", raw("activate")), ("bin/activate.fish", raw("f")))):
        (drift,) = compared(replace(WHOLE, activation=activation)).drifts
        assert (drift.code, drift.gating) == (Code.ACTIVATE_ALTERED, False)


def test_unclaimed_code_that_was_sealed_is_told_and_any_other_gates() -> None:
    loose = {f"{SITE}/loose.py": FileEntry(f"{SITE}/loose.py", FileKind.FILE, 4, raw("loose"), 1, 1)}
    environment = replace(WHOLE, files={**WHOLE.files, **loose})
    assert [drift.code for drift in gating(compared(environment))] == [Code.FILE_UNCLAIMED]
    seal = sealed(environment, accept=True)
    assert not gating(compared(environment, seal))
    path = f"{SITE}/loose.py"
    other = replace(environment, files={**environment.files, path: environment.files[path]._replace(digest=raw("x"))})
    assert [drift.code for drift in gating(compared(other, seal))] == [Code.FILE_UNCLAIMED]
    assert [drift.code for drift in gating(compared(WHOLE, seal))] == [Code.FILE_MISSING]


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [(HookKind.PTH_CODE, "hook.pth", Code.PTH_HOOK), (HookKind.CUSTOMIZE, "sitecustomize.py", Code.CUSTOMIZE_HOOK)],
)
def test_hooks_that_were_sealed_are_told_and_any_other_gates(kind: HookKind, name: str, code: Code) -> None:
    hook = a_hook(name, kind=kind)
    entry = FileEntry(hook.path, FileKind.FILE, 9, hook.digest, 1, 1)
    environment = replace(WHOLE, hooks=(hook,), files={**WHOLE.files, hook.path: entry})
    assert [drift.code for drift in gating(compared(environment))] == [code]
    seal = sealed(environment, accept=True)
    assert not gating(compared(environment, seal))
    assert [drift.code for drift in gating(compared(WHOLE, seal))] == [code]
    other = replace(environment, hooks=(hook._replace(digest=raw("evil")),))
    assert [drift.code for drift in gating(compared(other, seal))] == [code]


def test_a_hook_of_an_editable_is_compared_though_its_content_is_not() -> None:
    hook = a_hook("_demo.pth", kind=HookKind.PTH_PATH)
    item, files = installed("demo", "1.0", {"_demo.pth": "import os"}, origin=an_origin("directory", "file:///demo", editable=True))
    environment = with_files((item, files), hooks=(hook,))
    seal = sealed(environment)
    assert not gating(compared(environment, seal))
    assert [each.code for each in compared(environment, seal).unchecked] == ["editable-source", "dlopen"]
    changed = hook._replace(digest=raw("evil"))
    forged = replace(item, record=(RecordRow(hook.path, "sha256", raw("evil"), 9),))
    entry = files[hook.path]._replace(digest=raw("evil"))
    other = replace(environment, hooks=(changed,), distributions=(forged,), files={hook.path: entry})
    assert [drift.code for drift in gating(compared(other, seal))] == [Code.PTH_HOOK]


def test_what_is_not_known_of_the_platform_is_undecided_where_it_would_gate() -> None:
    found = compared(on_platform(unknown=(("cpu", "no /proc"),)))
    assert found.verdict is Verdict.CLEAN
    assert apply_policy(found, Policy(gate=("cpu",)), (), digest=None, today=DAY).verdict is Verdict.UNDECIDED
    assert compared(on_platform(unknown=(("stdlib", "unreadable"),))).verdict is Verdict.UNDECIDED
    assert compared(replace(WHOLE, platform=None)).verdict is Verdict.UNDECIDED


def test_what_is_known_of_a_part_is_compared_whatever_else_is_not() -> None:
    half = (("settings", "XLA_FLAGS is not plain"), ("accelerators", "no capability without the bindings"))
    other = on_platform(settings=(("OMP_NUM_THREADS", "8"),), accelerators=(Accelerator("cuda", "H100", "560.1"),), unknown=half)
    assert codes(compared(other, settings=True)) == [Code.ACCELERATOR_CHANGED, Code.SETTING_CHANGED]


def test_content_that_could_not_be_read_is_undecided() -> None:
    six, numpy = WHOLE.distributions
    blind = replace(WHOLE, distributions=(replace(six, content=None, stated=None), numpy))
    assert compared(blind).verdict is Verdict.UNDECIDED


def test_depth_version_looks_at_names_versions_and_the_interpreter() -> None:
    forged = altered(WHOLE, "six.py", "evil", with_record=True)
    assert compared(forged, depth=Depth.VERSION).verdict is Verdict.CLEAN
    six, numpy = WHOLE.distributions
    moved = replace(WHOLE, distributions=(replace(six, version="2"), numpy))
    assert codes(compared(moved, depth=Depth.VERSION)) == [Code.VERSION_MISMATCH]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(["six.py", "numpy/__init__.py", "numpy/core.so"]), st.text(max_size=5), st.booleans(), st.booleans())
def test_an_environment_of_other_content_is_never_clean(path: str, text: str, with_record: bool, row_only: bool) -> None:
    other = altered(WHOLE, path, text, with_record=with_record, row_only=row_only)
    same = other.distributions == WHOLE.distributions
    assert (compared(other).verdict is Verdict.CLEAN) is same


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(["distributions", "startup", "unclaimed"]), max_size=3))
def test_a_seal_of_other_parts_is_never_clean(parts: set[str]) -> None:
    """Whatever the rules above would miss: parts that are not the sealed ones gate."""
    seal = sealed()
    other = Digest("sha256", "0" * 64)
    changed = replace(seal, parts=tuple((name, other if name in parts else digest) for name, digest in seal.parts))
    found = compare_with_seal(WHOLE, changed, depth=Depth.RECORD, reference=compared(WHOLE).reference)
    assert (found.verdict is Verdict.DRIFTED) is bool(parts - {"startup"})


def test_one_of_two_libraries_of_one_name_does_not_hide_the_other() -> None:
    """Two modules may find two files of one name; whichever of them changes, and in whichever order they stand, is told."""
    libc = PLATFORM.libraries[0]
    one, two, evil = (libc._replace(digest=raw(text)) for text in ("one", "two", "evil"))
    before = sealed(on_platform(libraries=(one, two)))
    for now in ((one, evil), (evil, one), (evil, two), (two, evil), (one, two, evil)):
        (drift,) = compared(on_platform(libraries=now), before).drifts
        assert (drift.code, drift.actual) == (Code.NATIVE_LIBRARY_CHANGED, f"sha256:{raw('evil').hex()}")
    (drift,) = compared(on_platform(libraries=(two,)), before).drifts
    assert (drift.code, drift.expected) == (Code.NATIVE_LIBRARY_CHANGED, f"sha256:{raw('one').hex()}")
    assert not compared(on_platform(libraries=(two, one)), before).drifts


def test_an_interpreter_that_hides_its_build_is_compared_by_its_bytes() -> None:
    """One that states no compiler any more is not one whose bytes do not matter."""
    unknown = (("build", "the interpreter does not state its compiler where it was looked for"),)
    other = replace(PLATFORM.build, compiler="", compiled="", executable=Digest.of_sha256(raw("evil")))
    assert Code.INTERPRETER_CHANGED in codes(compared(on_platform(build=other, unknown=unknown)))
    same = replace(PLATFORM.build, executable=Digest.of_sha256(raw("evil")))
    assert [drift.code for drift in gating(compared(on_platform(build=same, unknown=unknown)))] == [Code.INTERPRETER_CHANGED]


@pytest.mark.parametrize("field", ["stdlib_sources", "stdlib_built"])
def test_a_seal_that_states_no_standard_library_is_never_clean(field: str) -> None:
    without = replace(sealed(), **{field: None})  # type: ignore[arg-type]
    assert compared(WHOLE, without).verdict is Verdict.UNDECIDED
