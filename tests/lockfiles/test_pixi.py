"""pixi.lock: environments that name packages, in five versions of the format; and broken ones, named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutations import outcome, spoiled
from sanctity.errors import DocumentError
from sanctity.lockfiles import pixi, reader_for
from sanctity.model.digest import Digest
from sanctity.model.lock import Artifact, Dependency, Ecosystem, Lock, Pin, RootKind, Source, SourceKind

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus" / "pixi"
DIGEST = Digest("sha256", "0" * 64)
SHA = Digest("sha256", "ab" * 32)
MD5 = Digest("md5", "cd" * 16)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHANNEL = "https://conda.example/conda-forge"
INDEX = "https://index.example/simple"
ZLIB = f"{CHANNEL}/linux-64/libzlib-1.3-h0_0.conda"
MAC = f"{CHANNEL}/osx-arm64/libzlib-1.3-h1_0.conda"
NEWER = f"{CHANNEL}/linux-64/libzlib-1.4-h0_0.conda"
NUMPY = f"{CHANNEL}/linux-64/numpy-2.1-py312_0.conda"
SIX = "https://files.example/six-1.17.0-py2.py3-none-any.whl"
HASHES = f"sha256: {SHA.value}\n  md5: {MD5.value}"


def document(
    packages: str,
    *,
    linux: tuple[str, ...] = (),
    mac: tuple[str, ...] = (),
    version: str = "6",
    more: str = "",
    platforms: str = "",
    channel: str = f"{CHANNEL}/",
) -> str:
    """A document of one environment, whose references are for Linux and for macOS."""

    def refers(names: tuple[str, ...]) -> str:
        return "".join(f"      - {name}\n" for name in names) if names else ""

    there = "".join(f"      {word}:\n{refers(names)}" for word, names in (("linux-64", linux), ("osx-arm64", mac)) if names)
    return f"""version: {version}
{platforms}environments:
  default:
    channels:
    - url: {channel}
    indexes:
    - {INDEX}
    packages:{" {}" if not there else ""}
{there}{more}packages:
{packages}"""


ROWS = f"""- conda: {ZLIB}
  {HASHES}
  depends:
  - __glibc >=2.17
  - libgcc >=13
  size: 60
  timestamp: 1700000000000
- conda: {MAC}
  {HASHES}
- conda: {NUMPY}
  {HASHES}
  depends:
  - libzlib >=1.3,<2.0a0
  purls:
  - pkg:pypi/numpy?source=hash-mapping
- pypi: {SIX}
  name: six
  version: 1.17.0
  sha256: {SHA.value}
  requires_dist:
  - numpy>=2 ; python_full_version >= '3.9'
  - typing ; python_full_version < '3.5'
  - pytest[toml]>=8 ; extra == 'test'
  - mypy ; python_full_version >= '3.9' and extra == 'test'
  requires_python: '>=2.7'
- pypi: ./app
  name: app
  version: 0.1.0
  editable: true
"""
DOCUMENT = document(
    ROWS,
    linux=(f"conda: {ZLIB}", f"conda: {NUMPY}", f"pypi: {SIX}", "pypi: ./app"),
    mac=(f"conda: {MAC}", f"pypi: {SIX}"),
    more=f"""  bare:
    channels:
    - url: {CHANNEL}/
    packages:
      linux-64:
      - conda: {ZLIB}
""",
)


def read(text: str) -> Lock:
    return pixi.parse(text, path="pixi.lock", digest=DIGEST, beside={})


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return caught.value


def test_a_package_is_for_the_platforms_of_the_environments_that_name_it() -> None:
    lock = read(DOCUMENT)
    assert lock.pins[0] == Pin(
        name="libzlib",
        version="1.3",
        source=Source(kind=SourceKind.REGISTRY, location=CHANNEL),
        artifacts=(Artifact(filename="libzlib-1.3-h0_0.conda", digests=(SHA, MD5), location=ZLIB, size=60, where="packages[0]"),),
        dependencies=(Dependency(name="libgcc", ecosystem=Ecosystem.CONDA),),
        where="packages[0]",
        ecosystem=Ecosystem.CONDA,
        build="h0_0",
        platforms=("linux-64",),
    )
    assert [pin.platforms for pin in lock.pins[1:]] == [("osx-arm64",), ("linux-64",), ("linux-64", "osx-arm64"), ("linux-64",)]
    assert (lock.format_version, lock.indexes, lock.platforms) == ("6", (CHANNEL, INDEX), ("linux-64", "osx-arm64"))


def test_each_environment_is_a_root() -> None:
    default, bare = read(DOCUMENT).roots
    assert [(root.kind, root.name, root.default, root.complete) for root in (default, bare)] == [
        (RootKind.ENVIRONMENT, "default", True, True),
        (RootKind.ENVIRONMENT, "bare", False, True),
    ]
    zlib = Dependency(name="libzlib", version="1.3", build="h0_0", ecosystem=Ecosystem.CONDA, platforms=("linux-64",))
    assert bare.dependencies == (zlib,)
    assert default.dependencies[0] == zlib
    assert default.dependencies[2] == Dependency(name="six", version="1.17.0", platforms=("linux-64", "osx-arm64"))
    assert [edge.name for edge in default.dependencies] == ["libzlib", "numpy", "six", "app", "libzlib"]


def test_what_a_package_of_pypi_requires_may_be_conda_s() -> None:
    six = read(DOCUMENT).pins[3]
    assert six.source == Source(kind=SourceKind.REGISTRY, location=INDEX)
    assert six.requires_python == ">=2.7"
    assert six.dependencies == (
        Dependency(name="numpy", marker="python_full_version >= '3.9'", ecosystem=Ecosystem.CONDA),
        Dependency(name="typing", marker="python_full_version < '3.5'"),
    )
    assert six.optional == (
        (
            "test",
            (Dependency(name="pytest", extras=("toml",)), Dependency(name="mypy", marker="python_full_version >= '3.9'")),
        ),
    )


@pytest.mark.parametrize(
    ("location", "source", "artifacts"),
    [
        (
            f"git+https://host.example/a.git#{COMMIT}",
            Source(kind=SourceKind.GIT, location="https://host.example/a.git", revision=COMMIT),
            0,
        ),
        (
            f"git+https://host.example/a.git?rev={COMMIT}&subdirectory=x#{COMMIT}",
            Source(kind=SourceKind.GIT, location="https://host.example/a.git", revision=COMMIT, subdirectory="x"),
            0,
        ),
        ("git+https://host.example/a.git?branch=main", Source(kind=SourceKind.GIT, location="https://host.example/a.git"), 0),
        (
            f"git+ssh://git@host.example/a@{COMMIT}",
            Source(kind=SourceKind.GIT, location="ssh://git@host.example/a", revision=COMMIT),
            0,
        ),
        ("direct+https://host.example/a-1.whl", Source(kind=SourceKind.URL, location="https://host.example/a-1.whl"), 1),
        ("https://files.example/a-1.tar.gz#sha256=" + SHA.value, Source(kind=SourceKind.REGISTRY, location=INDEX), 1),
        (".", Source(kind=SourceKind.DIRECTORY, location="."), 0),
        ("../lib", Source(kind=SourceKind.DIRECTORY, location="../lib"), 0),
        ("./built/a-1-py3-none-any.whl", Source(kind=SourceKind.FILE, location="./built/a-1-py3-none-any.whl"), 1),
        ("file:///srv/a", Source(kind=SourceKind.DIRECTORY, location="file:///srv/a"), 0),
    ],
)
def test_the_one_text_that_says_where_a_package_of_pypi_is(location: str, source: Source, artifacts: int) -> None:
    lock = read(document(f"- pypi: {location}\n  name: a\n  version: '1'\n", linux=(f"pypi: {location}",)))
    (pin,) = lock.pins
    assert pin.source == source
    assert len(pin.artifacts) == artifacts
    if "#sha256" in location:
        assert pin.artifacts[0].digests == (SHA,)


def test_two_environments_may_have_two_wheels_of_one_version() -> None:
    one, other = (f"https://files.example/numpy-2.1-{tag}-manylinux_2_28_x86_64.whl" for tag in ("cp311-cp311", "cp312-cp312"))
    rows = "".join(f"- pypi: {url}\n  name: numpy\n  version: '2.1'\n" for url in (one, other))
    more = f"  test:\n    channels: []\n    indexes: [{INDEX}]\n    packages:\n      linux-64:\n      - pypi: {other}\n"
    lock = read(document(rows, linux=(f"pypi: {one}",), more=more))
    assert [pin.build for pin in lock.pins] == ["cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64"]
    assert [[edge.build for edge in root.dependencies] for root in lock.roots] == [
        ["cp311-cp311-manylinux_2_28_x86_64"],
        ["cp312-cp312-manylinux_2_28_x86_64"],
    ]


def test_two_environments_may_have_one_wheel_from_two_indexes() -> None:
    other = SIX.replace("files", "mirror")
    rows = "".join(f"- pypi: {url}\n  name: six\n  version: '1'\n" for url in (SIX, other))
    more = f"  far:\n    channels: []\n    indexes: ['https://mirror.example/simple']\n    packages:\n      linux-64:\n      - pypi: {other}\n"
    lock = read(document(rows, linux=(f"pypi: {SIX}",), more=more))
    locations = [INDEX, "https://mirror.example/simple"]
    assert [pin.source.location for pin in lock.pins] == locations
    assert [edge.source and edge.source.location for root in lock.roots for edge in root.dependencies] == locations


def test_extras_that_an_environment_asks_for() -> None:
    text = DOCUMENT.replace(f"      - pypi: {SIX}\n", f"      - pypi: {SIX}\n        extras: [Test]\n", 1)
    edges = [edge for edge in read(text).roots[0].dependencies if edge.name == "six"]
    assert [(edge.extras, edge.platforms) for edge in edges] == [((), ("osx-arm64",)), (("test",), ("linux-64",))]


@pytest.mark.parametrize("version", ["4", "5"])
def test_versions_4_and_5_say_of_what_kind_a_row_is(version: str) -> None:
    rows = f"""- kind: conda
  name: libzlib
  version: '1.3'
  build: h0_0
  subdir: linux-64
  url: {ZLIB}
  {HASHES}
- kind: pypi
  name: six
  version: 1.17.0
  url: {SIX}
  sha256: {SHA.value}
- kind: pypi
  name: app
  version: 0.1.0
  path: .
  editable: true
"""
    lock = read(document(rows, linux=(f"conda: {ZLIB}", f"pypi: {SIX}", "pypi: ."), version=version))
    assert [(pin.name, pin.version, pin.build, pin.source.kind) for pin in lock.pins] == [
        ("libzlib", "1.3", "h0_0", SourceKind.REGISTRY),
        ("six", "1.17.0", "", SourceKind.REGISTRY),
        ("app", "0.1.0", "", SourceKind.EDITABLE),
    ]
    assert lock.pins[0].artifacts[0].digests == (SHA, MD5)


PLATFORMS = "platforms:\n- name: linux-64\n  virtual-packages:\n  - __glibc=2.28\n- name: osx-arm64\n"


def test_version_7_names_its_platforms_and_their_virtual_packages() -> None:
    lock = read(document(ROWS, linux=(f"conda: {ZLIB}",), version="7", platforms=PLATFORMS))
    assert (lock.format_version, lock.platforms) == ("7", ("linux-64", "osx-arm64"))
    named = PLATFORMS.replace("- name: linux-64\n", "- name: cluster\n  subdir: linux-64\n")
    text = document(ROWS, linux=(f"conda: {ZLIB}",), version="7", platforms=named).replace("      linux-64:\n", "      cluster:\n")
    lock = read(text)
    assert lock.pins[0].platforms == ("linux-64",)
    assert lock.facts["by_platform"] == {"cluster": 1}


def test_two_platforms_of_one_kind_keep_their_names() -> None:
    both = PLATFORMS + "- name: cluster\n  subdir: linux-64\n"
    lock = read(document(ROWS, linux=(f"conda: {ZLIB}",), version="7", platforms=both))
    assert lock.platforms == ("linux-64", "osx-arm64", "cluster")


def test_version_7_may_say_the_index_of_a_row_and_leave_its_version_out() -> None:
    rows = f"- pypi: {SIX}\n  name: six\n  index_url: https://me:PASS@other.example/simple\n- pypi: ./app\n  name: app\n"
    lock = read(document(rows, linux=(f"pypi: {SIX}", "pypi: ./app"), version="7", platforms=PLATFORMS))
    assert [(pin.version, pin.source.location) for pin in lock.pins] == [("", "https://other.example/simple"), ("", "./app")]
    assert "PASS" not in repr(lock)


@pytest.mark.parametrize(
    ("row", "source"),
    [
        (
            "conda_source: app[0a1b2c3d] @ ../app\n  version: 0.5.0\n  build: h0_0\n  subdir: linux-64",
            Source(kind=SourceKind.DIRECTORY, location="../app"),
        ),
        ("source: 'app[0a1b2c3d] @ .'\n  version: 0.5.0\n  build: h0_0", Source(kind=SourceKind.DIRECTORY, location=".")),
        (
            "conda: .\n  name: app\n  version: 0.5.0\n  build: h0_0\n  subdir: linux-64",
            Source(kind=SourceKind.DIRECTORY, location="."),
        ),
        (
            f"conda: git+https://host.example/app?rev=main#{COMMIT}\n  name: app\n  version: 0.5.0\n  build: h0_0",
            Source(kind=SourceKind.GIT, location="https://host.example/app", revision=COMMIT),
        ),
    ],
)
def test_what_pixi_builds_itself_has_no_file(row: str, source: Source) -> None:
    lock = read(document(f"- {row}\n", linux=(row.partition("\n")[0],)))
    (pin,) = lock.pins
    assert (pin.name, pin.version, pin.build, pin.ecosystem) == ("app", "0.5.0", "h0_0", Ecosystem.CONDA)
    assert (pin.source, pin.artifacts, pin.platforms) == (source, (), ("linux-64",))


def test_one_folder_may_give_two_packages() -> None:
    rows = "".join(f"- conda: .\n  name: {name}\n  version: '1'\n  build: h0_0\n  subdir: linux-64\n" for name in ("one", "two"))
    lock = read(document(rows, linux=("{conda: ., name: two}",)))
    assert [edge.name for edge in lock.roots[0].dependencies] == ["two"]


THREE = f"""version: 3
metadata:
  channels:
  - url: {CHANNEL}/
    used_env_vars: []
  platforms:
  - linux-64
  - osx-arm64
package:
- platform: linux-64
  name: libzlib
  version: '1.3'
  category: main
  manager: conda
  dependencies:
  - libgcc >=13
  url: {ZLIB}
  hash:
    {HASHES.replace("  md5", "    md5")}
  build: h0_0
  size: 60
- platform: linux-64
  name: six
  version: 1.17.0
  category: main
  manager: pypi
  requires_dist:
  - typing
  extras:
  - test
  url: {SIX}#sha256={SHA.value}
  hash:
    md5: null
    sha256: {SHA.value}
- platform: osx-arm64
  name: six
  version: 1.17.0
  category: main
  manager: pypi
  url: {SIX}
  hash: {{sha256: {SHA.value}}}
"""


def test_version_3_has_a_row_for_each_platform_and_one_environment() -> None:
    lock = read(THREE)
    assert [(pin.name, pin.ecosystem, pin.platforms) for pin in lock.pins] == [
        ("libzlib", Ecosystem.CONDA, ("linux-64",)),
        ("six", Ecosystem.PYPI, ("linux-64",)),
        ("six", Ecosystem.PYPI, ("osx-arm64",)),
    ]
    assert lock.pins[0].artifacts[0].digests == (SHA, MD5)
    assert lock.pins[1].artifacts[0].digests == (SHA,)
    assert lock.pins[1].artifacts[0].location == SIX
    (root,) = lock.roots
    assert (root.kind, root.name, root.default) == (RootKind.ENVIRONMENT, "default", True)
    assert [(edge.name, edge.extras, edge.platforms) for edge in root.dependencies] == [
        ("libzlib", (), ("linux-64",)),
        ("six", (), ("osx-arm64",)),
        ("six", ("test",), ("linux-64",)),
    ]


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (DOCUMENT.replace("version: 6\n", "version: 8\n"), "lock-version-unsupported", "version"),
        (DOCUMENT.replace("version: 6\n", "version: 2\n"), "lock-version-unsupported", "version"),
        (DOCUMENT.replace("version: 6\n", "version: six\n"), "lock-version-unsupported", "version"),
        (DOCUMENT.replace("version: 6\n", ""), "lock-version-unsupported", "version"),
        ("version: 6\npackages: []\n", "lock-missing-key", "pixi.lock"),
        ("version: 6\nenvironments: {}\n", "lock-missing-key", "pixi.lock"),
        ("version: 3\n", "lock-missing-key", "pixi.lock"),
        ("version: 6\nenvironments: [a]\npackages: []\n", "lock-bad-type", "environments"),
        ("version: 6\nenvironments: {a b: {}}\npackages: []\n", "lock-bad-name", "environments"),
        ("version: 6\nenvironments: {a: [b]}\npackages: []\n", "lock-bad-type", "environments.a"),
        ("version: 6\nenvironments: {a: {packages: {'l x': []}}}\npackages: []\n", "lock-bad-name", "environments.a.packages"),
        (
            "version: 6\nenvironments: {a: {packages: {linux-64: x}}}\npackages: []\n",
            "lock-bad-type",
            "environments.a.packages.linux-64",
        ),
        (document(ROWS, linux=("x",)), "lock-bad-type", "environments.default.packages.linux-64[0]"),
        (document(ROWS, linux=("npm: x",)), "lock-bad-source", "environments.default.packages.linux-64[0]"),
        (document(ROWS, linux=(f"conda: {ZLIB}x",)), "lock-missing-key", "environments.default.packages.linux-64[0]"),
        (document(ROWS, linux=(f"pypi: {ZLIB}",)), "lock-missing-key", "environments.default.packages.linux-64[0]"),
        (document(ROWS, linux=(f"conda: {ZLIB}",) * 2), "lock-duplicate-package", "environments.default.packages.linux-64[1]"),
        (
            document(f"- conda: {ZLIB}\n- conda: {NEWER}\n", linux=(f"conda: {ZLIB}", f"conda: {NEWER}")),
            "lock-contradictory",
            "environments.default.packages.linux-64[1]",
        ),
        (document(ROWS, mac=(f"conda: {ZLIB}",)), "lock-contradictory", "packages[0].conda"),
        (document("- 7\n"), "lock-bad-type", "packages[0]"),
        (document("- npm: x\n"), "lock-bad-source", "packages[0]"),
        (document("- kind: npm\n  name: x\n"), "lock-bad-source", "packages[0].kind"),
        (document("- kind: pypi\n  name: x\n"), "lock-missing-key", "packages[0]"),
        (document(f"- conda: {CHANNEL}/linux-64/x.conda\n  name: x\n"), "lock-bad-name", "packages[0].conda"),
        (document(f"- conda: {CHANNEL}/linux-64/..%2fx-1-0.conda\n  name: x\n"), "lock-unsafe-filename", "packages[0].conda"),
        (document("- conda: .\n"), "lock-missing-key", "packages[0]"),
        (document(f"- conda: {ZLIB}\n  sha256: abcd\n"), "malformed-hash", "packages[0].sha256"),
        (document(f"- conda: {ZLIB}\n  md5: {{}}\n"), "malformed-hash", "packages[0].md5"),
        (document(f"- conda: {ZLIB}\n  size: -1\n"), "lock-bad-size", "packages[0].size"),
        (document(f"- conda: {ZLIB}\n  size: {'9' * 40}\n"), "lock-bad-size", "packages[0].size"),
        (document(f"- conda: {ZLIB}\n  name: [x]\n"), "lock-bad-type", "packages[0].name"),
        (document(f"- conda: {ZLIB}\n  version: 1-2\n"), "lock-bad-version", "packages[0].version"),
        (document(f"- conda: {ZLIB}\n  build: 1-2\n"), "lock-bad-version", "packages[0].build"),
        (document(f"- conda: {ZLIB}\n  depends: x\n"), "lock-bad-type", "packages[0].depends"),
        (document(f"- conda: {ZLIB}\n  depends: [[x]]\n"), "lock-bad-type", "packages[0].depends[0]"),
        (document(f"- conda: {ZLIB}\n  depends: ['x ===']\n"), "lock-bad-requirement", "packages[0].depends"),
        (document(f"- conda: {ZLIB}\n- conda: {ZLIB}\n"), "lock-duplicate-package", "packages[1]"),
        (document(f"- conda: {ZLIB}\n- conda: {ZLIB}\n  {HASHES}\n"), "lock-contradictory", "packages[1]"),
        (document(f"- pypi: {SIX}\n"), "lock-missing-key", "packages[0]"),
        (document(f"- pypi: {SIX}\n  name: six\n  version: one\n"), "lock-bad-version", "packages[0].version"),
        (document(f"- pypi: {SIX}\n  name: six\n  editable: perhaps\n"), "lock-bad-type", "packages[0].editable"),
        (
            document(f"- pypi: {SIX}\n  name: six\n  requires_dist: ['??']\n"),
            "lock-bad-requirement",
            "packages[0].requires_dist[0]",
        ),
        (document(f"- pypi: {SIX}\n  name: six\n  requires_dist: ['x ; y']\n"), "lock-bad-marker", "packages[0].requires_dist[0]"),
        (document("- pypi: https://[\n  name: six\n"), "lock-bad-url", "packages[0].pypi"),
        (document("- pypi: 'https://files.example/..'\n  name: six\n"), "lock-unsafe-filename", "packages[0].pypi"),
        (document(ROWS, channel="'https://['"), "lock-bad-url", "environments.default.channels[0].url"),
        (document(ROWS, version="7", platforms="platforms:\n- subdir: linux-64\n"), "lock-missing-key", "platforms[0]"),
        (document(ROWS, version="7", platforms=PLATFORMS + "- name: linux-64\n"), "lock-contradictory", "platforms[2].name"),
        (THREE.replace("manager: conda", "manager: pip"), "lock-bad-source", "package[0].manager"),
        (THREE.replace("- platform: osx-arm64\n", "- platform: linux-64\n"), "lock-contradictory", "package[2]"),
        (THREE.replace(MD5.value, "x"), "malformed-hash", "package[0].hash.md5"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, code: str, where: str) -> None:
    error = refusal(text)
    assert error.code == code, error.issues
    assert error.where.endswith(where), error.where
    assert error.hint == "lock again with pixi"


def test_a_channels_token_is_cut_and_told_in_each_place() -> None:
    secret = "https://conda.example/t/TOKEN/main"
    row = f"{secret}/linux-64/x-1-0.conda"
    lock = read(document(f"- conda: {row}\n", linux=(f"conda: {row}",), channel=secret))
    assert "TOKEN" not in repr(lock)
    assert lock.pins[0].source.location == lock.indexes[0] == "https://conda.example/main"
    assert [(note.code, note.where) for note in lock.notes] == [
        ("lock-url-credentials", "environments.default.channels[0].url"),
        ("lock-url-credentials", "packages[0].conda"),
    ]


def test_the_line_of_each_row() -> None:
    assert list(pixi.lines(DOCUMENT)) == [
        ("libzlib", "1.3", 24),
        ("libzlib", "1.3", 32),
        ("numpy", "2.1", 35),
        ("six", "1.17.0", 42),
        ("app", "0.1.0", 52),
    ]
    assert [line for line, text in enumerate(DOCUMENT.split("\n"), start=1) if text.startswith("- ")] == [24, 32, 35, 42, 52]
    assert list(pixi.lines(THREE)) == [("libzlib", "1.3", 10), ("six", "1.17.0", 23), ("six", "1.17.0", 36)]
    assert list(pixi.lines("packages:\n- conda_source: app[0a] @ .\n")) == [("app", "", 2)]


def test_it_is_known_by_its_name_and_by_its_text() -> None:
    for name in ("pixi.lock", "other.lock"):
        assert reader_for(name, DOCUMENT) is reader_for(name, THREE) is pixi


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.data())
def test_whatever_is_spoiled_is_a_lock_or_a_refusal(data: st.DataObject) -> None:
    outcome(pixi, data.draw(spoiled(data.draw(st.sampled_from([DOCUMENT, THREE])))))


# Real ones.

REAL = {
    "7": "prefix-dev__pixi__1.lock",
    "5": "prefix-dev__pixi__4.lock",
    "4": "prefix-dev__pixi__5.lock",
    "3": "prefix-dev__pixi__6.lock",
}
REAL |= {"6": "prefix-dev__pixi__2.lock", "6 with sources": "prefix-dev__pixi__3.lock"}


def real(version: str) -> Lock:
    if not CORPUS.exists():
        pytest.skip("the corpus of real locks is not beside this checkout")
    return read((CORPUS / REAL[version]).read_text())


def test_the_real_one_of_version_7() -> None:
    lock = real("7")
    assert len(lock.roots) == 10
    assert [root.name for root in lock.roots if root.default] == ["default"]
    mike = next(pin for pin in lock.pins if pin.name == "mike")
    assert (mike.source.kind, mike.version, len(mike.source.revision)) == (SourceKind.GIT, "2.2.0+zensical.0.1.0", 40)
    # jinja2 is conda's there, and PyPI's packages need it.
    assert any(edge.name == "jinja2" and edge.ecosystem is Ecosystem.CONDA for edge in mike.dependencies)
    assert lock.platforms == ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")


def test_the_real_one_with_sources() -> None:
    lock = real("6 with sources")
    kinds = {pin.name: pin.source.kind for pin in lock.pins if pin.source.kind is not SourceKind.REGISTRY}
    assert kinds == {
        "click": SourceKind.URL,
        "flask": SourceKind.GIT,
        "httpx": SourceKind.GIT,
        "pytest": SourceKind.GIT,
        "minimal-project": SourceKind.DIRECTORY,
    }
    assert all(len(pin.source.revision) == 40 for pin in lock.pins if pin.source.kind is SourceKind.GIT)


def test_the_real_one_with_the_same_wheel_from_two_hosts() -> None:
    lock = real("5")
    blinkers = [pin for pin in lock.pins if pin.name == "blinker"]
    assert len({pin.source for pin in blinkers}) == len({pin.artifacts[0].location for pin in blinkers}) == 2
    assert len({pin.artifacts[0].digests for pin in blinkers}) == 1
    assert {edge.source for root in lock.roots for edge in root.dependencies if edge.name == "blinker"} == {
        pin.source for pin in blinkers
    }


@pytest.mark.parametrize("version", sorted(REAL))
def test_in_a_real_one_every_edge_of_a_root_finds_its_one_pin_on_each_of_its_platforms(version: str) -> None:
    lock = real(version)
    pins: dict[tuple[Ecosystem, str, str], list[Pin]] = {}
    for pin in lock.pins:
        pins.setdefault((pin.ecosystem, pin.name, pin.version), []).append(pin)
    reached = set()
    for root in lock.roots:
        for edge in root.dependencies:
            for platform in edge.platforms:
                (pin,) = [
                    pin
                    for pin in pins[edge.ecosystem, edge.name, edge.version]
                    if platform in pin.platforms and pin.build == edge.build and edge.source in {None, pin.source}
                ]
                reached.add(pin)
    assert len(reached) == len(lock.pins)
    references = sum(len(edge.platforms) for root in lock.roots for edge in root.dependencies)
    assert lock.facts["env_platform_refs"] in {references, 0}
