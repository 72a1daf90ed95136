"""environment.yml: conda's match specs, rows of pip's, selectors and templates; and broken ones, named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutations import outcome, spoiled
from sanctity.errors import DocumentError
from sanctity.lockfiles import environment_yml, reader_for
from sanctity.lockfiles.conda import MatchSpec, match_spec
from sanctity.model.digest import Digest
from sanctity.model.lock import Dependency, Ecosystem, Lock, Pin, RootKind, Source, SourceKind
from sanctity.observe.locks import read_lock

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus" / "environment-yml"
DIGEST = Digest("sha256", "0" * 64)
SHA = "ab" * 32
DOCUMENT = """name: demo
channels:
- conda-forge
- https://conda.example/main
pip-repositories: [https://index.example/simple]
dependencies:
- python=3.12
- nvidia::cudatoolkit==11.1.74
- zlib >=1.3, <2
- pip
- sel(linux): gcc 12.*
- pip:
  - six==1.17.0
  - Flask[async]>=3 ; python_version >= "3.9"
prefix: /opt/demo
"""


def read(text: str, **beside: str) -> Lock:
    return environment_yml.parse(text, path="environment.yml", digest=DIGEST, beside=beside)


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return caught.value


def one(spec: str) -> Pin:
    (pin,) = read(f"dependencies:\n- {spec}\n").pins
    return pin


def test_what_people_wish_for() -> None:
    lock = read(DOCUMENT)
    assert [(pin.name, pin.version, pin.specifier, pin.source.location, pin.where) for pin in lock.pins] == [
        ("python", "", "=3.12", "", "dependencies[0]"),
        ("cudatoolkit", "11.1.74", "", "nvidia", "dependencies[1]"),
        ("zlib", "", ">=1.3,<2", "", "dependencies[2]"),
        ("pip", "", "", "", "dependencies[3]"),
        ("gcc", "", "12.*", "", "dependencies[4].sel(linux)"),
        ("six", "1.17.0", "", "", "dependencies[5].pip[0]"),
        ("flask", "", ">=3", "", "dependencies[5].pip[1]"),
    ]
    assert [pin.ecosystem for pin in lock.pins].count(Ecosystem.PYPI) == 2
    assert lock.indexes == ("conda-forge", "https://conda.example/main", "https://index.example/simple")
    (root,) = lock.roots
    assert (root.kind, root.default) == (RootKind.PROJECT, True)
    assert root.dependencies[1] == Dependency(name="cudatoolkit", version="11.1.74", ecosystem=Ecosystem.CONDA)
    assert root.dependencies[-1] == Dependency(name="flask", extras=("async",), marker='python_version >= "3.9"')
    assert (lock.facts["pinned"], lock.facts["unpinned"], lock.facts["conda"], lock.facts["pip"]) == (3, 4, 5, 2)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("numpy", MatchSpec("numpy")),
        ("numpy=1.2", MatchSpec("numpy", "=1.2")),
        ("numpy =1.2", MatchSpec("numpy", "=1.2")),
        ("numpy==1.2", MatchSpec("numpy", "==1.2", exact="1.2")),
        ("numpy == 1.2", MatchSpec("numpy", "==1.2", exact="1.2")),
        ("numpy 1.2", MatchSpec("numpy", "1.2", exact="1.2")),
        ("numpy 1.2 py_0", MatchSpec("numpy", "1.2", "py_0", exact="1.2")),
        ("numpy=1.2=py_0", MatchSpec("numpy", "=1.2", "py_0", exact="1.2")),
        ("numpy=1.2=*_cpython", MatchSpec("numpy", "=1.2", "*_cpython", exact="1.2")),
        ("numpy=1.2.*", MatchSpec("numpy", "=1.2.*")),
        ("numpy 1.2.*", MatchSpec("numpy", "1.2.*")),
        ("python >= 3.8, < 3.9", MatchSpec("python", ">=3.8,<3.9")),
        ("python >=3.8|3.7.*", MatchSpec("python", ">=3.8|3.7.*")),
        ("python !=3.8", MatchSpec("python", "!=3.8")),
        ("python ~=3.8", MatchSpec("python", "~=3.8")),
        ("python >=3.8,<3.9.0a0 *_cpython", MatchSpec("python", ">=3.8,<3.9.0a0", "*_cpython")),
        ("a::b=1", MatchSpec("b", "=1", channel="a")),
        ("a/linux-64::b", MatchSpec("b", channel="a", platform="linux-64")),
        ("a/label/dev::b", MatchSpec("b", channel="a/label/dev")),
        ("b[version='>=1, <2', build=py*]", MatchSpec("b", ">=1,<2", "py*")),
        ('b[channel=a, subdir=linux-64, version="1.2"]', MatchSpec("b", "1.2", channel="a", exact="1.2", platform="linux-64")),
        ("b  # a comment", MatchSpec("b")),
        ("", None),
        ("=1", None),
        ("a b c d", None),
        ("zlib === = 1", None),
        ("zlib >=", None),
        ("zlib[version", None),
        ("zlib[version=1 2]", None),
        ("x" * 5000, None),
    ],
)
def test_match_specs_are_read_by_condas_rules(text: str, spec: MatchSpec | None) -> None:
    assert match_spec(text) == spec


def test_a_version_is_pinned_where_conda_takes_no_other() -> None:
    assert (one("a=1.2").version, one("a==1.2").version, one("a=1.2=h0_0").version) == ("", "1.2", "1.2")
    assert (one("a=1.2=h0_0").build, one("a=1.2=*_0").build) == ("h0_0", "")
    assert one("a >=1 h0_0").specifier == ">=1 h0_0"


def test_a_package_by_its_url() -> None:
    pin = one(f"https://conda.example/t/TOKEN/main/linux-64/zlib-1.3-h0_0.conda#sha256:{SHA}")
    assert "TOKEN" not in repr(pin)
    assert (pin.name, pin.version, pin.build) == ("zlib", "1.3", "h0_0")
    assert pin.source == Source(kind=SourceKind.REGISTRY, location="https://conda.example/main")
    assert pin.artifacts[0].digests == (Digest("sha256", SHA),)


def test_selectors_say_for_which_platforms_a_row_is() -> None:
    lock = read(
        "platforms: [linux-64, osx-arm64, win-64]\n"
        "dependencies:\n"
        "- a\n"
        "- b  # [linux]\n"
        "- c=1  # [unix]\n"
        "- d  # [because of c]\n"
        "- e  # see [1]\n"
        "- sel(win): f\n"
        "- sel(aarch64): g\n"
    )
    assert {pin.name: pin.platforms for pin in lock.pins} == {
        "a": (),
        "b": ("linux-64",),
        "c": ("linux-64", "osx-arm64"),
        "d": (),
        "e": (),
        "f": ("win-64",),
        "g": ("linux-aarch64",),  # for none that the file is for, which is not for all
    }
    assert lock.platforms == ("linux-64", "osx-arm64", "win-64")
    assert {edge.name: edge.platforms for edge in lock.roots[0].dependencies}["c"] == ("linux-64", "osx-arm64")


def test_rows_of_pip_are_a_requirements_file() -> None:
    text = f"""dependencies:
- pip:
  - -r more.txt
  - --extra-index-url https://me:PASS@index.example/simple
  - six==1.17.0 --hash=sha256:{SHA}
  - -e .
  - demo @ git+https://host.example/demo.git@{"01" * 20}
"""
    assert environment_yml.wants(text) == ("more.txt",)
    lock = read(text, **{"more.txt": "Flask==3.0\n"})
    assert [(pin.name, pin.version, pin.source.kind, pin.where) for pin in lock.pins] == [
        ("flask", "3.0", SourceKind.REGISTRY, "more.txt: line 1"),
        ("six", "1.17.0", SourceKind.REGISTRY, "dependencies[0].pip[2]"),
        ("", "", SourceKind.EDITABLE, "dependencies[0].pip[3]"),
        ("demo", "", SourceKind.GIT, "dependencies[0].pip[4]"),
    ]
    assert lock.pins[1].artifacts[0].digests == (Digest("sha256", SHA),)
    assert "PASS" not in repr(lock)
    assert ("lock-url-credentials", "dependencies[0].pip[1]") in {(note.code, note.where) for note in lock.notes}
    missing = read(text)
    assert ("lock-include-missing", "dependencies[0].pip[0]") in {(note.code, note.where) for note in missing.notes}
    assert environment_yml.wants(DOCUMENT) == environment_yml.wants("- -r: [") == ()


def test_the_text_of_a_template_is_kept() -> None:
    text = """name: {{ cookiecutter.project_slug }}
{% if cookiecutter.gpu %}
channels: ["{{ channel }}"]
{% endif %}
dependencies:
- python={{ python }}
- numpy=={{ cookiecutter["numpy"] }}
- {{ cookiecutter.package }}
- zlib==1.3
"""
    lock = read(text)
    assert [(pin.name, pin.version, pin.specifier) for pin in lock.pins] == [
        ("python", "", "={{python}}"),
        ("numpy", "", '=={{cookiecutter["numpy"]}}'),
        ("zlib", "1.3", ""),
    ]
    assert lock.facts["jinja_template"] is True
    assert [(note.code, note.where) for note in lock.notes] == [
        ("lock-variable", "line 1"),
        ("lock-variable", "dependencies[2]"),
    ]
    assert read(DOCUMENT).facts["jinja_template"] is False


def test_a_few_aliases_are_read() -> None:
    text = "x: &both [zlib, python]\ndependencies: *both\n"
    assert [pin.name for pin in read(text).pins] == ["zlib", "python"]


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("name: x\n", "lock-missing-key", "environment.yml"),
        ("dependencies: zlib\n", "lock-bad-type", "dependencies"),
        ("dependencies:\n- [zlib]\n", "lock-bad-type", "dependencies[0]"),
        ("dependencies:\n- {a: b, c: d}\n", "lock-bad-type", "dependencies[0]"),
        ("dependencies:\n- zlib\n- 'zlib ==='\n", "lock-bad-requirement", "dependencies[1]"),
        ("dependencies:\n- 'zl$b=1'\n", "lock-bad-name", "dependencies[0]"),
        ("dependencies:\n- npm: [x]\n", "lock-bad-source", "dependencies[0]"),
        ("dependencies:\n- sel(amiga): x\n", "lock-bad-name", "dependencies[0].sel(amiga)"),
        ("dependencies:\n- sel(win): [x]\n", "lock-bad-type", "dependencies[0].sel(win)"),
        ("dependencies:\n- zlib\n- pip:\n  - six\n  - 'six ??'\n", "lock-bad-requirement", "dependencies[1].pip[1]"),
        ("dependencies:\n- pip:\n  - [six]\n", "lock-bad-type", "dependencies[0].pip[0]"),
        ("dependencies:\n- pip: {six: 1}\n", "lock-bad-type", "dependencies[0].pip"),
        ('dependencies:\n- pip:\n  - "six\\nflask"\n', "lock-bad-requirement", "dependencies[0].pip[0]"),
        ("dependencies:\n- pip:\n  - six==1 --hash=sha256:ab\n", "malformed-hash", "dependencies[0].pip[0]"),
        ("dependencies:\n- pip:\n  - six==1\n  - six==2\n", "lock-contradictory", "dependencies[0].pip[1]"),
        ("dependencies:\n- a==1\n- a==2\n", "lock-contradictory", "dependencies[1]"),
        ("dependencies:\n- a==1\n- sel(win): a==2\n", "lock-contradictory", "dependencies[1].sel(win)"),
        ("dependencies:\n- https://conda.example/main/noarch/x.conda\n", "lock-bad-name", "dependencies[0]"),
        ("dependencies:\n- https://conda.example/main/noarch/x-1-0.conda#ab\n", "malformed-hash", "dependencies[0]"),
        ("channels: x\ndependencies: []\n", "lock-bad-type", "channels"),
        ("channels: ['https://[']\ndependencies: []\n", "lock-bad-url", "channels[0]"),
        ("name: [x]\ndependencies: []\n", "lock-bad-type", "name"),
        ("platforms: ['l!nux']\ndependencies: []\n", "lock-bad-name", "platforms[0]"),
        ("dependencies:\n- a: !x b\n", "lock-syntax", "line 2 column 6"),
        ("dependencies: []\ndependencies: []\n", "lock-syntax", "line 2 column 1"),
        ("x: &a {b: c}\n<<: *a\n", "lock-syntax", "line 2 column 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, code: str, where: str) -> None:
    error = refusal(text)
    assert error.code == code, error.issues
    assert error.where.endswith(where), error.where
    assert error.hint


def test_two_versions_for_two_platforms_do_not_contradict_each_other() -> None:
    assert len(read("dependencies:\n- sel(linux): a==1\n- sel(win): a==2\n").pins) == 2


def test_the_line_of_each_row() -> None:
    assert list(environment_yml.lines(DOCUMENT)) == [
        ("python", "", 7),
        ("cudatoolkit", "11.1.74", 8),
        ("zlib", "", 9),
        ("pip", "", 10),
        ("gcc", "", 11),
        ("six", "1.17.0", 13),
        ("Flask", "", 14),
    ]
    assert list(environment_yml.lines("dependencies: 7")) == list(environment_yml.lines(":")) == []


def test_it_is_known_by_its_name_and_by_its_text() -> None:
    for name in ("environment.yml", "environment-dev.yaml", "conda-env.yml"):
        assert reader_for(name, DOCUMENT) is environment_yml


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.data())
def test_whatever_is_spoiled_is_read_or_refused(data: st.DataObject) -> None:
    outcome(environment_yml, data.draw(spoiled(DOCUMENT)))


# Real ones.


def real(name: str) -> Lock:
    if not CORPUS.exists():
        pytest.skip("the corpus of real locks is not beside this checkout")
    return read((CORPUS / name).read_text())


def test_a_real_one_with_blanks_in_its_specs() -> None:
    lock = real("conda__conda-lock__1.yml")
    assert [(pin.name, pin.specifier) for pin in lock.pins] == [("python", ">=3.8,<3.9"), ("gdal", ""), ("toolz", "")]


def test_a_real_one_that_is_a_template() -> None:
    lock = real("mlf-core__mlf-core__1.yml")
    assert lock.facts["jinja_template"] is True
    assert (lock.pins[0].name, lock.pins[0].specifier, lock.pins[0].source.location) == ("cudatoolkit", "=11.1.74", "nvidia")
    assert [pin.version for pin in lock.pins if pin.ecosystem is Ecosystem.PYPI] == ["2020.1", "1.6.0", "2.0.2"]


def test_a_byte_order_mark_is_read_past(tmp_path: Path) -> None:
    path = tmp_path / "environment.yml"
    path.write_bytes(b"\xef\xbb\xbfname: x\ndependencies:\n- python ==3.11.4\n")
    assert [(pin.name, pin.version) for pin in read_lock(path).pins] == [("python", "3.11.4")]
