"""Makes a model's reference from records in a file, by the decoding, binning and metrics that the logs go through.

One pass learns the bins, and counts too where all rows could be kept; else a second pass counts. Bounded memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.problems import ConfigurationError, Problem, dotted, quote
from tidegauge.config.settings import Model, Settings
from tidegauge.config.watched import numeric_names
from tidegauge.decode.columns import FeedbackColumns, PredictionColumns
from tidegauge.join.rows import Rows
from tidegauge.reference.format import KEY, LABEL, load
from tidegauge.reference.moments import Moments
from tidegauge.reference.projections import RECONSTRUCTION as RECONSTRUCTED
from tidegauge.reference.projections import ROWS, fitted_projections, learn_projections, wanted
from tidegauge.reference.sample import RowSample
from tidegauge.reference.source import Records, RecordSource, RowMaker
from tidegauge.reference.value import Distribution, Reference, Summary
from tidegauge.tally.features.binning import is_number
from tidegauge.tally.features.counts import FeatureCounter
from tidegauge.tally.features.joint import Pca, with_errors
from tidegauge.tally.features.learn import Sample, intraclass, learn
from tidegauge.tally.features.schema import LARGEST_EDGE, Bins, NumericBins, Schema
from tidegauge.tally.features.watched import (
    FROM_NUMBER,
    FROM_SCORE,
    NUMERIC,
    PREDICTION,
    RECONSTRUCTION,
    Watched,
    reconstructs,
    watched,
)

PREPARED = (".yml", ".yaml")
"""Suffixes of prepared references."""
_LOOKED_AT = 1 << 16


class Scoring(Protocol):
    """What measures how good the answers in the records are; a new one for each file."""

    def add_predictions(self, columns: PredictionColumns) -> None:
        """A batch of the file, before the labels of its records."""

    def add_labels(self, columns: FeedbackColumns) -> None:
        """The labels of the batch."""

    def result(self) -> tuple[dict[str, float], dict[str, int]]:
        """Scores by metric, and how many labelled predictions each rests on."""


Scorer = Callable[[Model], Scoring]
"""Makes one for a model. It takes a whole pipeline, which is not known here."""


def build(model: Model, settings: Settings, path: Path, scorer: Scorer) -> Reference:
    """The reference made from a file of records (CSV, JSON Lines, Parquet).

    Raises ValueError, naming the file, if no record of it can be used, and OSError if it cannot be read.
    """
    source = RecordSource(path, model, settings)
    first = _FirstPass(model, scorer(model))
    for records in source.read():
        first.add(records)
    if not first.records:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(source.reading.rejected.items()))
        found = f"; not used: {reasons}" if reasons else ""
        raise ValueError(f"{path}: no record that model {model.name} could have made was found in its reference{found}")
    projections, unprojected = first.projections()
    schema, counts = first.counted(source)
    scores, samples = first.scoring.result()
    kinds = kinds_of(model)
    valid = schema.conditions(counts)[:, 0]
    kept = [number for number, name in enumerate(schema.names) if valid[number]]
    icc = intraclass(schema, model, first.samples())
    summaries = [first.summary(name) for name in schema.names]
    schema_of_kept, counts_of_kept = _chosen(schema, counts, kept)
    return Reference(
        model=model.name,
        records=first.records,
        schema=schema_of_kept,
        counts=counts_of_kept,
        kinds=tuple(kinds[name] for name in schema_of_kept.names),
        icc=tuple(float(icc[number]) for number in kept),
        summaries=tuple(summaries[number] for number in kept),
        label=first.label(source),
        scores=scores,
        samples=samples,
        projections=projections,
        file=path.name,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        rejected=dict(sorted((+source.reading.rejected).items())),
        notes=(*_notes(model, schema_of_kept, source, path.name), *unprojected),
    )


def reference_for(model: Model, settings: Settings, scorer: Scorer) -> Reference:
    """The reference that the model's configuration names, made from records or prepared.

    Of a prepared one, the features that the model watches. Raises ValueError, ConfigurationError or OSError, naming
    the file.
    """
    assert model.reference is not None
    if not is_prepared(model.reference):
        return build(model, settings, model.reference, scorer)
    return fitted(load(model.reference), model, model.reference)


def check_prepared(settings: Settings) -> None:
    """Reads the prepared references that the configuration names. Raises ConfigurationError with all their problems."""
    problems: list[Problem] = []
    for model in settings.models:
        if model.reference is not None and is_prepared(model.reference):
            try:
                fitted(load(model.reference), model, model.reference)
            except ConfigurationError as error:
                problems += error.problems
    if problems:
        raise ConfigurationError(tuple(problems))


def is_prepared(path: Path) -> bool:
    """Whether a file is a prepared reference, by its name or else by how it begins. Raises OSError."""
    if path.suffix.lower() in PREPARED:
        return True
    with path.open("rb") as file:
        lines = file.read(_LOOKED_AT).splitlines()
    said = next((line for line in lines if line.strip() and not line.startswith((b"#", b"---", b"%"))), b"")
    return said.startswith(KEY.encode() + b":")


def fitted(reference: Reference, model: Model, path: Path) -> Reference:
    """The part of a prepared reference that the model watches, in its order. Raises ConfigurationError."""
    held = {name: number for number, name in enumerate(reference.schema.names)}
    problems, kept, notes = [], [], []
    projections, unprojected = fitted_projections(reference.projections, model, path.name)
    for name, kind in kinds_of(model).items():
        if name not in held:
            notes.append(f"{path.name} has nothing of feature {quote(name)}: it is compared without that file")
            continue
        if name == RECONSTRUCTION and RECONSTRUCTED not in projections:
            continue  # errors of other components
        kept.append(held[name])
        found = reference.kinds[held[name]]
        if found != kind:
            place = dotted(("features", name, "kind"))
            hint = f"model {model.name} watches it so; make the file anew by `tidegauge reference`"
            problems.append(Problem(place, 0, found, kind, hint, str(path)))
    if problems:
        raise ConfigurationError(tuple(problems))
    schema, counts = _chosen(reference.schema, reference.counts, kept)
    return replace(
        reference,
        projections=projections,
        schema=schema,
        counts=counts,
        kinds=tuple(reference.kinds[number] for number in kept),
        icc=tuple(reference.icc[number] for number in kept),
        summaries=tuple(reference.summaries[number] for number in kept),
        notes=(*reference.notes, *notes, *unprojected),
    )


def kinds_of(model: Model) -> dict[str, str]:
    """The kind of everything that has bins, by name: of features as configured, of what Tidegauge makes as binned."""
    configured = {feature.name: feature.kind for feature in model.features}
    return {one.name: configured.get(one.name, one.kind) for one in watched(model)}


def _chosen(schema: Schema, counts: NDArray[np.int64], kept: Sequence[int]) -> tuple[Schema, NDArray[np.int64]]:
    """Some of the features."""
    columns = [counts[schema.layout.spots[number].start : schema.layout.spots[number].end] for number in kept]
    features = tuple(schema.features[number] for number in kept)
    return Schema(features), np.concatenate([np.zeros(0, dtype=np.int64), *columns])


class _FirstPass:
    """What is gathered of the records on the way to their bins."""

    def __init__(self, model: Model, scoring: Scoring) -> None:
        self._model = model
        self._maker = RowMaker(model)
        self._sample, self._labels = RowSample(), RowSample()
        self._together = RowSample(ROWS, ROWS) if wanted(model) else None
        self._pca: Pca | None = None
        self._units_given = False
        self._numeric = [one for one in watched(model) if one.kind == NUMERIC and one.name != RECONSTRUCTION]
        self._moments = {one.name: Moments() for one in self._numeric}
        self.scoring = scoring
        self.records = 0

    def add(self, records: Records) -> None:
        columns, labels = records.predictions, records.labels
        if columns is not None:
            rows = self._maker.predictions(columns)
            self.records += int(rows.counts().sum())
            self._units_given |= columns.unit is not None
            if self._together is not None:
                self._together.add(rows, None)
            # Vectors would fill the memory, and have no bins.
            self._sample.add(_without_vectors(rows), columns.unit)
            for feature in self._numeric:
                values = _numbers(rows, feature)
                good = is_number(values)
                self._moments[feature.name].add(values[good], None if rows.count is None else rows.count[good])
            self.scoring.add_predictions(columns)
        if labels is not None:
            self.scoring.add_labels(labels)
            self._labels.add(self._maker.labels(labels), None)

    def summary(self, name: str) -> Summary | None:
        return self._moments[name].summary() if name in self._moments else None

    def samples(self) -> list[Sample]:
        """What bins are learned from."""
        units = self._sample.units if self._units_given else [None] * len(self._sample.rows)
        classes = self._maker.classes
        rows = map(self._complete, self._sample.rows)
        return [Sample.of(some, classes, unit) for some, unit in zip(rows, units, strict=True)]

    def counted(self, source: RecordSource) -> tuple[Schema, NDArray[np.int64]]:
        """The bins of all that is watched, and the counts of all records in them."""
        schema = learn(self._model, self.samples())
        if self._sample.whole:
            return schema, self._count(schema, self._model, self._sample.rows)
        schema = self._widened(schema)
        again = (records.predictions for records in source.read())
        return schema, self._count(schema, self._model, (self._maker.predictions(p) for p in again if p is not None))

    def _widened(self, schema: Schema) -> Schema:
        """Bins that reach as far as the numbers do, of which a sample misses the ends."""
        found: list[Bins] = []
        for bins in schema.features:
            summary = self.summary(bins.name)
            if isinstance(bins, NumericBins) and summary is not None:
                low, high = (max(-LARGEST_EDGE, min(LARGEST_EDGE, x)) for x in (summary.minimum, summary.maximum))
                edges = bins.edges
                # Rare numbers beside one that is nearly everywhere shall not hide it in their bin.
                held = edges[1:-1] if edges[0] < edges[-1] else (edges[0], math.nextafter(edges[0], math.inf))
                inner = [edge for edge in held if low < edge < high]
                bins = NumericBins(bins.name, (low, *inner, high))
            found.append(bins)
        return Schema(tuple(found))

    def label(self, source: RecordSource) -> Distribution | None:
        """The distribution of the labels: as that of answers, of those that are classes or numbers."""
        answers = replace(self._model, features=())
        if not any(one.name == PREDICTION for one in watched(answers)) or not self._labels.rows:
            return None
        samples = [Sample.of(rows, self._maker.classes) for rows in self._labels.rows]
        learned = learn(answers, samples)
        schema = Schema(tuple(bins for bins in learned.features if bins.name == PREDICTION))
        if self._labels.whole:
            counts = self._count(schema, answers, self._labels.rows)
        else:
            again = (records.labels for records in source.read())
            counts = self._count(schema, answers, (self._maker.labels(one) for one in again if one is not None))
        return Distribution(Schema((replace(schema.features[0], name=LABEL),)), counts)

    def projections(self) -> tuple[dict[str, Any], list[str]]:
        """The sections of what has no bins, and what is to be said of them; to be asked for before the bins."""
        if self._together is None:
            return {}, []
        found, notes = learn_projections(self._model, self._together.rows)
        self._together = None
        if reconstructs(self._model) and RECONSTRUCTED in found:
            self._pca = Pca.from_json(found[RECONSTRUCTED])
            moments = self._moments[RECONSTRUCTION] = Moments()
            for rows in map(self._complete, self._sample.rows):
                values = _numbers(rows, next(one for one in watched(self._model) if one.name == RECONSTRUCTION))
                good = is_number(values)
                moments.add(values[good], None if rows.count is None else rows.count[good])
        return found, notes

    def _complete(self, rows: Rows) -> Rows:
        """With what is made of the features."""
        if rows.features is None or not reconstructs(self._model):
            return rows
        return replace(rows, features=with_errors(rows.features, len(numeric_names(self._model)), self._pca))

    def _count(self, schema: Schema, model: Model, batches: Iterable[Rows]) -> NDArray[np.int64]:
        counter = FeatureCounter(schema, model)
        total = np.zeros(schema.columns, dtype=np.int64)
        version = np.zeros(1, dtype=np.int64)
        for rows in batches:
            cell = np.zeros(len(rows), dtype=np.int64)
            total += counter.accumulate(self._complete(rows), cell, 1, version, self._maker.classes)[0]
        for spot in schema.layout.spots:
            # A flag; how many batches raised it depends on how the file is cut.
            total[spot.varied] = min(int(total[spot.varied]), 1)
        return total


def _without_vectors(rows: Rows) -> Rows:
    features = rows.features
    return rows if features is None or not features.vectors else replace(rows, features=replace(features, vectors=()))


def _numbers(rows: Rows, feature: Watched) -> NDArray[np.float64]:
    if feature.source == FROM_NUMBER:
        assert rows.features is not None
        numbers: NDArray[np.float64] = rows.features.numbers[feature.index]
        return numbers
    return rows.score if feature.source == FROM_SCORE else rows.value


def _notes(model: Model, schema: Schema, source: RecordSource, file: str) -> Iterable[str]:
    for name in kinds_of(model):
        if name not in schema.names:
            yield f"no record of {file} has a valid value of {quote(name)}: it is compared without that file"
    if source.unusable_labels:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(source.unusable_labels.items()))
        yield f"labels that could not be used: {reasons}"
    if source.reading.unknown:
        names = ", ".join(quote(name) for name in sorted(source.reading.unknown))
        yield f"features of {file} that are not configured: {names}"
