"""Process variables: what each weighs, and that no value is ever told."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sanctity.model.variables as table
from sanctity.compare.variables import code_loading, compare_variables, without
from sanctity.model.drift import Code, Severity
from sanctity.model.variables import CHANGES, HARMLESS, LOADS, UNREAD, VARIABLES, weigh
from sanctity.observe.variables import observe_variables

#: Values with which the variables whose weight depends on their value load code.
LOADING = {"PYTHONWARNINGS": "error::mod.Warning", "PYTHONBREAKPOINT": "mod.f", "MPLBACKEND": "module://mod"}
SEVERITIES = {LOADS: Severity.ERROR, CHANGES: Severity.WARNING, HARMLESS: Severity.NOTE}


def _drifts(environ: dict[str, str]) -> list[tuple[str, str, bool]]:
    return [(drift.path, str(drift.severity), drift.gating) for drift in compare_variables(observe_variables(environ))]


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_a_variable_of_the_table_is_one_drift_of_its_weight(name: str) -> None:
    weight = VARIABLES[name][0]
    quiet = {"PATH": "/usr/bin", "HOME": "/home/somebody"}
    assert list(compare_variables(observe_variables(quiet))) == []
    drifts = list(compare_variables(observe_variables(quiet | {name: LOADING.get(name, "/x")})))
    assert [(drift.code, drift.path, drift.severity, drift.gating) for drift in drifts] == [
        (Code.STARTUP_VARIABLE, name, SEVERITIES[weight], weight == LOADS)
    ]
    assert drifts[0].message
    assert bool(drifts[0].hint) == (weight != HARMLESS)


@pytest.mark.parametrize("name", sorted(UNREAD))
def test_what_nothing_reads_is_no_drift(name: str) -> None:
    assert _drifts({name: "3.11.7"}) == []


@pytest.mark.parametrize("name", ["PYTHON_SOMETHING_NEW", "PYTHONFUTURE", "LD_NEW", "DYLD_NEW"])
def test_an_unknown_name_of_a_family_is_a_note(name: str) -> None:
    assert _drifts({name: "1"}) == [(name, "note", False)]


@pytest.mark.parametrize("name", sorted(VARIABLES.keys() - {"OPENSSL_CONF", "PYTHONCASEOK", "PYTHONTZPATH"}))
def test_an_empty_value_is_no_value(name: str) -> None:
    assert _drifts({name: ""}) == []


@pytest.mark.parametrize(
    ("name", "value", "weight"),
    [
        ("PYTHONWARNINGS", "error", CHANGES),
        ("PYTHONWARNINGS", "ignore::DeprecationWarning", CHANGES),
        ("PYTHONWARNINGS", "ignore:a.b:DeprecationWarning:a.b", CHANGES),
        ("PYTHONWARNINGS", "error,ignore::mod.Warning", LOADS),
        ("PYTHONWARNINGS", "error::mod.Warning:other:3", LOADS),
        ("PYTHONBREAKPOINT", "0", HARMLESS),
        ("PYTHONBREAKPOINT", "pdb.set_trace", HARMLESS),
        ("PYTHONBREAKPOINT", "exec", LOADS),
        ("MPLBACKEND", "agg", HARMLESS),
        ("MPLBACKEND", "Module://x", LOADS),
        ("OPENSSL_CONF", "", CHANGES),
        ("OPENSSL_CONF", "/dev/null", CHANGES),
        ("OPENSSL_CONF", "/etc/ssl/openssl.cnf", LOADS),
        ("PYTHONTZPATH", "", CHANGES),
        ("PYTHONCASEOK", "", CHANGES),
    ],
)
def test_a_value_decides_where_it_does(name: str, value: str, weight: str) -> None:
    weighed = weigh(name, value)
    assert weighed is not None
    assert weighed[0] == weight


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("PYTHONPATH", "/a", "; 1 folder"),
        ("PYTHONPATH", "/a:/b c", "; 2 folders"),
        ("LD_LIBRARY_PATH", "/a:/b:/c", "; 3 folders"),
        ("LD_LIBRARY_PATH", ":", "; 2 folders"),
        ("LD_PRELOAD", "/a.so /b.so", "; 2 libraries"),
        ("LD_PRELOAD", "/a.so:/b.so", "; 2 libraries"),
        ("LD_AUDIT", "/a.so", "; 1 library"),
    ],
)
def test_a_list_is_counted_and_not_shown(name: str, value: str, count: str) -> None:
    (variable,) = observe_variables({name: value})
    assert variable.effect.endswith(count)


def test_folders_are_counted_by_the_separator_of_the_system() -> None:
    (variable,) = observe_variables({"PYTHONPATH": "C:\\a;C:\\b"}, ";")
    assert "; 2 folders" in variable.effect


@pytest.mark.parametrize("secret", ["hunter2-S3CRET", "/home/hunter2-S3CRET/lib", "module://hunter2-S3CRET", "a::hunter2-S3CRET.b"])
def test_no_value_is_ever_told(secret: str) -> None:
    environ = dict.fromkeys([*VARIABLES, "PYTHON_NEW", "LD_NEW", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", *UNREAD], secret)
    variables = observe_variables(environ)
    drifts = list(compare_variables(variables))
    assert len(drifts) == len(VARIABLES) + 2
    assert "hunter2" not in repr((variables, drifts, code_loading(environ)))


def test_what_loads_code_is_named_and_can_be_left_out() -> None:
    environ = {"PATH": "/bin", "PYTHONPATH": "/a", "PYTHONUNBUFFERED": "1", "LD_PRELOAD": "/a.so", "PYTHONWARNINGS": "error"}
    names = code_loading(environ)
    assert names == ("LD_PRELOAD", "PYTHONPATH")
    left = without(environ, names)
    assert left == {"PATH": "/bin", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"}
    assert code_loading(left) == ()
    assert list(environ) == ["PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "LD_PRELOAD", "PYTHONWARNINGS"]


def test_a_container_image_with_pythons_own_variables_does_not_gate() -> None:
    image = {"PYTHON_VERSION": "3.11.7", "PYTHON_PIP_VERSION": "23", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    assert _drifts(image) == [("PYTHONDONTWRITEBYTECODE", "note", False), ("PYTHONUNBUFFERED", "note", False)]


def test_the_table_imports_nothing_so_that_the_guard_can_use_it() -> None:
    assert table.__file__ is not None
    tree = ast.parse(Path(table.__file__).read_text("utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imported] == ["from __future__ import annotations"]
