"""Drives the real pipeline in this process over real log files: writing, rotating, saving, dying, coming back."""

from __future__ import annotations

import gzip
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.recount.logs import Feedback, Prediction, line
from tidegauge.config.settings import Settings
from tidegauge.pipeline import runner
from tidegauge.pipeline.pipeline import Pipeline
from tidegauge.pipeline.publication import lost_samples, view
from tidegauge.publish.samples import HistogramSamples
from tidegauge.reference.value import Reference

Key = tuple[str, tuple[str, ...]]
Page = dict[Key, float]


class Run:
    """One exporter without its HTTP server; `close` it."""

    def __init__(self, settings: Settings, references: Mapping[str, Reference] | None = None) -> None:
        self.settings = settings
        self.references = references
        self.store, self.pipeline = runner._open(settings, references)
        self._rotations = 0

    def close(self) -> None:
        """Ends without saving."""
        self.pipeline.close()
        self.store.close()

    def save(self) -> None:
        capture, spools = self.pipeline.capture()
        self.pipeline.commit(capture, spools)

    def reopen(self) -> None:
        """What is not saved is lost, as after kill -9."""
        self.close()
        self.store, self.pipeline = runner._open(self.settings, self.references)

    def read(self, blocks: int | None = None) -> None:
        """Looks at the disk and reads: so many blocks, or everything."""
        self.pipeline.poll()
        while (blocks is None or blocks > 0) and self.pipeline.step():
            blocks = None if blocks is None else blocks - 1

    def settle(self) -> None:
        """Reads everything and moves time on, as a refresh does."""
        for _ in range(3):  # files that rotated away are let go of only when they have been quiet
            self.read()
        self.pipeline.advance()
        assert all(reader.files.status().lag_bytes == 0 for reader in self.pipeline.readers)

    def rotate(self, kind: str, *, compress: bool) -> None:
        live = self.path(kind)
        if not live.exists():
            return
        self._rotations += 1
        away = live.with_name(f"{kind}.jsonl.{self._rotations}")
        live.rename(away)
        if compress:
            with gzip.open(f"{away}.gz", "wb") as archive:
                archive.write(away.read_bytes())
            away.unlink()

    def path(self, kind: str) -> Path:
        return Path(next(source.pattern for source in self.settings.sources if source.kind == kind))

    def write(self, kind: str, data: bytes) -> None:
        with self.path(kind).open("ab") as live:
            live.write(data)

    def write_records(self, records: Sequence[Prediction | Feedback], chance: random.Random) -> None:
        """Appends records to their logs, now and then letting the exporter see half a line."""
        pending = {"predictions": b"", "feedback": b""}
        for record in records:
            pending["predictions" if isinstance(record, Prediction) else "feedback"] += line(record, chance)
        for kind, data in pending.items():
            if data and chance.random() < 0.5:
                cut = chance.randrange(len(data))
                self.write(kind, data[:cut])
                self.read(chance.choice([0, 1, 5]))
                data = data[cut:]
            self.write(kind, data)

    def page(self) -> Page:
        """Everything published about the models, by family and label values."""
        return page_of(self.pipeline)


def page_of(pipeline: Pipeline) -> Page:
    samples = lost_samples(pipeline.lost_feedback)
    for engine in pipeline.engines.values():
        samples += view(engine, {}, pipeline.clock).samples
    page: Page = {}

    def put(name: str, row: tuple[str, ...], value: float) -> None:
        assert (name, row) not in page, f"{name}{row} is there twice"
        page[name, row] = float(value)

    for part in samples:
        name = part.family.name
        if isinstance(part, HistogramSamples):
            for row, counts, total in zip(part.rows, part.counts, part.sums, strict=True):
                put(f"{name}_sum", row, total)
                for bound, count in zip([*map(str, part.bounds), "inf"], counts, strict=True):
                    put(f"{name}_bucket", (*row, bound), count)
        else:
            for row, value in zip(part.rows, part.values, strict=True):
                put(name, row, value)
    return page
