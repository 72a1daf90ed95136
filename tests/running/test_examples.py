"""The Dockerfile and the Kubernetes manifest of ``examples/``, as far as they can be tried without a container engine.

The steps of the Dockerfile are carried out by a chroot in an unpacked root, whose ``/usr/local`` is a Python that stands for the
image's, and its entry point is started there as PID 1. The probe of the manifest is run in the same root.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from running.starting import needs_unshare
from sanctity.cli import cli

if TYPE_CHECKING:
    from real.tools import Workshop

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "examples/docker/Dockerfile"
MANIFEST: Final = ROOT / "examples/kubernetes/deployment.yaml"
INSTRUCTIONS: Final = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}


def _instructions() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    assert not any(line.endswith("\\") for line in lines)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def _started() -> list[str]:
    """The entry point with the command after it."""
    last = dict(_instructions())
    return [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]


def _manifest() -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod's specification, and its one container."""
    yaml = pytest.importorskip("yaml")
    (document,) = yaml.safe_load_all(MANIFEST.read_text())
    assert (document["apiVersion"], document["kind"]) == ("apps/v1", "Deployment")
    assert document["spec"]["selector"]["matchLabels"] == document["spec"]["template"]["metadata"]["labels"]
    pod = document["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def _is_a_command_of_ours(words: list[str]) -> None:
    """*words* start the tool with a verb it has and options it knows."""
    assert words[0] == "/opt/sanctity/bin/sanctity"
    verb = cli.commands[words[1]]
    context = verb.make_context(words[1], list(words[2:]))
    assert context.params["env"] == "/opt/venv"


def test_the_dockerfile_is_of_instructions_that_are_known() -> None:
    found = _instructions()
    assert {word for word, _ in found} == INSTRUCTIONS
    stages = [rest for word, rest in found if word == "FROM"]
    assert all(re.fullmatch(r"(?:python:3\.\d+-slim|scratch) AS \w+", stage) for stage in stages)
    names = {stage.split()[-1] for stage in stages}
    assert {name for _, rest in found for name in re.findall(r"--from=(\w+)", rest)} <= names
    _is_a_command_of_ours(_started())
    for word, rest in found:
        if word == "RUN" and "install" in rest:
            assert "--require-hashes" in rest or "--no-index" in rest


def test_the_manifest_starts_what_the_image_does() -> None:
    pod, container = _manifest()
    assert [*container["command"], *container["args"]] == _started()
    assert "initContainers" not in pod
    assert re.fullmatch(r"[a-z]+:[\w.]+", container["image"])
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    _is_a_command_of_ours(container["startupProbe"]["exec"]["command"])


APP = """\
import os, signal, sys
import idna
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
for folder in ("/opt/venv", "/app"):
    try:
        open(folder + "/planted", "w")
    except OSError:
        pass
    else:
        sys.exit("it can be written to")
print(os.getpid(), os.getuid(), sys.prefix, idna.encode("bücher").decode(), flush=True)
if sys.argv[1:] == ["wait"]:
    signal.pause()
"""


class Image:
    """The stages of the Dockerfile as folders, and a shell script in a mount namespace of its own that carries out its steps."""

    def __init__(self, folder: Path, context: Path, wheels: list[Path]) -> None:
        self.folder = folder
        self.context = context
        self.wheels = wheels
        self.python = sys.base_prefix

    def root(self, stage: str) -> Path:
        return self.folder / stage

    def mounts(self, stage: str) -> str:
        """The host's programs and libraries, with this Python as ``/usr/local``."""
        root = shlex.quote(str(self.root(stage)))
        python = shlex.quote(self.python)
        lines = ["set -e", f"cd {root}", f"mkdir -p usr etc proc dev tmp root opt app metrics wheels ./{python}"]
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{name}"):
                lines.append(f"test -L {name} || cp -P /{name} {name}")
            elif os.path.isdir(f"/{name}"):
                lines.append(f"mkdir -p {name} && mount --bind /{name} {name}")
        lines += [
            "cp /etc/ld.so.cache /etc/passwd /etc/group etc/",
            "mount --bind /usr usr",
            f"mount --bind {python} usr/local",
            f"mount --bind {python} ./{python}",
            "mount -t tmpfs none tmp && chmod 1777 tmp metrics",
            "mount --bind /dev dev",
            f"mount --bind {shlex.quote(str(self.folder / 'wheels'))} wheels",
        ]
        return "\n".join(lines)

    def build(self) -> str:
        """Carry out every step; gives what they printed."""
        (self.folder / "wheels").mkdir(parents=True)
        for wheel in self.wheels:
            shutil.copy(wheel, self.folder / "wheels")
        lines: list[str] = []
        stage = base = workdir = ""
        for word, rest in _instructions():
            if word == "FROM":
                base, _, stage = rest.split()
                self.root(stage).mkdir()
                workdir = "/"
                if base != "scratch":
                    lines.append(self.mounts(stage))
            elif word == "WORKDIR":
                workdir = rest
                lines.append(f"mkdir -p {self.root(stage)}{rest}")
            elif word == "COPY":
                *sources, target = rest.split()
                origin = self.context
                if sources[0].startswith("--from="):
                    origin = self.root(sources.pop(0).partition("=")[2])
                whole = f"{self.root(stage)}{target}"
                for source in sources:
                    place = f"{origin}/{source.lstrip('/')}"
                    lines.append(
                        f"mkdir -p {whole} && cp -a {place} {whole}"
                        if target.endswith("/")
                        # A folder that is copied to a place is that place.
                        else f"if test -d {place}; then mkdir -p {whole} && cp -a {place}/. {whole}; else cp -a {place} {whole}; fi"
                    )
            elif word == "RUN":
                lines.append(f"{self.inside(stage)} sh -ec {shlex.quote(f'cd {workdir}; {rest}')}")
        return self.sh("\n".join(lines))

    def inside(self, stage: str, *, user: str = "") -> str:
        """The beginning of a command line that starts something in the image, with an image's variables."""
        who = f"--userspec={user} --groups={user.partition(':')[2]} " if user else ""
        variables = "PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHON_VERSION=3.11 HOME=/nonexistent"
        index = "" if user else " PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore"
        return f"chroot {who}{self.root(stage)} /usr/bin/env -i {variables}{index}"

    def sh(self, script: str) -> str:
        """What *script* printed, carried out by a shell that sees its own mounts."""
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *words: str, user: str, first: bool) -> subprocess.Popen[str]:
        """Start *words* in the last stage, with what was verified read-only; as PID 1 where it is to be the *first* process."""
        root = self.root("service")
        sealed = "\n".join(
            f"mount --bind {root}/{name} {root}/{name} && mount -o remount,bind,ro {root}/{name}" for name in ("opt", "app")
        )
        command = f"exec {self.inside('service', user=user)} {shlex.join(words)}"
        mounted = f"{self.mounts('service')}\n{sealed}\n"
        if first:
            command = f"exec unshare --pid --fork --kill-child sh -ec {shlex.quote(f'mount -t proc none {root}/proc; {command}')}"
        else:
            command = f"mount --bind /proc {root}/proc; {command}"
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", mounted + command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _reason() -> str:
    if os.path.realpath(sys.base_prefix).rstrip("/") in {"/usr", "/usr/local"}:
        return "this Python lies in /usr, which would have to stand for the image's"
    return needs_unshare("--mount", "--pid", "--fork", "--kill-child")


@pytest.mark.index
@pytest.mark.long
@pytest.mark.skipif(bool(_reason()), reason=_reason())
def test_the_image_builds_verifies_serves_and_refuses(workshop: Workshop, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "app.py").write_text(APP)
    (context / "requirements.in").write_text("idna==3.10\n")
    compile_ = ["pip", "compile", "-q", "--generate-hashes", "requirements.in", "-o", "requirements.txt"]
    workshop.run([workshop.tool("uv"), *compile_], cwd=context)
    shutil.copy(ROOT / "requirements-tool.txt", context / "sanctity.txt")
    wheel: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", context, ROOT]
    workshop.run(wheel)
    wheels = [file for lock in ("requirements.txt", "sanctity.txt") for file in workshop.wheels(context / lock).glob("*.whl")]
    image = Image(tmp_path / "stages", context, wheels)
    built = image.build()
    assert "SEALED" in built
    assert "CLEAN" in built
    assert (image.root("seal") / "env.seal.json").read_bytes() == (image.root("service") / "app/env.seal.json").read_bytes()

    user = dict(_instructions())["USER"]
    number = user.partition(":")[0]
    process = image.start(*_started(), user=user, first=True)
    assert process.communicate(timeout=120) == (f"1 {number} /opt/venv xn--bcher-kva\n", "")
    assert process.returncode == 0

    process = image.start(*_started(), "wait", user=user, first=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("1 ")
    (shell,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(shell), 15)
    process.communicate(timeout=60)
    assert process.returncode == 42

    _, container = _manifest()
    probe = container["startupProbe"]["exec"]["command"]
    asked = image.start(*probe, user=user, first=False)
    out, err = asked.communicate(timeout=120)
    assert asked.returncode == 0, out + err
    assert "sanctity" in (image.root("service") / "metrics/sanctity.prom").read_text()

    module = next((image.root("service") / "opt/venv").rglob("idna/core.py"))
    with open(module, "a") as file:
        file.write("# altered\n")
    process = image.start(*_started(), user=user, first=True)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (125, "")
    assert "idna/core.py" in err
    asked = image.start(*probe, user=user, first=False)
    assert "idna/core.py" in asked.communicate(timeout=120)[0]
    assert asked.returncode == 1
