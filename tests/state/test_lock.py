"""Only one process at a time has a state directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tidegauge.state.store import StateLocked, Store

HOLDER = """
import sys
from pathlib import Path
from tidegauge.state.store import Store
store = Store.open(Path(sys.argv[1]), schema=1)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone_even_by_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateLocked, match=rf"in use by another tidegauge process \(pid {holder.pid}\)"):
            Store.open(tmp_path / "state", schema=1)
        holder.kill()
    Store.open(tmp_path / "state", schema=1).close()


def test_a_second_store_in_the_same_process_is_refused(tmp_path: Path) -> None:
    first = Store.open(tmp_path, schema=1)
    with pytest.raises(StateLocked):
        Store.open(tmp_path, schema=1)
    first.close()
    Store.open(tmp_path, schema=1).close()
