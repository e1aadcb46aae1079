"""The container image is small and has no rights to lose; what its first stage builds is the exporter.

No container is run here: the instructions are read, and what they do to Python is done without a container.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import tidegauge
from tests.processes import LOOPBACK

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "exporter" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    name: str
    text: str


def instructions() -> list[Instruction]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def last(name: str) -> str:
    """The last stage's instruction of this name."""
    return next(instruction.text for instruction in reversed(stages()[-1]) if instruction.name == name)


def copied() -> list[str]:
    """What the first stage takes from the checkout."""
    texts = [instruction.text for instruction in stages()[0] if instruction.name == "COPY"]
    return [source for text in texts for source in text.split()[:-1]]


def run(command: Sequence[str | Path], **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_stages_on_the_same_pinned_slim_image() -> None:
    bases = [stage[0].text.split()[0] for stage in stages()]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+(\.\d+)?-slim-[a-z]+", bases[0])
    copies = [instruction.text for instruction in stages()[-1] if instruction.name == "COPY"]
    assert copies
    assert all(text.startswith("--from=build ") for text in copies)


def test_nothing_is_fetched_but_python_packages_and_nothing_is_run_in_the_image_itself() -> None:
    assert "ADD" not in {instruction.name for instruction in instructions()}
    assert "RUN" not in {instruction.name for instruction in stages()[-1]}
    for tool in ("apt-get", "curl", "wget", "git "):
        assert tool not in DOCKERFILE.read_text()


def test_it_runs_as_a_user_without_rights_that_owns_the_state_alone() -> None:
    user = last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "by number, so that an orchestrator can tell it from root"
    state = last("VOLUME")
    (copy,) = [i.text for i in stages()[-1] if i.name == "COPY" and i.text.endswith(state)]
    assert f"--chown={user}" in copy
    assert "--chmod=0700" in copy
    assert f"--state.directory={state}" in json.loads(last("CMD"))
    assert "PYTHONDONTWRITEBYTECODE=1" in last("ENV")


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (401, True)])
def test_the_health_check_needs_python_alone_and_fails_on_503(status: int, healthy: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/-/healthy" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    command = json.loads(last("HEALTHCHECK").split("CMD", 1)[1])
    assert command[:2] == ["python", "-c"]
    with HTTPServer((LOOPBACK, 0), Handler) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        code = command[2].replace("8433", str(server.server_port))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False)
        answering.join()
    assert (done.returncode == 0) is healthy, done.stderr
    assert b"Traceback" not in done.stderr


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the context; the last pattern that matches decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!").removeprefix("**/")
        if not pattern or line.startswith("#"):
            continue
        parts = path.split("/")
        matching = any(fnmatch.fnmatch("/".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))
        if matching or ("**/" in line and any(fnmatch.fnmatch(part, pattern) for part in parts)):
            out = not line.startswith("!")
    return out


def test_the_context_is_what_is_copied_and_no_more() -> None:
    for path in ("pyproject.toml", "README.md", "LICENSE", "exporter/tidegauge/cli.py"):
        assert not ignored(path)
    for path in (".git/config", "tests/processes.py", "web.yml", "server.key", "state/manifest", ".venv/bin/python"):
        assert ignored(path)
    assert ignored("exporter/tidegauge/__pycache__/cli.cpython-313.pyc")
    assert all((ROOT / source).exists() for source in copied())


def test_what_is_copied_builds_a_wheel_that_installs_and_runs(tmp_path: Path) -> None:
    context = tmp_path / "source"
    for source in copied():
        target = context / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    pip = [sys.executable, "-m", "pip"]
    # As the Dockerfile does, save that what is installed here already is not fetched again.
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, context])
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", environment])
    run([*pip, "--python", environment / "bin" / "python", "install", "--no-deps", "--no-compile", wheel])
    packages = {"PYTHONPATH": sysconfig.get_path("purelib")}
    answer = run([environment / "bin" / "tidegauge", "--version"], **packages)
    assert answer == f"tidegauge {tidegauge.__version__}\n"
    where = run([environment / "bin" / "python", "-c", "import tidegauge; print(tidegauge.__file__)"], PYTHONPATH="")
    assert where.startswith(str(environment))
