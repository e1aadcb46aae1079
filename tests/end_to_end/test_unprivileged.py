"""The exporter needs no rights: an unprivileged user, one writable directory, and that one closed to everybody else."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end import logs
from tests.processes import ENVIRONMENT, LOOPBACK, Exporter

NOBODY = 65534
# Imports come first: the interpreter itself may lie where an unprivileged user cannot look. From then on whatever
# would change a file outside the state directory is told, whether or not the user may.
LAUNCHER = """\
import encodings.idna, encodings.latin_1, encodings.utf_8_sig, importlib, os, pkgutil, sys
import tidegauge
for module in pkgutil.walk_packages(tidegauge.__path__, "tidegauge."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from tidegauge.cli import main
state = os.path.realpath(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    assert not os.access(os.path.dirname(state), os.W_OK)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"}
def watch(event, arguments):
    path = arguments[0] if arguments else None
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
        return
    if event != "open" and event not in CHANGES or not isinstance(path, (str, bytes)):
        return
    real = os.path.realpath(os.fsdecode(path))
    if real != state and not real.startswith(state + os.sep) and real != "/dev/null":
        print("TOUCHED", event, real, file=sys.stderr, flush=True)
sys.addaudithook(watch)
os.chdir("/")
sys.exit(main(sys.argv[2:]))
"""


class Unprivileged(Exporter):
    """The exporter as user nobody where the tests run as root, else as whoever runs them."""

    def launch(self) -> Unprivileged:
        state = self.config.with_name("state")
        command: list[str | Path] = [sys.executable, "-c", LAUNCHER, state, "run", "--config.file", self.config]
        command += ["--web.listen-address", f"{LOOPBACK}:{self.port}", *self.arguments]
        # Nothing else may be written: no home, no temporary files, no compiled modules.
        nowhere = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
        self._launch(command, {**ENVIRONMENT, **nowhere})
        return self


@pytest.fixture
def config() -> Iterator[Path]:
    """A configuration, logs that all may read, and a state directory as a service manager makes it."""
    directory = Path(tempfile.mkdtemp(prefix="tidegauge-unprivileged-"))
    try:
        directory.chmod(0o755)
        logs.write_every_kind(directory, each=200)
        config = directory / "tidegauge.yml"
        config.write_text(logs.configuration(*logs.EVERY_KIND, sources=logs.EVERY_SOURCE))
        state = directory / "state"
        state.mkdir()
        state.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(state, NOBODY, NOBODY)
        yield config
    finally:
        shutil.rmtree(directory)


def modes(state: Path) -> dict[str, int]:
    return {str(path.relative_to(state)): stat.S_IMODE(path.stat().st_mode) for path in state.rglob("*")}


def test_an_unprivileged_user_runs_it_and_only_the_state_directory_is_written(config: Path, tmp_path: Path) -> None:
    exporter = Unprivileged(config, log=tmp_path / "exporter.log")
    with exporter:
        whole = exporter.wait_ready().settle()
        assert whole.total("model_predictions_total") == 800
        assert exporter.stop() == 0
        assert "TOUCHED" not in exporter.said()
        exporter.start()
        again = exporter.wait_ready().settle()
        assert again.total("model_predictions_total") == 800
        assert exporter.get("/").status_code == 200
        if os.geteuid() == 0:
            assert os.stat(f"/proc/{exporter.pid}").st_uid == NOBODY  # noqa: PTH116
        exporter.signal(signal.SIGHUP)
        exporter.settle()
        assert exporter.stop() == 0
    assert "TOUCHED" not in exporter.said()
    assert "Traceback" not in exporter.said()


def test_the_state_is_closed_to_others_whatever_the_umask_and_however_the_directory_came(
    config: Path, tmp_path: Path
) -> None:
    state = config.with_name("state")
    before = os.umask(0)
    try:
        with Unprivileged(config, log=tmp_path / "exporter.log") as exporter:
            exporter.wait_ready().settle()
            assert stat.S_IMODE(state.stat().st_mode) == 0o700
            found = modes(state)
            assert exporter.stop() == 0
    finally:
        os.umask(before)
    assert len(found) > 3
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


def test_a_state_directory_of_somebody_else_is_refused_in_words(config: Path, tmp_path: Path) -> None:
    state = config.with_name("state")
    if os.geteuid() == 0:
        os.chown(state, 0, 0)
    state.chmod(0o500)
    exporter = Unprivileged(config, log=tmp_path / "exporter.log").launch()
    assert exporter.wait() == 2
    assert f"tidegauge: {state}" in exporter.said()
    assert "Permission denied" in exporter.said()
    assert "Traceback" not in exporter.said()
