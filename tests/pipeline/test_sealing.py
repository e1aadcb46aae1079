"""Blocks of arrivals and of slots, the rows behind them, and what detectors may hold of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.recount.driver import Run
from tests.recount.logs import Feedback, Prediction, generate, line, models, settings_for, wordy_models
from tidegauge.assess import service
from tidegauge.assess.detectors import DETECTORS
from tidegauge.assess.detectors.detector import ARRIVALS, LABELS, SIGNALS, Context, Detector, State
from tidegauge.config.settings import HOUR, Model
from tidegauge.join.join import Join
from tidegauge.join.rows import Rows
from tidegauge.pipeline import engine, pipeline, publication, sealing
from tidegauge.pipeline.engine import Engine, empty_tally
from tidegauge.pipeline.features import SavedTables
from tidegauge.pipeline.labels import LabelDrift
from tidegauge.state.table import Table
from tidegauge.tally import blocks, families
from tidegauge.tally.blocks import SealedBlock, seal
from tidegauge.tally.families import traffic

EVERYTHING = frozenset((LABELS, SIGNALS, ARRIVALS))
Records = tuple[list[Prediction], list[Feedback]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[SealedBlock, Context], None]], None]:
    """Lets a function see every block that is sealed."""

    def install(see: Callable[[SealedBlock, Context], None]) -> None:
        def advance(state: State, block: SealedBlock, context: Context) -> State:
            see(block, context)
            return state

        use(monkeypatch, Detector("watcher", lambda: None, advance, lambda state, view: [], streams=EVERYTHING))

    return install


def use(monkeypatch: pytest.MonkeyPatch, *added: Detector) -> None:
    for module in (sealing, publication):
        monkeypatch.setattr(module, "DETECTORS", (*DETECTORS, *added))


def replay(run: Run, records: Records, seed: int, ending: Callable[[Run], None] | None = None) -> None:
    """In six parts, saving after some, and losing work in others."""
    predictions, feedback = records
    order: list[Prediction | Feedback] = [*predictions, *feedback]
    order.sort(key=lambda record: record.place)
    chance = random.Random(seed)
    for part in range(6):
        run.write_records(order[len(order) * part // 6 : len(order) * (part + 1) // 6], chance)
        if part % 3 == 2:
            run.read(chance.randrange(20))
            run.reopen()
        run.settle()
        if part % 2:
            run.save()
            run.reopen()
    run.settle()


def counted_again(model: Model, block: SealedBlock, context: Context) -> dict[str, dict[int, list[int]]]:
    """The sums that the block's rows give, by family and series."""
    labels = LabelDrift(model, 1, lambda: context.versions, lambda: context.classes, None, SavedTables())
    tally = empty_tally(model, context.room, labels.families())
    tally.add(block.rows(), 1, (block.channel,))
    again = list(seal(tally, block.channel, block.start, block.end, unasked))
    assert len(again) <= 1
    return sums_of(again[0]) if again else {}


def unasked(start: int, end: int) -> Rows:
    raise AssertionError("nobody asks for these rows")


def sums_of(block: SealedBlock) -> dict[str, dict[int, list[int]]]:
    """Sums by family and series, but for the traffic, which is not of rows that wait alone."""
    return {
        name: dict(zip(series.tolist(), sums.tolist(), strict=True))
        for name, (series, sums) in block.counts.items()
        if name != traffic.NAME
    }


class TestRowsOfSealedBlocks:
    @pytest.mark.parametrize(("seed", "weighted"), [(1, False), (2, True)])
    @pytest.mark.parametrize("wordy", [False, True])
    def test_their_sums_are_the_sealed_ones_to_the_last_bit(
        self,
        tmp_path: Path,
        watch: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        seed: int,
        weighted: bool,
        wordy: bool,
    ) -> None:
        monkeypatch.setattr(pipeline, "BLOCK_BYTES", {"predictions": 3000, "feedback": 3000})
        seen: Counter[str] = Counter()

        def see(block: SealedBlock, context: Context) -> None:
            if block.channel == blocks.ARRIVALS:
                return
            sealed = sums_of(block)
            assert counted_again(context.model, block, context) == sealed
            seen.update(name.partition("/")[0] for name in sealed)

        watch(see)
        used = wordy_models(implied=True) if wordy else models(implied=seed == 2)
        records = generate(seed, used, size=500, disorder=False, weighted=weighted)
        run = Run(settings_for(tmp_path, used))
        replay(run, records, seed)
        results = {row[3] for (family, row), value in run.page().items() if family == "model_feedback_total" and value}
        run.close()
        assert results >= {"joined", "replaced", "duplicate", "superseded", "retracted", "late"}
        wanted = ["ranking", "text", "signal"] if wordy else ["regression"]
        assert all(seen[name] > 20 for name in ("confusion", "losses", "feedback", *wanted)), seen

    def test_they_are_also_where_a_hash_sample_was_drawn(self, tmp_path: Path, watch: Callable[..., None]) -> None:
        rates: Counter[int] = Counter()

        def see(block: SealedBlock, context: Context) -> None:
            if block.channel != blocks.ARRIVALS:
                assert counted_again(context.model, block, context) == sums_of(block)
                rate = block.rows().rate
                rates.update([] if rate is None else rate.tolist())

        watch(see)
        used = models(max_pending=60)
        run = Run(settings_for(tmp_path, used))
        replay(run, generate(4, used, size=500, disorder=False), 4)
        run.close()
        assert max(rates) >= 2

    def test_they_come_in_one_order_however_the_logs_were_read(
        self, tmp_path: Path, watch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found: dict[tuple[str, int, int], list[tuple[object, ...]]] = {}

        def see(block: SealedBlock, context: Context) -> None:
            if block.channel != blocks.ARRIVALS:
                rows = block.rows()
                versions = [context.versions[code] for code in rows.version]
                assert rows.unit is not None
                columns = [rows.time, versions, rows.unit, rows.predicted, np.nan_to_num(rows.score, nan=-1.0)]
                columns += [np.where(label.present, label.code, -1) for label in rows.labels]
                found[context.model.name, block.channel, block.start] = list(zip(*columns, strict=True))

        watch(see)
        used = models()[:1]
        predictions, feedback = generate(6, used, size=400, disorder=False)
        newest = max(one.time for one in predictions if one.fate == "accepted")
        # What is older than the longest window comes too late when it is read last.
        predictions = [one for one in predictions if one.fate == "accepted" and one.time > newest - 6.5 * HOUR]
        times = [one.time // 60_000 * 60_000 for one in predictions]  # many share a time
        predictions = [replace(one, time=time) for one, time in zip(predictions, times, strict=True)]
        once = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            run = Run(settings_for(folder, used))
            run.write("predictions", written(predictions))
            run.write("feedback", written(feedback))
            run.settle()
            run.close()
            once.append(dict(found))
            found.clear()
            random.Random(1).shuffle(predictions)
            random.Random(1).shuffle(feedback)
            monkeypatch.setattr(pipeline, "BLOCK_BYTES", {"predictions": 3000, "feedback": 3000})
        assert once[0] == once[1]
        assert sum(map(len, once[0].values())) > 300

    def test_the_pending_predictions_are_looked_through_once_and_only_if_somebody_asks(
        self, tmp_path: Path, watch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asking, kept, looked = [False], list[SealedBlock](), list[int]()

        def see(block: SealedBlock, context: Context) -> None:
            kept.append(block)
            if asking[0] and block.channel != blocks.ARRIVALS:
                block.rows()

        within = Join.within

        def counted(join: Any, spans: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            looked.append(1)
            return within(join, spans)

        watch(see)
        monkeypatch.setattr(Join, "within", counted)
        used = models()[:1]
        records = generate(7, used, size=300, disorder=False)
        for asking[0] in (False, True):
            folder = tmp_path / str(asking[0])
            folder.mkdir()
            run = Run(settings_for(folder, used))
            run.write("predictions", written(records[0]))
            run.write("feedback", written(records[1]))
            run.read()
            run.pipeline.advance()
            run.close()
            assert len(kept) > 100
            assert len(looked) == asking[0]
        # Labels go on changing: who keeps a block cannot have its rows any more.
        for block in (kept[0], kept[-1]):
            with pytest.raises(RuntimeError):
                block.rows()


def written(records: list[Any]) -> bytes:
    chance = random.Random(1)
    return b"".join(line(one, chance) for one in records)


class TestStreams:
    def test_arrivals_are_sealed_once_and_hold_every_prediction(
        self, tmp_path: Path, watch: Callable[..., None]
    ) -> None:
        found: dict[tuple[str, str, int], tuple[float, ...]] = {}
        order: dict[tuple[str, int], int] = {}

        def see(block: SealedBlock, context: Context) -> None:
            stream = (context.model.name, block.channel)
            assert order.get(stream, 0) <= block.start or block.channel != blocks.ARRIVALS
            order[stream] = block.end
            if block.channel != blocks.ARRIVALS:
                return
            with pytest.raises(RuntimeError):
                block.rows()
            if "service" not in block.counts:
                return  # shadows alone
            series, sums = block.counts["service"]
            version, key, _ = context.split(series)
            assert (key < 0).all()
            n, failed, _ = service.errors(sums)
            latency = service.latency(sums)
            for row, code in enumerate(version):
                values = (n[row], failed[row], latency.n[row], round(latency.s1[row], 6))
                place = (context.model.name, context.versions[code], block.start)
                assert found.setdefault(place, values) == values  # what was lost is sealed again, to the same sums

        watch(see)
        used = models()
        predictions, feedback = generate(8, used, size=500, disorder=False)
        run = Run(settings_for(tmp_path, used))
        order_at_restart(run, order)
        replay(run, (predictions, feedback), 8)
        clock = run.pipeline.clock
        until = {name: one.sealing.arrivals_until for name, one in run.pipeline.engines.items()}
        for engine_ in run.pipeline.engines.values():
            # What is not sealed yet lies in the finest panes, of which blocks are made.
            assert engine_.tally.edges[0] <= engine_.join.sealed_until.min()
            assert engine_.join.sealed_until.max() < engine_.sealing.arrivals_until
        run.close()
        expected: dict[tuple[str, str, int], list[float]] = {}
        for one in predictions:
            model = next(model for model in used if model.name == one.model)
            block = one.time // model.block * model.block
            if one.fate != "accepted" or block >= until[one.model]:
                continue
            if not one.shadow:
                row = expected.setdefault((one.model, one.version, block), [0.0, 0.0, 0.0, 0.0])
                row[0] += one.count
                row[1] += one.count * one.error
                row[2] += one.count * (one.latency is not None)
                row[3] += one.count * (one.latency or 0.0) / 1000
        assert until["fraud"] == (clock - used[0].grace) // used[0].block * used[0].block
        assert {place: row[3] for place, row in found.items()} == pytest.approx(
            {place: row[3] for place, row in expected.items()}, abs=1e-5
        )
        assert {place: row[:3] for place, row in found.items()} == {
            place: tuple(row[:3]) for place, row in expected.items()
        }

    def test_a_block_holds_the_families_that_read_its_slot_and_a_detector_gets_the_streams_it_reads(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names: dict[str, set[str]] = {}
        streams: dict[str, set[tuple[int, str]]] = {}

        def reader(name: str, *wanted: str) -> Detector:
            def advance(state: State, block: SealedBlock, context: Context) -> State:
                streams.setdefault(name, set()).add((block.channel, context.channel.key))
                names.setdefault(context.channel.key, set()).update(block.counts)
                return state

            return Detector(name, lambda: None, advance, lambda state, view: [], streams=frozenset(wanted))

        use(monkeypatch, *(reader(name, name) for name in (LABELS, SIGNALS, ARRIVALS)))
        used = wordy_models()[2:3]
        run = Run(settings_for(tmp_path, used))
        replay(run, generate(9, used, size=400, disorder=False), 9)
        run.close()
        assert streams[LABELS] == {(0, "outcome"), (1, "audit"), (2, "report")}
        assert streams[SIGNALS] == {(3, "signal/asked")}
        assert streams[ARRIVALS] == {(-1, "")}
        assert names[""] == {"traffic", "service", *(f"signal/{name}" for name in ("sure", "unsure", "none", "ruled"))}
        assert names["signal/asked"] == {"signal/asked", "traffic"}
        for slot in ("outcome", "audit", "report"):
            assert {name.partition("/")[2] for name in names[slot] - {"traffic"}} == {slot}


def order_at_restart(run: Run, order: dict[Any, Any]) -> None:
    """What was not saved is sealed anew."""
    reopen = run.reopen

    def again() -> None:
        order.clear()
        reopen()

    run.reopen = again  # type: ignore[method-assign]


class TestStatesOfDetectors:
    @staticmethod
    def array_detector() -> Detector:
        def advance(state: NDArray[np.int64], block: SealedBlock, context: Context) -> NDArray[np.int64]:
            assert isinstance(state, np.ndarray)
            return state + np.array([1, block.start], dtype=np.int64)

        return Detector(
            "array",
            lambda: np.zeros(2, dtype=np.int64),
            advance,
            lambda state, view: [],
            streams=EVERYTHING,
            save=lambda state: state.tolist(),
            load=lambda saved: np.array(saved, dtype=np.int64),
        )

    def test_a_state_of_any_kind_is_saved_and_comes_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        use(monkeypatch, self.array_detector())
        used = wordy_models()[2:3]
        records = generate(10, used, size=300, disorder=False)
        states = []
        for restarts in (False, True):
            folder = tmp_path / str(restarts)
            folder.mkdir()
            run = Run(settings_for(folder, used))
            if restarts:
                replay(run, records, 10)
            else:
                run.write("predictions", written(records[0]))
                run.write("feedback", written(records[1]))
                run.settle()
            held = run.pipeline.engines["fraud"].detectors
            states.append({key: state.tolist() for key, state in held.items() if key.startswith("array/")})
            run.close()
        assert states[0] == states[1]
        assert set(states[0]) == {f"array/{key}" for key in ("", "outcome", "audit", "report", "signal/asked")}

    def test_states_of_slots_that_are_gone_are_dropped_and_the_others_stay(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(monkeypatch, self.array_detector())
        used = wordy_models()[2:3]
        run = Run(settings_for(tmp_path, used))
        replay(run, generate(11, used, size=200, disorder=False), 11)
        run.save()
        before = dict(run.pipeline.engines["fraud"].detectors)
        one = used[0]
        run.settings = settings_for(tmp_path, (replace(one, channels=one.channels[:2], signals=one.signals[1:]),))
        run.reopen()
        after = run.pipeline.engines["fraud"].detectors
        kept = {"array/", "array/outcome", "array/audit", "outcomes/outcome", "outcomes/audit"}
        assert {key for key in after if key.startswith(("array/", "outcomes/"))} == kept < set(before)
        assert all(np.array_equal(after[key], before[key]) for key in kept if key.startswith("array"))
        run.close()


class TestUnits:
    CONFIGURED = models()[:1]

    @pytest.fixture
    def run(self, tmp_path: Path) -> Iterator[Run]:
        run = Run(settings_for(tmp_path, self.CONFIGURED))
        yield run
        run.close()

    def test_blocks_are_clustered_from_the_first_record_with_a_unit_on(
        self, run: Run, watch: Callable[..., None]
    ) -> None:
        seen: dict[int, bool] = {}
        watch(lambda block, context: seen.__setitem__(block.end, context.clustered))
        start, minute = 1_714_557_600_000, 60_000
        first = start + 61 * minute
        for number in range(240):
            record = {"prediction_id": number, "timestamp": start + number * minute, "version": "v1", "prediction": "1"}
            if start + number * minute == first:
                record["unit_id"] = "somebody"
            run.write("predictions", json.dumps(record | {"model": "fraud"}).encode() + b"\n")
            if number % 50 == 49:
                run.settle()
                run.save()
                run.reopen()
        run.settle()
        engine_ = run.pipeline.engines["fraud"]
        assert engine_.sealing.clustered
        assert len(seen) > 40
        assert seen == {end: end > first for end in seen}

    def test_state_from_before_there_were_units_goes_on(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = tuple(bind for bind in families.FAMILIES if bind is not families.service.bind)
        monkeypatch.setattr(engine, "FAMILIES", old)
        run.reopen()
        predictions, feedback = generate(12, self.CONFIGURED, size=400, disorder=False)
        half = predictions[200].place
        early = [one for one in predictions if one.place < half], [one for one in feedback if one.place < half]
        run.write_records([*early[0], *early[1]], random.Random(1))
        run.settle()
        page = run.page()
        one = run.pipeline.engines["fraud"]
        sealed = one.join.sealed_until.max()
        units = dict(zip(*kept_units(one.join.table), strict=True))
        one.join.table = without_units(one.join.table)
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "save", as_saved_before(Engine.save))
            run.save()
        monkeypatch.setattr(engine, "FAMILIES", families.FAMILIES)
        run.reopen()
        assert run.pipeline.notes == []
        one = run.pipeline.engines["fraud"]
        assert not one.sealing.clustered
        assert one.sealing.arrivals_until == sealed
        assert dict(zip(*kept_units(one.join.table), strict=True)) == units
        assert run.page() == page
        late = [one for one in predictions if one.place >= half], [one for one in feedback if one.place >= half]
        run.write_records([*late[0], *late[1]], random.Random(2))
        run.settle()
        assert one.tally.window("service", -(1 << 62), 1 << 62)[1][:, 0].sum() == sum(
            one.count for one in late[0] if one.fate == "accepted" and not one.shadow
        )


def kept_units(table: Table) -> tuple[list[int], list[int]]:
    rows = table.rows[table.live_numbers()]
    return rows["key"].tolist(), rows["unit"].tolist()


def without_units(table: Table) -> Table:
    """The table as it was laid out before."""
    fields = [(name, table.dtype[name]) for name in table.dtype.names or () if name != "unit"]
    old = Table(table.name, np.dtype(fields))
    live = table.live_numbers()
    numbers = old.allocate(len(live))
    for name, _ in fields:
        old.rows[name][numbers] = table.rows[name][live]
    return old


def as_saved_before(save: Callable[[Engine], dict[str, Any]]) -> Callable[[Engine], dict[str, Any]]:
    def saved(one: Engine) -> dict[str, Any]:
        state = save(one)
        del state["arrivals_sealed_until"], state["clustered_from"]
        return state

    return saved
