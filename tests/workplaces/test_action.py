"""The action for GitHub: its steps are read from action.yml and run by bash, as a runner does, on a small real project."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from running.starting import a_project
from sanctity.report.json import schema
from workplaces.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop
    from running.starting import Project

yaml: Any = importlib.import_module("yaml")  # it has no types of its own

ACTION: Final[dict[str, Any]] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: Final[dict[str, dict[str, Any]]] = {step["id"]: step for step in ACTION["runs"]["steps"]}
INPUT: Final = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")
#: What the action needs of its own repository.
_SHIPPED: Final = ("src", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "action.yml", "requirements-tool.txt")


def test_no_expression_stands_in_a_script() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS.values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        for value in step["env"].values():
            assert INPUT.fullmatch(value), value


def test_every_input_is_used_and_described_and_no_other() -> None:
    used = [INPUT.fullmatch(value) for step in STEPS.values() for value in step["env"].values()]
    assert sorted(match[1] for match in used if match) == sorted(ACTION["inputs"])
    documented = (ROOT / "docs/workplaces.md").read_text()
    for kind in ("inputs", "outputs"):
        for name, stated in ACTION[kind].items():
            assert stated["description"].strip()
            assert f"`{name}`" in documented, f"docs/workplaces.md does not name {name}"
    for stated in ACTION["outputs"].values():
        assert re.fullmatch(r"\$\{\{ steps\.verify\.outputs\.[a-z-]+ \}\}", stated["value"])


@dataclass(slots=True)
class Runner:
    """A runner's folders: *action* is where the action lies, *temp* what it has for one job."""

    shop: Workshop
    action: Path
    temp: Path
    work: Path
    inputs: dict[str, str] = field(default_factory=dict)

    def step(self, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the step *name*, whose inputs are the action's own but for *inputs*, with ``_`` for ``-``."""
        given = {key: str(stated.get("default", "")) for key, stated in ACTION["inputs"].items()}
        given |= {key.replace("_", "-"): value for key, value in inputs.items()}
        step = STEPS[name]
        script = self.temp / f"{name}.sh"
        script.write_text(step["run"])
        for file in ("output", "summary"):
            (self.temp / file).write_text("")
        variables = {key: given[INPUT.fullmatch(value)[1]] for key, value in step["env"].items()}  # type: ignore[index]
        environ = self.shop.environ(
            **variables,
            GITHUB_ACTION_PATH=str(self.action),
            RUNNER_TEMP=str(self.temp),
            GITHUB_OUTPUT=str(self.temp / "output"),
            GITHUB_STEP_SUMMARY=str(self.temp / "summary"),
            GITHUB_WORKSPACE=str(self.work),
            GITHUB_ACTIONS="true",
            CI="true",
            PYTHONPATH=str(self.work / "nowhere"),
        )
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.work,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.temp / "output").read_text().splitlines())

    def summary(self) -> str:
        return (self.temp / "summary").read_text()


@pytest.fixture(scope="module")
def runner(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner on which the first step was run, twice as in a job that verifies two environments."""
    folder = tmp_path_factory.mktemp("runner")
    made = Runner(workshop, folder / "action", folder / "temp", folder / "work")
    for each in (made.action, made.temp, made.work):
        each.mkdir()
    for name in _SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, made.action / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, made.action / name)
    for _ in range(2):
        done = made.step("install")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (made.temp / "sanctity-action/venv/bin/sanctity").exists()
    return made


@pytest.fixture
def project(runner: Runner) -> Project:
    """A sealed project at the top of the workspace."""
    shutil.rmtree(runner.work)
    runner.work.mkdir()
    return a_project(runner.work)


_INDEX: Final = [pytest.mark.index, pytest.mark.xdist_group("workplaces-action")]


class TestSteps:
    """What the steps do. They install what requirements-tool.txt lists, once."""

    pytestmark = _INDEX

    def test_clean(self, runner: Runner, project: Project) -> None:
        done = runner.step("verify", environment="env")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "::error" not in done.stdout
        found = runner.outputs()
        assert found["verdict"] == "clean"
        fingerprint = json.loads((project.folder / "env.seal.json").read_text())["environments"][0]["fingerprint"]
        assert found["fingerprint"] == fingerprint
        assert "CLEAN" in runner.summary()

    def test_drifted(self, runner: Runner, project: Project) -> None:
        (project.site / "hello.py").write_text("evil = 1\n")
        done = runner.step("verify", environment="env")
        assert done.returncode == 1
        assert re.search(r"^::error .*file=env\.seal\.json,line=\d+.*file-altered", done.stdout, re.MULTILINE)
        found = runner.outputs()
        assert found["verdict"] == "drifted"
        with open(found["report"]) as file:
            jsonschema.validate(json.load(file), schema())
        with open(found["sarif"]) as file:
            (run,) = json.load(file)["runs"]
        assert {result["ruleId"] for result in run["results"]} == {"file-altered"}
        assert "hello.py" in runner.summary()

    def test_warn_reports_and_lets_it_pass(self, runner: Runner, project: Project) -> None:
        (project.site / "evil.py").write_text("")
        done = runner.step("verify", environment="env", on_drift="warn")
        assert done.returncode == 0
        assert "::error" in done.stdout
        assert runner.outputs()["verdict"] == "drifted"

    @pytest.mark.parametrize("on_drift", ["fail", "warn"])
    def test_a_look_that_failed_never_passes(self, on_drift: str, runner: Runner, project: Project) -> None:
        shutil.rmtree(project.env)
        done = runner.step("verify", environment="env", on_drift=on_drift)
        assert done.returncode == 2
        assert "::error title=sanctity::the look failed" in done.stdout
        assert "no-environment" in done.stderr
        assert (runner.outputs()["verdict"], runner.summary()) == ("failed", "")

    def test_without_a_reference_it_is_undecided_unless_that_is_allowed(self, runner: Runner, project: Project) -> None:
        (project.folder / "requirements.txt").unlink()
        (project.folder / "env.seal.json").unlink()
        assert runner.step("verify", environment="env").returncode == 3
        assert runner.outputs()["verdict"] == "undecided"
        assert runner.step("verify", environment="env", require_reference="false").returncode == 0

    @pytest.mark.usefixtures("project")
    def test_a_project_in_a_folder_is_named_from_the_top(self, runner: Runner) -> None:
        service = runner.work / "services"
        service.mkdir()
        inner = a_project(service)
        (inner.site / "hello.py").write_text("evil = 1\n")
        done = runner.step("verify", reference="services/env.seal.json", environment="services/env")
        assert done.returncode == 1
        assert "file=services/env.seal.json," in done.stdout
        assert runner.step("verify", environment="env").returncode == 0

    @pytest.mark.parametrize(
        "hostile",
        ["$(touch pwned)", "`touch pwned`", '"; touch pwned; "', "'; touch pwned; '", "x\ntouch pwned", "--help", "-o pwned"],
    )
    @pytest.mark.parametrize("name", sorted(ACTION["inputs"].keys() - {"python"}))
    @pytest.mark.usefixtures("project")
    def test_whatever_an_input_is_it_is_only_a_name(self, name: str, hostile: str, runner: Runner) -> None:
        given = {"environment": "env", name.replace("-", "_"): hostile}
        done = runner.step("verify", **given)
        assert done.returncode in {1, 2, 3}, done.stdout + done.stderr
        assert not list(runner.work.rglob("pwned*"))
        assert not list(runner.temp.glob("pwned*"))
        assert runner.outputs().get("verdict", "failed") == "failed"

    def test_a_python_that_is_none_fails_the_install(self, runner: Runner, tmp_path: Path) -> None:
        fresh = Runner(runner.shop, runner.action, tmp_path, tmp_path)
        done = fresh.step("install", python="$(touch pwned)")
        assert done.returncode != 0
        assert "::error title=sanctity::Python 3.11 or newer is needed" in done.stdout
        assert not list(tmp_path.glob("pwned*"))
