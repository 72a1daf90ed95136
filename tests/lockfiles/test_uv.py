"""uv.lock: what real tools wrote, read back; and broken ones, named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import DocumentError
from sanctity.lockfiles import reader_for, uv
from sanctity.model.digest import Digest
from sanctity.model.lock import Artifact, Dependency, Lock, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parent / "fixtures"
DIGEST = Digest("sha256", "0" * 64)
HEX = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"
INDEX = Source(kind=SourceKind.REGISTRY, location="https://index.example/simple")
WHEEL = f'{{ url = "https://files.index.example/six-1.17.0-py2.py3-none-any.whl", hash = "sha256:{HEX}", size = 11050 }}'
PROJECT = """version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "six" }]

[package.dev-dependencies]
dev = [{ name = "six" }]
lint = [{ name = "six" }]

[[package]]
name = "six"
version = "1.17.0"
source = { registry = "https://index.example/simple" }
wheels = [
    WHEEL,
]
""".replace("WHEEL", WHEEL)


def read(text: str, *, pyproject: str | None = None) -> Lock:
    beside = {} if pyproject is None else {"pyproject.toml": pyproject}
    return uv.parse(text, path="uv.lock", digest=DIGEST, beside=beside)


def fixture(name: str) -> Lock:
    return read((FIXTURES / name).read_text())


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return caught.value


def pin(lock: Lock, name: str) -> Pin:
    (found,) = [pin for pin in lock.pins if pin.name == name]
    return found


def root(lock: Lock, kind: RootKind, member: str, name: str = "") -> Root:
    (found,) = [root for root in lock.roots if (root.kind, root.member, root.name) == (kind, member, name)]
    return found


def names(root: Root) -> list[str]:
    return [edge.name for edge in root.dependencies]


def test_recognises_by_name() -> None:
    assert reader_for("uv.lock") is uv
    assert reader_for("tool.py.lock") is uv
    assert reader_for("poetry.lock") is not uv
    assert reader_for("my-uv.lock") is not uv


def test_a_project() -> None:
    lock = read(PROJECT)
    assert lock.format_version == "1 revision 3"
    assert lock.requires_python == ">=3.11"
    assert pin(lock, "six") == Pin(
        name="six",
        version="1.17.0",
        source=INDEX,
        where="package[1]",
        artifacts=(
            Artifact(
                filename="six-1.17.0-py2.py3-none-any.whl",
                digests=(Digest("sha256", HEX),),
                location="https://files.index.example/six-1.17.0-py2.py3-none-any.whl",
                size=11050,
                where="package[1].wheels[0]",
            ),
        ),
    )
    assert root(lock, RootKind.PROJECT, "app") == Root(
        kind=RootKind.PROJECT, member="app", dependencies=(Dependency(name="six"),), default=True
    )
    assert lock.notes == ()


def test_a_workspace() -> None:
    """As `uv sync` does beside it: the project in the folder itself is installed, the other members on request."""
    lock = fixture("workspace.uv.lock")
    projects = {root.member: root.default for root in lock.roots if root.kind is RootKind.PROJECT}
    assert projects == {"alpha": False, "beta": False, "gamma": False, "root-app": True}
    assert names(root(lock, RootKind.PROJECT, "root-app")) == ["root-app", "alpha", "six"]
    assert root(lock, RootKind.PROJECT, "root-app").dependencies[1].extras == ("fast",)
    assert root(lock, RootKind.PROJECT, "gamma").dependencies == (), "a virtual member is not installed itself"
    assert pin(lock, "gamma").source == Source(kind=SourceKind.VIRTUAL, location="packages/gamma")
    assert pin(lock, "beta").version == "", "a dynamic version is not locked"
    assert pin(lock, "beta").source == Source(kind=SourceKind.EDITABLE, location="packages/beta")
    assert dict(pin(lock, "alpha").optional) == {"fast": (Dependency(name="pluggy", marker="platform_machine == 'x86_64'"),)}


def test_forks_are_told_apart() -> None:
    lock = fixture("workspace.uv.lock")
    assert {pin.version for pin in lock.pins if pin.name == "idna"} == {"3.3", "3.20"}
    old = root(lock, RootKind.EXTRA, "root-app", "old-web")
    assert old.dependencies == (Dependency(name="idna", version="3.3", source=INDEX),)
    assert {pin.marker for pin in lock.pins if pin.name == "idna"} == {"(sys_platform == 'linux') or (sys_platform == 'win32')"}


def test_default_groups_of_revision_5() -> None:
    lock = fixture("workspace.uv.lock")
    groups = {(root.member, root.name): root.default for root in lock.roots if root.kind is RootKind.GROUP}
    assert groups == {("beta", "dev"): False, ("root-app", "dev"): False, ("root-app", "lint"): True}


@pytest.mark.parametrize(
    ("pyproject", "expected"),
    [
        (None, {"dev"}),
        ("[project]\nname = 'app'", {"dev"}),
        ("[tool.uv]\ndefault-groups = []", set()),
        ("[tool.uv]\ndefault-groups = ['Lint']", {"lint"}),
        ("[tool.uv]\ndefault-groups = 'all'", {"dev", "lint"}),
    ],
)
def test_default_groups_of_older_revisions(pyproject: str | None, expected: set[str]) -> None:
    lock = read(PROJECT, pyproject=pyproject)
    assert {root.name for root in lock.roots if root.kind is RootKind.GROUP and root.default} == expected


def test_a_broken_pyproject_is_noted() -> None:
    assert [note.code for note in read(PROJECT, pyproject="[tool").notes] == ["lock-neighbour-unreadable"]


def test_a_workspace_whose_root_is_no_project() -> None:
    lock = fixture("groups-only.uv.lock")
    assert names(root(lock, RootKind.PROJECT, "member")) == ["certifi"]
    assert root(lock, RootKind.PROJECT, "member").default
    assert root(lock, RootKind.GROUP, "", "lint").dependencies == (
        Dependency(name="iniconfig", marker="sys_platform == 'linux'"),
        Dependency(name="packaging"),
    )
    assert root(lock, RootKind.GROUP, "", "lint").default, "its default groups are all"


def test_a_script() -> None:
    lock = fixture("script.py.lock")
    assert [(root.kind, root.default, names(root)) for root in lock.roots] == [(RootKind.PROJECT, True, ["idna", "six"])]


def test_conflicts_have_extras_of_their_own() -> None:
    lock = fixture("conflicts.uv.lock")
    assert root(lock, RootKind.PROJECT, "conf").extras == ("project-4-conf",)
    assert root(lock, RootKind.EXTRA, "conf", "cpu").extras == ("extra-4-conf-cpu",)
    assert root(lock, RootKind.GROUP, "conf", "a").extras == ("group-4-conf-a",)
    markers = [edge.marker for edge in pin(lock, "helper").dependencies]
    assert any("extra == 'extra-4-conf-cpu'" in marker for marker in markers)


def test_sources() -> None:
    lock = fixture("sources.uv.lock")
    assert {pin.name: pin.source for pin in lock.pins} == {
        "sources": Source(kind=SourceKind.VIRTUAL, location="."),
        "editpkg": Source(kind=SourceKind.EDITABLE, location="edit"),
        "folderpkg": Source(kind=SourceKind.DIRECTORY, location="folder"),
        "gitpkg": Source(
            kind=SourceKind.GIT,
            location="https://git.index.example/gitpkg",
            revision="9cb77c98f2321622ccc787aab025fdafd7ed1e2c",
            subdirectory="sub",
        ),
        "idna": Source(kind=SourceKind.URL, location=pin(lock, "idna").artifacts[0].location),
        "iniconfig": Source(kind=SourceKind.REGISTRY, location="../flat"),
        "old-pkg": Source(kind=SourceKind.FILE, location="old_pkg-0.3.tar.gz"),
        "six": Source(kind=SourceKind.FILE, location="six-1.17.0-py2.py3-none-any.whl"),
    }
    artifacts = {pin.name: [(artifact.filename, artifact.location) for artifact in pin.artifacts] for pin in lock.pins}
    assert artifacts["iniconfig"] == [("iniconfig-2.3.1-py3-none-any.whl", "../flat/iniconfig-2.3.1-py3-none-any.whl")]
    assert artifacts["old-pkg"] == [("old_pkg-0.3.tar.gz", "old_pkg-0.3.tar.gz")], "the sdist is only a hash in the lock"
    assert artifacts["six"] == [("six-1.17.0-py2.py3-none-any.whl", "six-1.17.0-py2.py3-none-any.whl")]
    assert artifacts["idna"][0][0] == "idna-3.20.tar.gz"
    assert pin(lock, "iniconfig").artifacts[0].digests == (), "uv does not hash what lies in a folder"


@pytest.mark.parametrize("revision", range(6))
def test_known_revisions_need_no_note(revision: int) -> None:
    assert read(PROJECT.replace("revision = 3", f"revision = {revision}")).notes == ()


def test_a_newer_revision_is_noted() -> None:
    assert [note.code for note in read(PROJECT.replace("revision = 3", "revision = 6")).notes] == ["lock-version-newer"]


@pytest.mark.parametrize("version", ["2", "0", "-1", "true", '"1"', "1.0", "0x" + "f" * 6000, "[]"])
def test_other_versions_are_refused(version: str) -> None:
    error = refusal(PROJECT.replace("version = 1\n", f"version = {version}\n", 1))
    assert (error.code, error.where) == ("lock-version-unsupported", "uv.lock: version")
    assert not error.issues


def test_a_lock_of_the_first_uv_is_refused() -> None:
    assert refusal(PROJECT.replace("[[package]]", "[[distribution]]").replace("[package.", "[distribution.")).code == (
        "lock-version-unsupported"
    )


BROKEN: dict[str, tuple[Callable[[str], str], str, str]] = {
    "truncated": (lambda text: text[: text.rindex("hash")], "lock-syntax", "uv.lock: line "),
    "short hash": (lambda text: text.replace(HEX, "zz"), "malformed-hash", "uv.lock: package[1].wheels[0].hash"),
    "empty hash": (lambda text: text.replace(f"sha256:{HEX}", ""), "malformed-hash", "uv.lock: package[1].wheels[0].hash"),
    "unknown hash": (lambda text: text.replace("sha256:", "sha257:"), "malformed-hash", "uv.lock: package[1].wheels[0].hash"),
    "hash of a wrong type": (
        lambda text: text.replace(f'"sha256:{HEX}"', "7"),
        "lock-bad-type",
        "uv.lock: package[1].wheels[0].hash",
    ),
    "negative size": (
        lambda text: text.replace("size = 11050", "size = -1"),
        "lock-bad-size",
        "uv.lock: package[1].wheels[0].size",
    ),
    "boolean size": (
        lambda text: text.replace("size = 11050", "size = true"),
        "lock-bad-size",
        "uv.lock: package[1].wheels[0].size",
    ),
    "wheels is a table": (
        lambda text: text.replace("wheels = [", "wheels = {}\nx = ["),
        "lock-bad-type",
        "uv.lock: package[1].wheels",
    ),
    "a wheel is a number": (lambda text: text.replace(WHEEL, "7"), "lock-bad-type", "uv.lock: package[1].wheels[0]"),
    "packages is a table": (lambda _: "version = 1\n[package]\nname = 'x'", "lock-bad-type", "uv.lock: package"),
    "bad name": (lambda text: text.replace('"six"\nversion', '"../six"\nversion'), "lock-bad-name", "uv.lock: package[1].name"),
    "bad version": (lambda text: text.replace("1.17.0", "one"), "lock-bad-version", "uv.lock: package[1].version"),
    "no version": (lambda text: text.replace('version = "1.17.0"\n', ""), "lock-missing-key", "uv.lock: package[1]"),
    "no source": (lambda text: text.replace("source = { registry", "x = { registry"), "lock-missing-key", "uv.lock: package[1]"),
    "two sources": (
        lambda text: text.replace("{ virtual =", "{ path = '.', virtual ="),
        "lock-bad-source",
        "uv.lock: package[0].source",
    ),
    "branch for a commit": (
        lambda text: text.replace("registry = ", "git = ").replace("/simple", "/simple#main"),
        "lock-bad-source",
        "uv.lock: package[1].source.git",
    ),
    "bad marker": (
        lambda text: text.replace('{ name = "six" }', '{ name = "six", marker = "python_version ==" }', 1),
        "lock-bad-marker",
        "uv.lock: package[0].dependencies[0].marker",
    ),
    "a marker nested deeply": (
        lambda text: text.replace('{ name = "six" }', f'{{ name = "six", marker = "{"(" * 9000}" }}', 1),
        "lock-bad-marker",
        "uv.lock: package[0].dependencies[0].marker",
    ),
    "an edge without name": (
        lambda text: text.replace('{ name = "six" }', "{}", 1),
        "lock-bad-type",
        "uv.lock: package[0].dependencies[0]",
    ),
    "groups are a list": (
        lambda text: text.replace("[package.dev-dependencies]", "dev-dependencies = [1]\n[package.x]"),
        "lock-bad-type",
        "uv.lock: package[0].dev-dependencies",
    ),
    "contradictory": (
        lambda text: text.replace(WHEEL, f"{WHEEL},\n    {WHEEL.replace('sha256:47', 'sha256:48')}"),
        "lock-contradictory",
        "uv.lock: package[1].wheels[1]",
    ),
    "duplicate": (lambda text: text + text[text.rindex("[[package]]") :], "lock-duplicate-package", "uv.lock: package[2]"),
    "no root": (lambda text: text.replace('virtual = "."', 'virtual = "x"'), "lock-no-root", "uv.lock"),
    "missing member": (
        lambda text: text.replace("\n[[package]]", "[manifest]\nmembers = ['app', 'lib']\n[[package]]", 1),
        "lock-missing-member",
        "uv.lock: manifest.members",
    ),
    "nested deeply": (lambda _: f"a = {'[' * 100_000}", "lock-syntax", "uv.lock"),
    "a number too long": (lambda _: f"version = {'9' * 5000}", "lock-syntax", "uv.lock"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken(fault: str) -> None:
    mend, code, where = BROKEN[fault]
    error = refusal(mend(PROJECT))
    assert error.code == code
    assert error.where.startswith(where)
    assert error.hint == "lock again with uv"
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "row",
    [
        '{ filename = "../../etc/cron.d/x.whl" }',
        '{ filename = "..\\\\x.whl" }',
        '{ filename = ".." }',
        '{ filename = "-rf" }',
        '{ filename = "C:x.whl" }',
        '{ filename = "x\\u001b[2J.whl" }',
        '{ url = "https://files.index.example/..%2f..%2fx.whl" }',
        '{ url = "https://files.index.example/a/" }',
        '{ url = "https://files.index.example/x\\\\..\\\\.." }',
    ],
)
def test_a_file_name_stays_in_its_folder(row: str) -> None:
    error = refusal(PROJECT.replace(WHEEL, row))
    assert error.code == "lock-unsafe-filename"
    assert error.where.startswith("uv.lock: package[1].wheels[0].")


def test_every_fault_is_told_at_once() -> None:
    error = refusal(PROJECT.replace(HEX, "zz").replace('1.17.0"\nsource', 'one"\nsource').replace("11050", "-1"))
    assert [issue.code for issue in error.issues] == ["lock-bad-version", "malformed-hash", "lock-bad-size"]
    assert "(and 2 more)" in str(error)


def test_a_weak_hash_is_data() -> None:
    lock = read(PROJECT.replace(f"sha256:{HEX}", f"md5:{HEX[:32]}"))
    assert pin(lock, "six").artifacts[0].digests == (Digest("md5", HEX[:32]),)


def test_a_hash_in_capitals_is_the_same_hash() -> None:
    assert read(PROJECT.replace(HEX, HEX.upper())).pins == read(PROJECT).pins


def test_two_rows_that_agree_are_no_contradiction() -> None:
    assert len(pin(read(PROJECT.replace(WHEEL, f"{WHEEL},\n    {WHEEL}")), "six").artifacts) == 2


def test_a_wrong_requires_python_is_noted() -> None:
    """A project's author wrote it and uv wrote it down: such locks exist."""
    lock = read(PROJECT.replace('">=3.11"', '">=3.11.[X]"'))
    assert [(note.code, note.where) for note in lock.notes] == [("lock-bad-specifier", "requires-python")]
    assert lock.requires_python == ">=3.11.[X]"


@pytest.mark.parametrize(
    "old",
    [
        "https://index.example/simple",
        "https://files.index.example/six-1.17.0-py2.py3-none-any.whl",
    ],
)
def test_secrets_are_left_out(old: str) -> None:
    secret = old.replace("://", "://bob:hunter2@").replace(".whl", ".whl?token=hunter2")
    lock = read(PROJECT.replace(old, secret))
    assert "hunter2" not in repr(lock)
    assert "bob" not in repr(lock)
    assert [note.code for note in lock.notes] == ["lock-url-credentials"]
    assert lock.pins == read(PROJECT).pins


def test_a_query_is_left_out_and_noted() -> None:
    lock = read(PROJECT.replace(".whl", ".whl?download=1#fragment"))
    assert lock.pins == read(PROJECT).pins
    assert [(note.code, note.where) for note in lock.notes] == [("lock-url-query", "package[1].wheels[0].url")]


def test_secrets_of_a_repository_are_left_out() -> None:
    text = PROJECT.replace("registry = ", "git = ").replace(
        "https://index.example/simple", f"https://bob:hunter2@git.index.example/six?rev=main&subdirectory=a%2Fb#{'a' * 40}"
    )
    lock = read(text)
    assert pin(lock, "six").source == Source(
        kind=SourceKind.GIT, location="https://git.index.example/six", revision="a" * 40, subdirectory="a/b"
    )
    assert [note.code for note in lock.notes] == ["lock-url-credentials"]
    assert "hunter2" not in repr(lock)


def test_the_user_git_is_no_secret() -> None:
    text = PROJECT.replace("registry = ", "git = ").replace(
        "https://index.example/simple", f"ssh://git@index.example/six#{'a' * 40}"
    )
    lock = read(text)
    assert pin(lock, "six").source.location == "ssh://git@index.example/six"
    assert lock.notes == ()


@pytest.mark.parametrize("field", ["six-1.17.0-py2.py3-none-any.whl", "app", "1.17.0", ">=3.11", "sha256:" + HEX, "."])
def test_no_message_holds_a_secret(field: str) -> None:
    secret = "https://bob:hunter2@index.example/x?token=hunter2"
    try:
        said = repr(read(PROJECT.replace(f'"{field}"', f'"{secret}"').replace(field + '"', secret + '"')).notes)
    except DocumentError as error:
        said = " ".join([str(error), error.hint, repr(error.issues)])
    assert "hunter2" not in said


def test_a_password_cut_short_by_a_slash_is_refused() -> None:
    error = refusal(PROJECT.replace("https://index.example/", "https://bob:hunter/2@index.example/"))
    assert error.code == "lock-bad-url"
    assert "hunter" not in str(error)
