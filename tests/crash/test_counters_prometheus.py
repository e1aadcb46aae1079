"""What Prometheus makes of the counters while the exporter is killed again and again: nothing lost, no way back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.crash.pier import Pier
from tests.crash.recount import recount
from tests.processes import PrometheusServer

KILLS = 6


@pytest.fixture
def pier(tmp_path: Path) -> Iterator[Pier]:
    directory = tmp_path / "pier"
    directory.mkdir()
    pier = Pier(directory, 4)
    yield pier
    pier.close()


def counters(page: str) -> set[str]:
    """Names of all samples that may only grow. The kernel's numbers of one process (process_*) end with it."""
    kinds = re.findall(r"^# TYPE ((?!process_)\S+) (counter|histogram)$", page, re.MULTILINE)
    endings = {"counter": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return {name + ending for name, kind in kinds for ending in endings[kind]}


def test_no_counter_goes_backwards_and_every_increase_is_a_record(pier: Pier, tmp_path: Path) -> None:
    pier.begin()
    with PrometheusServer(pier.exporter.url, tmp_path / "prometheus") as prometheus:
        for number in range(KILLS):
            prometheus.wait_scraped()
            pier.program.next_round()
            for _ in range(3):
                pier.write()
                time.sleep(0.15)
            (pier.kill, pier.kill_while_saving, pier.terminate)[number % 3]()
            pier.write()
            pier.start()
        pier.compare()
        prometheus.wait_scraped()
        names = counters(pier.exporter.page())
        assert {"model_predictions_total", "model_feedback_total", "tidegauge_records_total"} < names
        expected = recount(pier.book)
        compared = 0
        for name in sorted(names):
            for labels, samples in prometheus.samples(name).items():
                values = [value for _, value in samples]
                assert values == sorted(values), f"{name}{dict(labels)} went backwards: {values}"
                # increase() without its extrapolation; a series that is new begins at 0.
                increase = values[0] + sum(after - before for before, after in pairwise(values))
                sample = name, tuple(sorted(labels))
                if sample in expected:
                    compared += 1
                    assert increase == expected[sample], f"{name}{dict(labels)}: {samples}"
            assert not any(prometheus.query(f"resets({name}[1h])").values()), name
        wanted = {sample for sample in expected if sample[0] in names}
        assert compared == len(wanted) > 30
