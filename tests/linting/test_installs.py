"""What installs past the lock is found where it stands, and what only looks like it is not."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from sanctity.linting.commands import commands, is_command_file, runs_commands
from sanctity.linting.installs import judge_installs, wants
from sanctity.model.drift import Severity

HASHED = "six==1.16.0 --hash=sha256:" + "0" * 64
BESIDE = {
    "requirements.txt": "six==1.16.0\n",
    "hashed.txt": HASHED,
    "req/all.txt": "# all of them\n-r a.txt\n",
    "req/a.txt": HASHED,
    "environment.yml": "dependencies: []",
    "explicit.txt": "@EXPLICIT\n",
    "empty.txt": "# nothing\n",
}


def _told(path: str, text: str) -> list[tuple[str, str, int]]:
    return [(finding.code, finding.severity.value, finding.line) for finding in judge_installs(path, text, BESIDE)]


#: A command, and what is said of it: a code, with ``?`` where it is a note, or nothing.
JUDGED = [
    ("pip install requests", "install-unlocked"),
    ("pip3 install requests==2.32.0", "install-unlocked"),
    ("pip3.11 install -U requests", "install-unlocked"),
    ("python -m pip --no-cache-dir install requests", "install-unlocked"),
    ("/opt/venv/bin/pip install requests", "install-unlocked"),
    ("sudo -H -u app env A=b pip install requests", "install-unlocked"),
    ("uv pip install requests", "install-unlocked"),
    ("uv run pip install requests", "install-unlocked"),
    ("poetry run pip install requests", "install-unlocked"),
    ("conda run -n base pip install requests", "install-unlocked"),
    ("pip install $PACKAGES", "install-unlocked"),
    ("pip install git+https://git.example/a/b@main", "install-unlocked"),
    ("pip install 'a @ https://files.example/a-1-py3-none-any.whl'", "install-unlocked"),
    ("pip install --target lib requests", "install-unlocked"),
    ("pip install .", "install-unlocked"),
    ("pip install -e .[dev]", "install-unlocked"),
    ("pip install dist/*.whl", "install-unlocked"),
    ("pip install pip -e .", "install-unlocked? install-unlocked"),
    ("uv pip install -r pyproject.toml", "install-unlocked"),
    ("pip install --group dev", "install-unlocked"),
    ("pip install --no-deps -e .", ""),
    ("pip install --no-index --find-links wheels requests", ""),
    ("pip install -r requirements.txt", "install-unhashed"),
    ("pip install -Ur requirements.txt", "install-unhashed"),
    ("pip install -rrequirements.txt", "install-unhashed"),
    ("pip install --requirement=requirements.txt", "install-unhashed"),
    ("pip install -r /tmp/requirements.txt", "install-unhashed"),
    ("pip wheel -w /wheels -r requirements.txt", "install-unhashed"),
    ("pip-sync requirements.txt", "install-unhashed"),
    ("uv pip sync requirements.txt", "install-unhashed"),
    ("pip install six -c requirements.txt", "install-unhashed"),
    ("pip install -r nowhere.txt", "install-unhashed?"),
    ("pip install -r $FILE", "install-unhashed?"),
    ("pip install -r hashed.txt", ""),
    ("pip install -r req/all.txt", ""),
    ("pip install -r empty.txt", ""),
    ("pip install --require-hashes -r nowhere.txt", ""),
    ("pip install six -c hashed.txt", ""),
    ("uv pip sync hashed.txt", ""),
    ("uv export --frozen | uv pip install -r -", ""),
    ("pip install -U pip setuptools wheel", "install-unlocked?"),
    ("pip install uv", "install-unlocked?"),
    ("pip install uv==0.9.0", ""),
    ("pipx install poetry==2.1.0", ""),
    ("pipx install poetry", "install-unlocked?"),
    ("uv tool install ruff", "install-unlocked?"),
    ("pip install tox", "install-unlocked?"),
    ("pip install tox==4.0 mypy==1.0", "install-unlocked"),
    ("uvx ruff check", "install-unlocked?"),
    ("uvx ruff@latest check", "install-unlocked?"),
    ("uvx ruff@0.9.1 check", ""),
    ("uvx --from 'ruff==0.9.1' ruff", ""),
    ("uv tool run --with rich ruff==0.9.1", "install-unlocked?"),
    ("pipx run black .", "install-unlocked?"),
    ("pipx run black==25.1.0 .", ""),
    ("uv run --with httpx python a.py", "install-unlocked?"),
    ("uv run --with=httpx==0.28.1 python a.py", ""),
    ("uv run python a.py --with x", ""),
    ("pip install -i http://index.example/simple -r hashed.txt", "source-insecure"),
    ("pip install --trusted-host index.example -r hashed.txt", "source-insecure"),
    ("pip install -i http://localhost:3141/simple -r hashed.txt", ""),
    ("uv sync", "install-unlocked?"),
    ("uv sync --all-extras", "install-unlocked?"),
    ("uv sync --locked", ""),
    ("uv sync --frozen --no-dev", ""),
    ("UV_FROZEN=1 uv sync", ""),
    ("uv add requests", "install-unlocked"),
    ("uv lock --check", ""),
    ("poetry install --no-root", ""),
    ("poetry sync", ""),
    ("poetry add requests", "install-unlocked"),
    ("poetry update", "install-unlocked"),
    ("pdm sync", ""),
    ("pdm install --frozen-lockfile", ""),
    ("pdm install", "install-unlocked?"),
    ("pdm add requests", "install-unlocked"),
    ("pipenv sync --dev", ""),
    ("pipenv install --system --deploy", ""),
    ("pipenv install", "install-unlocked?"),
    ("pipenv install requests", "install-unlocked"),
    ("pixi install --locked", ""),
    ("pixi install", "install-unlocked?"),
    ("pixi add numpy", "install-unlocked"),
    ("conda install -y -c conda-forge numpy", "install-unlocked"),
    ("mamba create -n x numpy", "install-unlocked"),
    ("conda env create -f environment.yml", "install-unlocked"),
    ("micromamba install -y -n base -f environment.yml", "install-unlocked"),
    ("conda env update", "install-unlocked"),
    ("conda create -n x --file explicit.txt", ""),
    ("conda create -n x --file conda-linux-64.lock", ""),
    ("conda-lock install -n x", ""),
    ("conda install -n base conda-lock", "install-unlocked?"),
    ("conda activate x", ""),
    ("python setup.py develop", "install-unlocked"),
    ("python setup.py sdist", ""),
    ("easy_install requests", "install-unlocked"),
    ("pip list", ""),
    ("pip install --help", ""),
    ("pip", ""),
    ("pip uninstall -y requests", ""),
    ("echo pip install requests", ""),
    ("printf 'pip install requests'", ""),
    ("# pip install requests", ""),
    ("x='pip install requests'", ""),
    ("ls # pip install requests", ""),
    ("npm install requests", ""),
    ("apt-get install -y python3-pip", ""),
    ("docker run image pip install requests", ""),
    ("bash -lc 'cd x && pip install requests'", "install-unlocked"),
    ('sh -ec "pip install -r hashed.txt"', ""),
    ("if ! pip install requests; then exit 1; fi", "install-unlocked"),
    ("test -d x || pip install requests > log 2>&1", "install-unlocked"),
    ("(cd x; pip install requests)", "install-unlocked"),
    ("timeout 60 pip install requests &", "install-unlocked"),
    ("cat list | xargs pip install", ""),  # what is named is not in the file at all
]


@pytest.mark.parametrize(("command", "said"), JUDGED)
def test_each_command(command: str, said: str) -> None:
    told = [code + ("?" if severity == "note" else "") for code, severity, _ in _told("run.sh", command + "\n")]
    assert told == said.split()


def test_two_things_may_be_wrong_at_once() -> None:
    assert [code for code, _, _ in _told("run.sh", "pip install -i http://index.example/ -r requirements.txt requests")] == [
        "source-insecure",
        "install-unhashed",
        "install-unlocked",
    ]


def test_no_secret_is_printed() -> None:
    text = "pip install -i http://ada:hunter2@index.example/ 'a @ https://ada:hunter2@files.example/a.whl' git+https://hunter2@git.example/x\n"
    text += (
        "pip install -r https://hunter2@files.example/requirements.txt\nconda install https://ada:hunter2@conda.example/x.conda\n"
    )
    found = list(judge_installs("run.sh", text, BESIDE))
    assert len(found) >= 4
    assert "hunter2" not in str(found)


SCRIPT = """\
#!/bin/bash
# pip install never
cat <<EOF > notes.txt
pip install never
EOF
cat <<-'END'
\tpip install never
\tEND
pip install \\
    first
bash <<X
pip install second
X
words=(pip install never)
case $1 in linux) pip install third ;; esac
for name in a b; do pip install "$name"; done
printf 'pip install never
pip install never'
pip install fifth <<< "text" | tee log
"""

DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM python:3.12 AS base
LABEL note="RUN pip install never" \\
      more="x"
RUN --mount=type=cache,target=/var/cache/pip \\
    # pip install never
    pip install first \\
    && apt-get update \\
# another comment
    && pip install second
RUN ["pip", "install", "third"]
RUN <<EOF
set -e
pip install fourth
EOF
COPY <<EOF /notes.txt
RUN pip install never
EOF
RUN python3 <<EOF
pip install never
EOF
ENV COMMAND="pip install never"
run pip install fifth
CMD pip install sixth
"""

WORKFLOW = """\
name: pip install never
on: [push]
jobs:
  test:
    steps:
      - name: pip install never
        run: pip install first
      - run: |

          # pip install never
          pip install second
          echo pip install never
      - run: >-
          pip install
          third
        env: { NOTE: pip install never }
      - { run: "pip install fourth ${{ matrix.extra && 'x y' }}", name: x }
      # - run: pip install never
      - uses: actions/never
        with:
          description: pip install never
"""

GITLAB = """\
variables: { NOTE: pip install never }
.base: &base
  before_script:
    - pip install first
test:
  <<: *base
  script:
    - !reference [.base, before_script]
    - |
      pip install second
    - [pip install third]
"""

MAKEFILE = """\
PIP = pip install never
# pip install never
all: deps ; pip install first
deps:
\t@pip install second \\
\t  more
\t-$(PIP) install third  # a comment
\t$(VENV)/bin/pip install fourth; echo "it's"
\t@echo pip install never
"""

TOX = """\
[tox]
deps = never
[testenv]
description = pip install never
deps =
  pytest
  py312: attrs>=1
  # never
commands =
  pip install second \\
     more
  - {envpython} -m pip install third
[flake8]
commands = pip install never
"""

NOX = '''\
"""pip install never"""
import nox

@nox.session
def tests(session):
    session.install("pytest", *others)
    session.run("pip", "install", "attrs", external=True)
    session.log("pip install never")
    other.install("never")
'''

PLACES = [
    ("scripts/setup.sh", SCRIPT, [9, 12, 15, 16, 19]),
    ("Dockerfile", DOCKERFILE, [7, 10, 11, 14, 23, 24]),
    ("docker/gpu.Dockerfile", DOCKERFILE, [7, 10, 11, 14, 23, 24]),
    ("Containerfile", DOCKERFILE, [7, 10, 11, 14, 23, 24]),
    (".github/workflows/ci.yml", WORKFLOW, [7, 11, 13, 17]),
    (".gitlab-ci.yml", GITLAB, [4, 10, 11]),
    ("Makefile", MAKEFILE, [3, 5, 7, 8]),
    ("tox.ini", TOX, [6, 10, 12]),
    ("noxfile.py", NOX, [6, 7]),
    ("Procfile", "web: gunicorn\nrelease: pip install attrs && x\n", [2]),
    ("justfile", 'x := "pip install never"\nset shell := ["bash"]\ndeps:\n    @pip install attrs\n    # pip install never\n', [4]),
    ("bootstrap", "#!/usr/bin/env bash\npip install attrs\n", [2]),
    ("README.md", "    pip install never\n", []),
    ("notes.txt", "pip install never\n", []),
    ("setup.py", "pip install never\n", []),
]


@pytest.mark.parametrize(("path", "text", "lines"), PLACES, ids=[path for path, _, _ in PLACES])
def test_each_kind_of_file_and_the_lines(path: str, text: str, lines: list[int]) -> None:
    found = list(judge_installs(path, text, BESIDE))
    assert [finding.line for finding in found] == lines
    assert "never" not in str([finding.message for finding in found])
    assert all(finding.path == path and finding.where == f"line {finding.line}" for finding in found)
    # With other line ends the lines are the same.
    if not path.endswith((".sh", "Dockerfile", "Containerfile")):
        assert [finding.line for finding in judge_installs(path, text.replace("\n", "\r\n"), BESIDE)] == lines


def test_a_tool_beside_a_package_is_told_too() -> None:
    told = " ".join(finding.message for finding in judge_installs("run.sh", "pip install tox mypy==1.0\n", BESIDE))
    assert "tox: whatever is newest" in told
    assert "mypy" in told


def test_what_read_the_docs_installs_by_itself() -> None:
    text = "version: 2\npython:\n  install:\n    - requirements: docs/requirements.txt\n    - method: pip\n      path: .\n"
    beside = {"docs/requirements.txt": "sphinx\n"}
    found = [(finding.code, finding.line) for finding in judge_installs(".readthedocs.yaml", text, beside)]
    assert found == [("install-unhashed", 4), ("install-unlocked", 5)]
    assert list(judge_installs("other.yaml", text, beside)) == []
    assert "docs/requirements.txt" in wants(".readthedocs.yaml", text)


def test_a_file_says_at_once_that_uv_may_not_lock() -> None:
    assert _told("Dockerfile", "FROM python:3.12\nENV UV_LOCKED=1\nRUN uv sync\n") == []
    assert _told("Dockerfile", "FROM python:3.12\nRUN uv sync\n") == [("install-unlocked", Severity.NOTE.value, 2)]
    assert _told("Dockerfile", "ENV PIP_REQUIRE_HASHES=1\nRUN pip install -r requirements.txt\n") == []


def test_the_files_that_a_command_reads_are_looked_for() -> None:
    assert "app/requirements.txt" in wants("Dockerfile", "RUN pip install -r /srv/app/requirements.txt")
    assert "docker/base.txt" in wants("docker/Dockerfile", "RUN pip install -r base.txt -c ../constraints.txt")
    assert "constraints.txt" in wants("docker/Dockerfile", "RUN pip install -r base.txt -c ../constraints.txt")
    assert wants("run.sh", "pip install -r https://files.example/r.txt -r a*.txt") == ()
    assert not any(name.startswith(("/", "..")) for name in wants("run.sh", "pip install -r ../../../etc/passwd -r /etc/shadow"))


def test_which_files_run_commands() -> None:
    for path in ("Dockerfile.gpu", "x/y.dockerfile", "GNUmakefile", "build.mk", ".justfile", "a.bash", ".circleci/config.yml"):
        assert is_command_file(path), path
    for path in ("Dockerfiles.md.txt", "makefile.py", "a.py", "LICENSE", "x.toml"):
        assert not is_command_file(path), path
    assert runs_commands("bin/deploy", "#!/bin/sh -e\n")
    assert not runs_commands("bin/deploy", "#!/usr/bin/env python\n")


def test_no_text_is_a_traceback() -> None:
    """Real files cut, joined and sprinkled with what shells and YAML take for something."""
    rng = random.Random(int(os.environ.get("SANCTITY_SEED", "5")))
    names = [path for path, _, _ in PLACES]
    whole = "\n".join(text for _, text, _ in PLACES)
    odd = [
        "'",
        '"',
        "\\",
        "\n",
        "$(",
        "`",
        "<<A",
        "#",
        "(",
        ")",
        "{{",
        "}}",
        "\0",
        "\u2028",
        "\r",
        "é",
        "&a ",
        "*a",
        ": ",
        "\t",
        "- ",
        "|\n",
        "${{",
    ]
    for _ in range(1500):
        start = rng.randrange(len(whole))
        letters = list(whole[start : start + rng.randrange(1, 600)])
        for _ in range(rng.randrange(12)):
            letters[rng.randrange(len(letters))] = rng.choice(odd)
        path = rng.choice(names)
        text = "".join(letters)
        for finding in judge_installs(path, text, BESIDE):
            assert 1 <= finding.line <= len(text.splitlines()) + 1
        wants(path, text)


def test_hostile_texts_take_no_longer_than_others() -> None:
    """What makes a careless reader go over the text again and again; the steps are bounded, so that these end at all."""
    for bad in (
        "$(" * 50_000,
        "${{" * 50_000,
        "'" * 50_001,
        "{{" * 50_000,
        "x=(" * 50_000,
        "<<A\n" * 20_000,
        "RUN --a " * 20_000,
        "[" * 50_000,
    ):
        for path in ("run.sh", "Dockerfile", ".gitlab-ci.yml", "Makefile", "tox.ini", "noxfile.py", "justfile", "Procfile"):
            assert sum(1 for _ in commands(path, bad)) <= 20_000


def test_this_project_installs_from_its_own_locks() -> None:
    """Our own workflows are held to it too: whatever is found there is a note."""
    root = Path(__file__).parents[2]
    beside = {path.name: path.read_text() for path in root.glob("requirements*.txt")}
    for path in [*root.glob(".github/workflows/*.yml"), *root.glob("action.yml")]:
        found = [
            finding
            for finding in judge_installs(str(path.relative_to(root)), path.read_text(), beside)
            if finding.severity != "note"
        ]
        assert not found
