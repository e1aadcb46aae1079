"""Small real logs beside a configuration, healthy unless a test spoils them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tidegauge.check.report import report
from tidegauge.config.load import load

Record = dict[str, Any]
NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
MATURITY = timedelta(hours=1)

CONFIGURATION = """\
sources:
  - predictions: logs/predictions.jsonl
  - feedback: logs/feedback.jsonl
models:
  - name: fraud
    task: binary
    positive_label: "1"
    slices: [country]
    features: {amount: numeric}
    feedback:
      outcome:
        maturity: 1h
"""


def prediction(number: int, **changed: Any) -> Record:
    """The prediction of that number: one every 30 s up to NOW; a change to None takes a field away."""
    record: Record = {
        "prediction_id": f"req-{number}",
        "timestamp": stamp(NOW - timedelta(seconds=30 * number)),
        "model": "fraud",
        "version": "v1",
        "prediction": str(int(number % 4 == 0)),
        "score": 0.1 + 0.7 * (number % 4 == 0),
        "features": {"amount": 10.5 + number, "country": ("DE", "FR", "US")[number % 3]},
    }
    return _changed(record, changed)


def feedback(number: int, *, after: timedelta = timedelta(minutes=20), **changed: Any) -> Record:
    """The feedback on that prediction."""
    record: Record = {
        "prediction_id": f"req-{number}",
        "timestamp": stamp(NOW - timedelta(seconds=30 * number) + after),
        "label": str(int(number % 5 == 0)),
    }
    return _changed(record, changed)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _changed(record: Record, changed: Record) -> Record:
    return {name: value for name, value in {**record, **changed}.items() if value is not None}


PREDICTIONS = tuple(range(240, -1, -1))
ANSWERED = tuple(range(240, 39, -1))


class Place:
    """A directory with a configuration and its logs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.configuration = directory / "tidegauge.yml"
        self.configure(CONFIGURATION)
        self.predict(lambda number: prediction(number))
        self.answer(lambda number: feedback(number))

    def configure(self, text: str) -> None:
        self.configuration.write_text(text)

    def reconfigure(self, old: str, new: str) -> None:
        """Replaces a part of the configuration that must be there."""
        text = self.configuration.read_text()
        assert old in text
        self.configure(text.replace(old, new))

    def predict(self, make: Callable[[int], Record], numbers: Iterable[int] = PREDICTIONS) -> None:
        self.write("predictions.jsonl", map(make, numbers))

    def answer(self, make: Callable[[int], Record], numbers: Iterable[int] = ANSWERED) -> None:
        self.write("feedback.jsonl", map(make, numbers))

    def write(self, name: str, records: Iterable[Record | str], changed: datetime = NOW) -> Path:
        """A log file; a text stands as it is."""
        file = self.logs / name
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        file.write_text("".join(f"{line}\n" for line in lines))
        os.utime(file, (changed.timestamp(), changed.timestamp()))
        return file

    def report(self) -> str:
        """What check says of the logs, on one line a finding."""
        return report(load(self.configuration), now=int(NOW.timestamp() * 1000))

    def findings(self) -> list[str]:
        """Each finding with its advice, as one line without the wrapping."""
        _, _, found = self.report().partition("wrong:\n")
        return [" ".join(part.split()) for part in found.split("\n\n")] if found else []

    def only(self) -> str:
        """The finding, which must be the only one."""
        found = self.findings()
        assert len(found) == 1, "\n".join(found) or "nothing was found"
        return found[0]
