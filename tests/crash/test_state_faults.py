"""What becomes of the process when its state directory is full, read-only, taken, torn, or somebody else's."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.crash.pier import Pier
from tests.processes import Exporter, Metrics, tidegauge_command
from tidegauge.state import segments

REFUSED = 2
IN_MEMORY = ("fraud", "delay")
"""Models that keep nothing in files until feedback comes; what is kept there is lost where the disk takes nothing."""


@pytest.fixture
def pier(tmp_path: Path) -> Iterator[Pier]:
    pier = Pier(tmp_path, 11)
    yield pier
    pier.close()


class Unprivileged(Exporter):
    """An exporter that file permissions hold for, also where the tests run as root."""

    def _launch(self, command: Sequence[str | Path], environment: dict[str, str]) -> None:
        prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"] if os.geteuid() == 0 else []
        super()._launch([*prefix, *command], environment)


def failures(metrics: Metrics) -> float:
    found = metrics.value("tidegauge_snapshot_failures_total")
    assert found is not None
    return found


def more_failures(exporter: Exporter) -> None:
    """Returns when two more saves have failed."""
    before = failures(exporter.metrics())
    exporter.wait_for(lambda metrics: failures(metrics) >= before + 2, what="failing saves")


def saving_again(exporter: Exporter) -> None:
    before = exporter.metrics().value("tidegauge_snapshot_timestamp_seconds") or 0.0
    after = "tidegauge_snapshot_timestamp_seconds"
    exporter.wait_for(lambda metrics: (metrics.value(after) or 0.0) > before + 0.5, what="a save")


def write(pier: Pier) -> None:
    pier.program.next_round()
    for kind, log in pier.logs.items():
        pier.append(log, pier.program.predictions(30) if kind == "predictions" else pier.program.feedback(30))


def test_a_full_disk_stops_the_saving_and_nothing_else(pier: Pier) -> None:
    pier.program.models = IN_MEMORY
    pier.begin()
    # Beyond this size a file cannot grow: the kernel takes the first bytes of a save and refuses the rest.
    resource.prlimit(pier.exporter.pid, resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))
    write(pier)
    more_failures(pier.exporter)
    pier.compare()
    assert pier.exporter.get("/-/healthy").status_code == 200
    counted = failures(pier.exporter.metrics())
    resource.prlimit(pier.exporter.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    saving_again(pier.exporter)
    pier.kill()
    pier.start()
    pier.compare()
    assert failures(pier.exporter.metrics()) >= counted


def test_what_a_full_disk_kept_from_being_saved_is_read_again(pier: Pier) -> None:
    pier.program.models = IN_MEMORY
    pier.begin()
    resource.prlimit(pier.exporter.pid, resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))
    write(pier)
    pier.compare()
    pier.kill()
    pier.start()
    pier.compare()


def test_a_read_only_directory_stops_the_saving_and_nothing_else(pier: Pier) -> None:
    pier.exporter = Unprivileged(pier.directory / "tidegauge.yml")
    pier.begin()
    state = pier.directory / "state"
    state.chmod(0o500)
    try:
        write(pier)
        more_failures(pier.exporter)
        pier.compare()
        pier.kill()
        pier.start()  # a state that can be read can be started from
        more_failures(pier.exporter)
        write(pier)
        pier.compare()
    finally:
        state.chmod(0o700)
    saving_again(pier.exporter)
    pier.kill()
    pier.start()
    pier.compare()


def test_a_second_exporter_on_the_same_state_is_refused(pier: Pier) -> None:
    pier.begin()
    second = launch(pier)
    assert second.returncode == REFUSED
    assert "is in use by another tidegauge process" in second.stderr
    assert str(pier.exporter.pid) in second.stderr
    write(pier)
    pier.compare()


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def nothing(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize(
    ("what", "damage"), [("manifest", zeros), ("manifest", half), ("segment", half), ("segment", Path.unlink)]
)
def test_a_torn_save_gives_way_to_the_one_before_it(pier: Pier, what: str, damage: Callable[[Path], None]) -> None:
    pier.begin()
    write(pier)
    pier.compare()
    pier.kill()
    state = pier.directory / "state"
    newest = max(path for path in state.iterdir() if segments.segment_number(path.name) is not None)
    damage(state / segments.MANIFEST_NAME if what == "manifest" else newest)
    pier.start()
    pier.compare()
    assert "went back to the previous save" in pier.exporter.said()


@pytest.mark.parametrize("damage", [zeros, nothing])
def test_a_state_that_cannot_be_read_is_never_begun_anew(pier: Pier, damage: Callable[[Path], None]) -> None:
    pier.begin()
    write(pier)
    pier.compare()
    pier.kill()
    state = pier.directory / "state"
    for name in (segments.MANIFEST_NAME, segments.PREVIOUS_NAME):
        damage(state / name)
    before = contents(state)
    refused = launch(pier)
    assert refused.returncode == REFUSED
    assert "holds a state that cannot be read" in refused.stderr
    assert contents(state) == before


def test_the_state_of_a_newer_version_is_refused(pier: Pier) -> None:
    pier.begin()
    pier.terminate()
    state = pier.directory / "state"
    manifest = segments.decode_manifest((state / segments.MANIFEST_NAME).read_bytes(), segments.MANIFEST_NAME)
    newer = segments.Manifest(manifest.format, manifest.schema + 1, manifest.generation, manifest.segments)
    (state / segments.MANIFEST_NAME).write_bytes(segments.encode_manifest(newer))
    before = contents(state)
    refused = launch(pier)
    assert refused.returncode == REFUSED
    assert "newer version of tidegauge" in refused.stderr
    assert contents(state) == before


def test_a_directory_of_somebody_else_is_left_alone(pier: Pier) -> None:
    state = pier.directory / "state"
    state.mkdir()
    (state / "thesis.tex").write_text("the only copy")
    refused = launch(pier)
    assert refused.returncode == REFUSED
    assert "holds files that are not tidegauge's" in refused.stderr
    assert contents(state) == {"thesis.tex": b"the only copy"}


def launch(pier: Pier) -> subprocess.CompletedProcess[str]:
    """Another process on the same configuration, which is expected to end by itself."""
    config = str(pier.directory / "tidegauge.yml")
    return tidegauge_command("run", "--config.file", config, "--web.listen-address", "127.0.0.1:0")


def contents(directory: Path) -> dict[str, bytes]:
    """All files but the lock, which names the last process that tried."""
    return {
        path.name: path.read_bytes() for path in directory.iterdir() if path.is_file() and path.name != "tidegauge.lock"
    }
