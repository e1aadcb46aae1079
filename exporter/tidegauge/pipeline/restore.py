"""Saved state back to work: an engine from what was saved of it, as far as it fits the configuration of now.

Where the shape is the same everything is adopted as it is. Where it is not, the pending predictions are carried over
field by field and the windows are counted anew from them, which is exact as far back as the horizon. What is dropped
is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Model
from tidegauge.join.classes import negative_class
from tidegauge.join.feedback import FEEDBACK
from tidegauge.join.join import BATCH, NEVER_SEALED
from tidegauge.join.layout import Layout, unit_buckets
from tidegauge.join.rows import NONE
from tidegauge.join.vocabulary import OTHER, Vocabulary
from tidegauge.pipeline.engine import (
    Engine,
    empty_tally,
    features_of,
    fresh_parts,
    kind_of,
    labels_of,
    room_for,
)
from tidegauge.pipeline.features import SavedTables, history_table, learning_table, state_table
from tidegauge.pipeline.labels import table_names
from tidegauge.pipeline.saved_states import SHEETS, name_of
from tidegauge.pipeline.sealing import NEVER_CLUSTERED
from tidegauge.pipeline.vectors import table_name as vectors_table
from tidegauge.reference.value import Reference
from tidegauge.state.spool import Spool
from tidegauge.state.store import Store, TableChanged
from tidegauge.state.table import Table
from tidegauge.tally.family import Family
from tidegauge.tally.panes import Ladder, Window
from tidegauge.tally.tally import Series, Tally


def restore(
    model: Model, saved: Mapping[str, Any], store: Store, spool: Spool | None, training: Reference | None = None
) -> tuple[Engine, list[str]]:
    """(engine, what had to be dropped, in plain words); `training` is the model's reference data."""
    if saved["task"] != model.task or (
        model.task == "binary" and saved["classes"] != [negative_class(model), model.positive_label]
    ):
        return Engine(model, fresh_parts(model), spool, training), [
            "everything: its task or its positive label has changed"
        ]
    notes: list[str] = []
    parts = fresh_parts(model)
    of_versions, of_classes, *of_slices = saved["folded"]
    parts.versions = _vocabulary(parts.versions.limit, saved["versions"], of_versions)
    classes = list(dict.fromkeys([*saved["classes"], *model.classes]))
    parts.classes = _vocabulary(parts.classes.limit, classes, of_classes)
    slice_places = [_place(model.slices, name) for name in saved["slices"]]
    for old, new in enumerate(slice_places):
        if new >= 0:
            parts.slices[new] = _vocabulary(parts.slices[new].limit, saved["slice_values"][old], of_slices[old])
        else:
            notes.append(f"slice {saved['slices'][old]}")
    channel_names = tuple(slot.key for slot in model.slots)
    kinds = dict(saved["kinds"])
    channel_places = []
    for name in saved["channels"]:
        place = _place(channel_names, name)
        if place >= 0 and kinds[name] != kind_of(model.slots[place]):
            notes.append(f"labels of channel {name}: its kind has changed")
            place = -1
        elif place >= 0 and place < len(model.channels) and _measured_anew(model, saved):
            notes.append(f"labels of channel {name}: they are compared with answers in another way now")
            place = -1
        elif place < 0:
            notes.append(f"channel {name}")
        channel_places.append(place)
    parts.totals.restore(saved["totals"], channel_places)
    parts.archive = saved.get("archive", {})
    parts.detectors = store.restore_table(name_of(model.name), SHEETS)
    parts.clustered_from = saved.get("clustered_from", NEVER_CLUSTERED)
    parts.weighted = saved["weighted"]
    join = dict(saved["join"])
    block = empty_tally(model, room_for(model, len(parts.classes))).ladder.block
    sealed = [NEVER_SEALED] * len(model.slots)
    for old, place in enumerate(channel_places):
        if place >= 0:
            sealed[place] = _up_to_block(join["sealed_until"][old], block)
    # State of before there were blocks of arrivals: from where on the finest panes are certainly there.
    arrivals = saved.get("arrivals_sealed_until", max(join["sealed_until"], default=NEVER_SEALED))
    parts.arrivals_sealed_until = _up_to_block(arrivals, block)
    join["sealed_until"] = sealed
    parts.join = join
    layout = Layout.of(model, weighted=parts.weighted)
    parts.pending = _pending(model, layout, store, slice_places, channel_places)
    parts.waiting = _feedback(f"{model.name}/waiting", store, channel_places)
    parts.deferred = _feedback(f"{model.name}/deferred", store, channel_places)
    shape = saved["tally"]
    room = room_for(model, len(parts.classes))
    own = (learning_table(model.name), state_table(model.name), history_table(model.name))
    features = (*own, vectors_table(model.name))
    parts.features = features_of(model, parts, training, _tables(store, *features))
    notes += parts.features.notes
    parts.labels = labels_of(model, parts, training, _tables(store, None, *table_names(model.name)))
    notes += parts.labels.notes
    fresh = empty_tally(model, room, [*parts.features.families(), *parts.labels.families()])
    families = [[family.name, family.columns, family.sliced, family.schema] for family in fresh.families]
    unchanged = -1 not in channel_places and _same_series(shape, saved, model, fresh, room)
    if unchanged and shape["families"] == families:
        tables = {}
        for table in fresh.tables():
            stored = store.restore_table(table.name, table.dtype)
            if stored is not None:
                tables[table.name] = stored
        fresh.adopt(tables, shape["edges"])
        parts.tally = fresh
        engine = Engine(model, parts, spool)
        return engine, notes + _unusable(engine)
    before = _old_tally(model.name, shape, saved, store)
    on_arrival_only = {family.name for family in fresh.families if not family.channels}
    may_begin = on_arrival_only | {parts.labels.family}
    if unchanged and all(family in shape["families"] or family[0] in may_begin for family in families):
        # What decides about quality is as before: what there is goes on, and what is new begins now.
        notes += fresh.take_over(before, room, room)
        parts.tally = fresh
        engine = Engine(model, parts, spool)
        if any(family not in shape["families"] and family[0] == parts.labels.family for family in families):
            engine.recount(frozenset((parts.labels.family,)))
        return engine, notes + _unusable(engine)
    renumber = _renumbering(before.series, fresh.series, slice_places)
    counted = {name for name, *_ in shape["families"]}
    on_arrival = frozenset(family.name for family in fresh.families if not family.channels and family.name in counted)
    names = {family.name for family in fresh.families}
    gone = counted - names - set(saved["channels"])  # signals of feedback are named among the channels
    notes += [f"the counts of {name}" for name in sorted(gone) if name.startswith("signal/")]
    notes += fresh.take_over(before, shape["room"], room, only=on_arrival, renumber=renumber)
    parts.tally = fresh
    engine = Engine(model, parts, spool)
    notes += _unusable(engine)
    engine.recount()
    notes.append(
        "windows older than the predictions still held, and the lifetime window of labelled ones: they start anew"
    )
    return engine, notes


def _tables(store: Store, learning: str | None, state: str, history: str, vectors: str | None = None) -> SavedTables:
    """What was saved under these names; the past in whatever shape it was."""
    tables = SavedTables(
        learning=None if learning is None else store.restore_table(learning, SHEETS),
        state=store.restore_table(state, SHEETS),
        vectors=None if vectors is None else store.restore_table(vectors, SHEETS),
    )
    raw = store.restore_raw(history)
    if raw is not None:
        tables.history = store.restore_table(history, raw.dtype)
    return tables


def _up_to_block(sealed_until: int, block: int) -> int:
    """The end of sealed time in blocks of this width; upwards, so that no block is sealed twice."""
    return sealed_until if sealed_until == NEVER_SEALED else -(-sealed_until // block) * block


def _unusable(engine: Engine) -> list[str]:
    return [f"what sealed blocks had told ({key}): it was saved in another form" for key in engine.sealing.unusable]


def _measured_anew(model: Model, saved: Mapping[str, Any]) -> bool:
    """Whether what comparing answers and labels gave would be something else now; the labels are gone."""
    if model.task == "ranking":
        return bool(saved["k"] != model.k)
    return model.task == "text" and saved["normalize"] != list(model.normalize)


def _vocabulary(limit: int, texts: list[str], folded: int) -> Vocabulary:
    vocabulary = Vocabulary(max(limit, len(texts) + (OTHER not in texts)), texts)
    vocabulary.folded = folded
    return vocabulary


def _place(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1


def _same_series(shape: Mapping[str, Any], saved: Mapping[str, Any], model: Model, fresh: Tally, room: int) -> bool:
    return bool(
        shape["widths"] == list(fresh.ladder.widths)
        and shape["block"] == fresh.ladder.block
        and shape["room"] == room
        and shape["slice_room"] == fresh.series.room
        and saved["slices"] == list(model.slices)
        and saved["silence"] == [slot.no_feedback for slot in model.slots]
    )


def _pending(
    model: Model, layout: Layout, store: Store, slice_places: list[int], channel_places: list[int]
) -> Table | None:
    name = f"{model.name}/pending"
    unchanged = slice_places == list(range(len(model.slices))) and channel_places == list(range(len(model.slots)))
    if unchanged:
        with suppress(TableChanged):  # the common way, without a copy
            return store.restore_table(name, layout.dtype, model.max_pending + BATCH)
    raw = store.restore_raw(name)
    if raw is None:
        return None
    numbers = raw.live_numbers()
    table = Table(name, layout.dtype, capacity=max(model.max_pending + BATCH, len(numbers)))
    fresh = table.allocate(len(numbers))
    rows = np.zeros(len(numbers), dtype=layout.dtype)
    for number in range(len(layout.forms)):
        rows[f"label{number}"] = NONE
    for number in range(layout.slices):
        rows[f"slice{number}"] = NONE
    names = {field: field for field in raw.dtype.names or () if field in (layout.dtype.names or ())}
    names = {old: new for old, new in names.items() if not old[-1].isdigit()}
    names.update({f"slice{old}": f"slice{new}" for old, new in enumerate(slice_places) if new >= 0})
    for old, new in enumerate(channel_places):
        if new >= 0:
            names.update(
                {
                    f"{part}{old}": f"{part}{new}"
                    for part in ("label", "number", "measures", "low", "high", "propensity")
                }
            )
    for was, now in names.items():
        if was in (raw.dtype.names or ()) and now in (layout.dtype.names or ()):
            rows[now] = raw.rows[was][numbers]
    if "unit" not in (raw.dtype.names or ()):
        rows["unit"] = unit_buckets(None, rows["key"])
    table.rows[fresh] = rows
    return table


def _feedback(name: str, store: Store, channel_places: list[int]) -> Table | None:
    table = feedback_table(name, store)
    if table is None:
        return None
    numbers = table.live_numbers()
    places = np.array([*channel_places, -1], dtype=np.int64)
    place = places[np.minimum(table.rows["channel"][numbers], len(channel_places))]
    if (place != table.rows["channel"][numbers]).any():
        table.rows["channel"][numbers] = np.maximum(place, 0)
        table.touch(numbers)
        table.free(numbers[place < 0])
    return table


def feedback_table(name: str, store: Store) -> Table | None:
    """A saved table of feedback, also one with fewer fields; None if there is none."""
    with suppress(TableChanged):
        return store.restore_table(name, FEEDBACK)
    raw = store.restore_raw(name)
    if raw is None:
        return None
    numbers = raw.live_numbers()
    rows = np.zeros(len(numbers), dtype=FEEDBACK)
    for field in set(raw.dtype.names or ()) & set(FEEDBACK.names or ()):
        rows[field] = raw.rows[field][numbers]
    table = Table(name, FEEDBACK)
    table.rows[table.allocate(len(numbers))] = rows
    return table


def _old_tally(name: str, shape: Mapping[str, Any], saved: Mapping[str, Any], store: Store) -> Tally:
    """The tally as it was saved, good for reading only."""
    families = [
        Family(family, columns, lambda rows: [], slice_columns=sliced, schema=schema)
        for family, columns, sliced, schema in shape["families"]
    ]
    widths = tuple(shape["widths"])
    ladder = Ladder(widths, tuple(0 for _ in widths), tuple(Window(width, width) for width in widths), shape["block"])
    tally = Tally(name, families, ladder, Series(len(saved["slices"]), shape["slice_room"]))
    tables = {}
    for table in tally.tables():
        stored = store.restore_table(table.name, table.dtype)
        if stored is not None:
            tables[table.name] = stored
    tally.adopt(tables, shape["edges"])
    return tally


def _renumbering(old: Series, new: Series, slice_places: list[int]) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    places = np.array([*slice_places, -1], dtype=np.int64)

    def renumber(series: NDArray[np.int64]) -> NDArray[np.int64]:
        version, key, value = old.split(series)
        place = places[key]
        whole = key < 0
        sliced = version * new.per_version + 1 + place * new.room + value
        known = (place >= 0) & (value < new.room)
        return np.where(whole, version * new.per_version, np.where(known, sliced, -1))

    return renumber
