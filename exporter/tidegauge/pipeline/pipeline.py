"""The data's way through one exporter: reads the sources, feeds the models, keeps time, saves.

One thread owns a Pipeline. It is built from a configuration and whatever was saved; a reload builds another one.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from tidegauge.config.settings import HOUR, WORDY, Model, Settings, Source
from tidegauge.decode.columns import FeedbackColumns, PredictionColumns, Rejection
from tidegauge.decode.feedback import FeedbackDecoder
from tidegauge.decode.predictions import PredictionDecoder
from tidegauge.join.contents import Contents
from tidegauge.pipeline.clock import TOLERANCE, LogClock, wall_now
from tidegauge.pipeline.engine import Engine, fresh_parts
from tidegauge.pipeline.log import RateLimit
from tidegauge.pipeline.restore import feedback_table, restore
from tidegauge.pipeline.unrouted import TABLE, Unrouted, fitted, select
from tidegauge.reference.value import Reference
from tidegauge.sources.block import Block
from tidegauge.sources.files import FileSource
from tidegauge.state.spool import Spool
from tidegauge.state.store import Capture, Restored, SaveReport, Store
from tidegauge.state.table import Table

SCHEMA = 1
"""Version of what is saved; a reader refuses newer ones."""
BLOB = "tidegauge"
BLOCK_BYTES = {"predictions": 16 << 20, "feedback": 2 << 20}
"""Every block costs some hundred calls, however few rows it has. Feedback lines are short; smaller blocks keep the two
logs closer together in time."""
LEADING_TURNS = 32
"""A source that is ahead in time still gets every so manieth block, so that none starves."""
SMALLEST_BLOCK = 64 << 10
REMEMBERED_BLOCKS = 64
REMEMBERED_BYTES = 1 << 20
GENERATIONS = 2
"""Saved states that are kept: after so many saves nothing that was there before is needed any more."""
SPOOL_FILES = 64
"""What waits for feedback in files expires by so many parts of the horizon."""
ALWAYS = 1 << 62

log = logging.getLogger("tidegauge")


@dataclass(slots=True)
class Reader:
    """One source with its decoder and how far in time it has been read."""

    source: Source
    files: FileSource
    decoder: PredictionDecoder | FeedbackDecoder
    exhausted: bool = True  # nothing to read until the next poll
    reached: int = -ALWAYS  # ms; the log that is least far in time is read next
    lowest: dict[str, deque[tuple[int, int]]] = field(default_factory=dict)  # by file: (ms, bytes) of its last blocks
    touched: set[str] = field(default_factory=set)  # files read since the last poll
    limit: int = 0  # bytes of the next block
    skipped: int = 0  # turns given to others
    caught_up_at: int = 0  # ms, wall; when it last had nothing to read, at first when it was opened

    def read_until(self) -> int:
        """Up to which time every record of this source has been seen."""
        if self.files.resting:
            return -ALWAYS
        if self.exhausted:
            return ALWAYS
        # A file that has just been read may go on where it stopped; only when nothing more came is that known.
        going_on = self.files.unread_streams() | self.touched
        return min((self._reached_in(path) for path in going_on), default=ALWAYS)

    def _reached_in(self, path: str) -> int:
        return min((low for low, _ in self.lowest.get(path, ())), default=-ALWAYS)

    def note(self, path: str, low: int, size: int) -> None:
        """Remembers the earliest time (ms) in a block of so many bytes, and forgets blocks that lie far enough back.

        Logs are in order only roughly, so it takes a stretch of the file to tell what it has been read up to.
        """
        self.touched.add(path)
        blocks = self.lowest.setdefault(path, deque())
        blocks.append((low, size))
        while len(blocks) > 1 and (
            len(blocks) > REMEMBERED_BLOCKS or sum(size for _, size in blocks) - blocks[0][1] >= REMEMBERED_BYTES
        ):
            blocks.popleft()

    def pace(self, span: int, stride: int) -> None:
        """Chooses the size of the next block by how much time the last one spanned (ms).

        A sparse log would otherwise bring days at once, in the finest panes, before any of them can age.
        """
        largest = BLOCK_BYTES[self.source.kind]
        if span > stride:
            self.limit = max(min(SMALLEST_BLOCK, largest), self.limit // 2)
        elif span < stride // 4:
            self.limit = min(largest, self.limit * 2)


class Pipeline:
    """Everything between the log files and the sums."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        restored: Restored | None,
        references: Mapping[str, Reference] | None = None,
    ) -> None:
        """`references` has what `reference:` names, by model. Raises StateUnreadable if saved state is damaged."""
        self.settings = settings
        self._references = references or {}
        self.store = store
        self.notes: list[str] = list(restored.notes) if restored else []
        saved: dict[str, Any] = msgspec.json.decode(restored.blobs[BLOB]) if restored else {}
        self.records: Counter[tuple[str, str]] = Counter(
            {(kind, result): count for kind, result, count in saved.get("records", [])}
        )
        self.lost_feedback: Counter[tuple[str, str]] = Counter(
            {(channel, result): count for channel, result, count in saved.get("lost_feedback", [])}
        )
        self.extra: dict[str, Any] = saved.get("extra", {})
        clock = saved.get("clock", {})
        self._log_clock = LogClock(clock.get("now", -1), dict(clock.get("highest", {})))
        self.spools: dict[str, Spool] = {}
        self.engines: dict[str, Engine] = {}
        for name, state in saved.get("models", {}).items():
            model = self._model(name)
            if model is None:
                self.notes.append(f"model {name} is not configured any more: its state is dropped")
                continue
            spool = self._spool(model, saved.get("spools", {}).get(name))
            engine, notes = restore(model, state, store, spool, self._references.get(name))
            self.notes += [f"model {name}: dropped {note}" for note in notes]
            self.engines[name] = engine
        for model in settings.models:
            if model.name not in self.engines:
                self.engines[model.name] = self._new_engine(model)
        self.unrouted = self._unrouted(restored is not None, saved)
        positions = saved.get("positions", {})
        self.readers = [self._reader(source, positions, saved.get("lowest", {})) for source in settings.sources]
        known = {_identity(source) for source in settings.sources}
        self.notes += [f"source {key} is not configured any more" for key in positions if key not in known]
        self._commits = 0
        self._limits: dict[str, RateLimit] = {}
        self._advanced: dict[str, int] = {}

    def _reader(
        self, source: Source, positions: Mapping[str, Any], lowest: Mapping[str, Mapping[str, list[tuple[int, int]]]]
    ) -> Reader:
        decoder = (PredictionDecoder if source.kind == "predictions" else FeedbackDecoder)(source, self.settings)
        files = FileSource(
            source, max_line_bytes=self.settings.max_line_bytes, position=positions.get(_identity(source))
        )
        reader = Reader(source, files, decoder, limit=BLOCK_BYTES[source.kind], caught_up_at=wall_now())
        for path, blocks in lowest.get(_identity(source), {}).items():
            reader.lowest[path] = deque((low, size) for low, size in blocks)
        return reader

    def _model(self, name: str) -> Model | None:
        for model in self.settings.models:
            if model.name == name:
                return model
        default = self.settings.default_model
        return None if default is None else replace(default, name=name)

    def _new_engine(self, model: Model) -> Engine:
        return Engine(model, fresh_parts(model), self._spool(model, None), self._references.get(model.name))

    def _spool(self, model: Model, positions: dict[str, Any] | None) -> Spool | None:
        if model.task != "multiclass" and model.task not in WORDY:
            return None
        spool = Spool(self.settings.state / "spool", _file_name(model.name), positions)
        self.spools[model.name] = spool
        return spool

    def _unrouted(self, restored: bool, saved: Mapping[str, Any]) -> Unrouted:
        contents = None
        everyone = (*self.settings.models, *([self.settings.default_model] if self.settings.default_model else []))
        if len(everyone) > 1 and any(model.task in WORDY for model in everyone):
            # No model has an empty name.
            spool = Spool(self.settings.state / "spool", "=unrouted", saved.get("spools", {}).get(""))
            self.spools[""] = spool
            contents = Contents(spool)
        table = feedback_table(TABLE, self.store) if restored else None
        return Unrouted(table, saved.get("unrouted"), contents)

    # ---------------------------------------------------------------- time

    @property
    def clock(self) -> int:
        """ms; what windows end by."""
        return wall_now() if self.settings.clock == "wall" else self._log_clock.now

    def read_until(self) -> int:
        """The time up to which every source has been read."""
        return min((reader.read_until() for reader in self.readers), default=ALWAYS)

    @property
    def ready(self) -> bool:
        """Every file has been read to the size it had at start."""
        return all(reader.files.status().first_pass_done and not reader.files.resting for reader in self.readers)

    # ---------------------------------------------------------------- reading

    def poll(self) -> None:
        """Looks at the disk; what is new can then be read."""
        now = wall_now()
        for reader in self.readers:
            reader.files.poll(now)
            reader.exhausted = False
            reader.touched.clear()

    def step(self) -> bool:
        """Reads and digests one block; False if there is nothing to read until the next poll."""
        while True:
            waiting = [reader for reader in self.readers if not reader.exhausted]
            if not waiting:
                return False
            reader = min(waiting, key=lambda one: (one.skipped < LEADING_TURNS, one.reached))
            block = reader.files.read(reader.limit)
            if block is None:
                reader.exhausted = True
                reader.caught_up_at = wall_now()
                continue
            for other in waiting:
                other.skipped += 1
            reader.skipped = 0
            self._digest(reader, block)
            return True

    def _digest(self, reader: Reader, block: Block) -> None:
        kind = reader.source.kind
        for reason, offset, length in block.dropped:
            self._reject(kind, reason, block, offset, length)
        if not block.data:
            return
        try:
            decoded = reader.decoder.decode(block.data, block.path)
        except Exception:  # no line may end the exporter, not even one that its author did not think of
            self.records[kind, "undecodable_block"] += bytes(block.data).count(b"\n")
            log.exception(
                "a block of %s could not be decoded", kind, extra={"path": block.path, "offset": block.offset}
            )
            return
        self._reject_lines(kind, decoded.rejections, block)
        times = [batch.time for batch in decoded.batches if len(batch.time)]
        if times:
            both = np.concatenate(times) if len(times) > 1 else times[0]
            low, high = int(both.min()), int(both.max())
            # Feedback is read when its next block is likely to lie within what is known of predictions.
            reader.reached = high if kind == "predictions" else high + (high - low)
            reader.note(block.path, low, len(block.data))
            reader.pace(high - low, self._stride())
        clock = self.clock
        for batch in decoded.batches:
            if isinstance(batch, PredictionColumns):
                self._predictions(reader, batch, clock)
            else:
                self._feedback(batch, clock)
        if self.clock - self._advanced.get("", -ALWAYS) >= self._stride() or self._could_learn():
            self.advance()

    def _could_learn(self) -> bool:
        until = min(self.clock, self.read_until())
        return any(engine.could_learn(until) for engine in self.engines.values())

    def _stride(self) -> int:
        """How far a log clock may run before panes must age, so that a long replay does not pile up fine panes."""
        return min(
            (
                max(16 * engine.tally.ladder.block, engine.tally.ladder.windows[0].width // 2)
                for engine in self.engines.values()
            ),
            default=HOUR,
        )

    def _predictions(self, reader: Reader, batch: PredictionColumns, clock: int) -> None:
        wall = wall_now()
        if self.settings.clock == "log":
            unread = {one.source.name for one in self.readers if one.source.kind == "predictions" and not one.exhausted}
            self._log_clock.observe(reader.source.name, batch.time, unread, wall)
        engine = self._engine(batch.model)
        if engine is None:
            self.records["predictions", "too_many_models"] += len(batch.time)
            return
        engine.accept_predictions(batch, clock, wall if self.settings.clock == "log" else clock)
        self.records.update(engine.records)
        engine.records.clear()
        claimed = self.unrouted.claim(batch.model, [slot.key for slot in engine.model.slots], batch.key[batch.key != 0])
        if claimed is not None:
            unusable = self._route(engine, claimed, clock)
            if unusable:  # counted as accepted already, and counters do not go back
                self.lost_feedback["", "orphaned"] += unusable

    def _engine(self, name: str) -> Engine | None:
        engine = self.engines.get(name)
        if engine is None and len(self.engines) < self.settings.max_models:
            model = self._model(name)
            if model is not None:
                engine = self.engines[name] = self._new_engine(model)
        return engine

    def _feedback(self, batch: FeedbackColumns, clock: int) -> None:
        self.records["feedback", "accepted"] += len(batch.key)
        if batch.model is not None:
            engine = self._engine(batch.model)
            if engine is None:
                self.records["feedback", "accepted"] -= len(batch.key)
                self.records["feedback", "too_many_models"] += len(batch.key)
            else:
                engine.accept_feedback(batch, clock)
            return
        rest = np.arange(len(batch.key))
        for name, engine in self.engines.items():
            channels = {slot.key for slot in engine.model.slots}
            able = np.array([text in channels for text in batch.channel.values], dtype=np.bool_)
            known = engine.join.knows(batch.key[rest]) & able[batch.channel.codes[rest]]
            if known.any():
                invalid = self._route(engine, select(batch, name, rest[known]), clock)
                if invalid:
                    self.records["feedback", "accepted"] -= invalid
                    self.records["feedback", "invalid_label"] += invalid
                rest = rest[~known]
            if not len(rest):
                return
        left = select(batch, None, rest)
        shut_out = self.unrouted.keep(left, clock)
        if shut_out:
            self.lost_feedback["", "sampled_out"] += shut_out

    def _route(self, engine: Engine, batch: FeedbackColumns, clock: int) -> int:
        """Gives a model feedback that did not name it, but for what is no label to it; returns how many were none."""
        usable, invalid = fitted(batch, engine.model)
        engine.accept_feedback(usable, clock)
        return invalid

    # ---------------------------------------------------------------- what is wrong with the input

    def _reject_lines(self, kind: str, rejections: list[Rejection], block: Block) -> None:
        for rejection in rejections:
            self._reject(kind, rejection.reason, block, block.offset + rejection.offset, rejection.length)

    def _reject(self, kind: str, reason: str, block: Block, offset: int, length: int) -> None:
        self.records[kind, reason] += 1
        # One line of the log a reason and minute: a broken writer must not fill the disk.
        limit = self._limits.setdefault(f"{kind}/{reason}", RateLimit(wait_seconds=60.0))
        if limit.allows():
            log.warning(
                "a %s record was not used",
                kind,
                extra={
                    "reason": reason,
                    "path": block.place or block.path,
                    "offset": offset,
                    "length": length,
                    "not_shown": limit.withheld,
                },
            )

    # ---------------------------------------------------------------- moving on

    def advance(self) -> None:
        """Moves every model on to the present: seals, ages, expires."""
        clock, read_until = self.clock, self.read_until()
        self._advanced[""] = clock
        if clock < 0:
            return
        for engine in self.engines.values():
            engine.advance(clock, read_until)
        longest = max((engine.model.horizon for engine in self.engines.values()), default=HOUR)
        gone = self.unrouted.expire(min(clock, read_until) - longest)
        if gone:
            self.lost_feedback["", "orphaned"] += gone
        rolled: dict[str, int] = self.extra.setdefault("rolled", {})
        for name, spool in self.spools.items():
            horizon = self.engines[name].model.horizon if name else longest
            if clock - rolled.setdefault(name, clock) >= horizon // SPOOL_FILES:
                spool.roll(clock + TOLERANCE)
                rolled[name] = clock
            spool.expire(min(clock, read_until) - horizon)

    # ---------------------------------------------------------------- state

    def capture(self) -> tuple[Capture, dict[str, dict[str, Any]]]:
        """A consistent copy of everything unsaved, and where each spool stands with it."""
        if self._commits == GENERATIONS:
            self._sweep()
            self._commits += 1
        spools = {name: spool.positions() for name, spool in self.spools.items()}
        state = {
            "records": [[kind, result, count] for (kind, result), count in sorted(self.records.items())],
            "lost_feedback": [
                [channel, result, count] for (channel, result), count in sorted(self.lost_feedback.items())
            ],
            "clock": {"now": self._log_clock.now, "highest": self._log_clock.highest},
            "models": {name: engine.save() for name, engine in self.engines.items()},
            "unrouted": self.unrouted.save(),
            "positions": {_identity(reader.source): reader.files.position() for reader in self.readers},
            "lowest": {
                _identity(reader.source): {path: list(blocks) for path, blocks in reader.lowest.items()}
                for reader in self.readers
            },
            "spools": spools,
            "extra": self.extra,
        }
        tables: list[Table] = [self.unrouted.waiting.table]
        for engine in self.engines.values():
            tables += engine.tables()
        return self.store.capture({BLOB: msgspec.json.encode(state)}, tables), spools

    def commit(self, capture: Capture, spools: Mapping[str, dict[str, Any]]) -> SaveReport:
        """Makes a capture durable; any thread may call it. Raises OSError."""
        for name in spools:
            self.spools[name].sync()
        report = self.store.commit(capture)
        for name, positions in spools.items():
            self.spools[name].committed(positions)
        if self._commits < GENERATIONS:
            self._commits += 1
        return report

    def _sweep(self) -> None:
        """Removes what models left in files that are no more, or have another task; no saved state names it by now."""
        known = {spool.name for spool in self.spools.values()}
        with suppress(OSError):
            for path in (self.settings.state / "spool").glob("*.spool"):
                if path.name.rpartition("-")[0] not in known:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of every file; nothing is saved."""
        for reader in self.readers:
            reader.files.close()
        for spool in self.spools.values():
            spool.close()


def _identity(source: Source) -> str:
    """What a source's position is kept under: its kind and glob, so that reordering the configuration loses nothing."""
    return f"{source.kind} {source.pattern}"


def _file_name(model: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else f"%{ord(letter):x}" for letter in model)
