"""The exporter takes records and prepared references alike, and refuses what contradicts its configuration."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.reference.records import FEATURES, configured, generate, write_csv, write_json_lines
from tidegauge.config.problems import ConfigurationError
from tidegauge.config.settings import Drift, Model, Settings
from tidegauge.pipeline.reference import References
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference.build import build, reference_for
from tidegauge.reference.format import dump, load
from tidegauge.tally.features.embedding import Projection, conditions
from tidegauge.tally.features.joint import Pca, Standard


def of(model: Model, settings: Settings, file: Path) -> Any:
    return reference_for(replace(model, reference=file), settings, Scoring)


def prepare(folder: Path, number: int = 600, name: str = "reference.yml", **configuration: Any) -> Path:
    model, settings = configured(folder, **configuration)
    path = folder / name
    path.write_text(
        dump(build(model, settings, write_csv(folder / "r.csv", generate(number)), Scoring)), encoding="utf-8"
    )
    return path


def test_records_and_what_is_prepared_of_them_are_the_same_reference(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    model, settings = configured(tmp_path)
    one, other = of(model, settings, prepared), of(model, settings, tmp_path / "r.csv")
    assert one.schema.id == other.schema.id and np.array_equal(one.counts, other.counts)
    assert one.scores == other.scores and one.summaries == other.summaries and one.icc == other.icc
    assert one.notes == ()


def test_a_prepared_file_is_known_by_how_it_begins_too(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, name="reference")
    assert of(*configured(tmp_path), prepared).records == 600


def test_features_come_in_the_order_of_the_configuration_and_no_others(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    whole = load(prepared)
    model, settings = configured(tmp_path, {"member": "boolean", "amount": "numeric"})
    some = of(model, settings, prepared)
    assert some.schema.names == ("@score", "@prediction", "member", "amount")
    for name in some.schema.names:
        number, before = some.schema.names.index(name), whole.schema.names.index(name)
        mine, theirs = some.schema.layout.spots[number], whole.schema.layout.spots[before]
        assert some.schema.features[number] == whole.schema.features[before]
        assert some.counts[mine.start : mine.end].tolist() == whole.counts[theirs.start : theirs.end].tolist()
        assert some.kinds[number] == whole.kinds[before] and some.summaries[number] == whole.summaries[before]


def test_a_configured_feature_that_the_file_lacks_is_noted(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    reference = of(*configured(tmp_path, {**FEATURES, "age": "numeric"}), prepared)
    assert "age" not in reference.schema.names
    assert reference.notes == ('reference.yml has nothing of feature "age": it is compared without that file',)


@pytest.mark.parametrize("kind", ["categorical", "text_length"])
def test_a_feature_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        of(*configured(tmp_path, {**FEATURES, "amount": kind}), prepared)
    assert f"{prepared}: features.amount.kind: found numeric; allowed: {kind}" in str(refused.value)


# --- many numbers at once ---------------------------------------------------------------------------------------------


def vectors(folder: Path) -> tuple[Path, list[list[float]]]:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(400, 6)).round(3).tolist()
    records = [{"prediction": 1, "features": {"vector": row, "a": row[0], "b": row[0] + row[1]}} for row in rows]
    return write_json_lines(folder / "v.jsonl", records, nested=False), rows


def test_embeddings_and_joint_features_are_projected_and_come_back(tmp_path: Path) -> None:
    file, rows = vectors(tmp_path)
    model, settings = configured(tmp_path, {"vector": "embedding", "a": "numeric", "b": "numeric"})
    model = replace(model, drift=Drift(multivariate=True))
    built = build(model, settings, file, Scoring)
    prepared = tmp_path / "reference.yml"
    prepared.write_text(dump(built))
    reference = of(model, settings, prepared)
    assert reference.projections == built.projections
    assert reference.notes == ('reference.yml has nothing of feature "@score": it is compared without that file',)
    projection = Projection.from_json(reference.projections["embeddings"]["vector"])
    assert (projection.dimension, projection.rows) == (6, 400)
    assert np.allclose(projection.centre, np.mean(rows, axis=0), atol=1e-6)
    inputs = reference.projections["inputs"]
    assert inputs["features"] == ["a", "b"]
    assert np.allclose(Standard.from_json(inputs["standard"]).means[0], np.mean([row[0] for row in rows]), atol=1e-6)
    components = Pca.from_json(reference.projections["reconstruction"]).components
    assert np.allclose(np.abs(components[0]), 0.5**0.5, atol=1e-6)  # of two standardised features, always so

    other = replace(model, features=model.features[:2])
    fewer = of(other, settings, prepared)
    assert set(fewer.projections) == {"embeddings"} and len(fewer.notes) == 1 + 2
    plain = of(replace(model, drift=Drift()), settings, prepared)
    assert set(plain.projections) == {"embeddings"} and plain.notes == reference.notes


def test_embeddings_are_read_from_cells_and_from_parquet(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    file, rows = vectors(tmp_path)
    model, settings = configured(tmp_path, {"vector": "embedding"})
    records = [{"prediction": 1, "vector": row} for row in rows]
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "v.parquet")
    wanted = build(model, settings, file, Scoring).projections
    assert wanted["embeddings"]["vector"]["rows"] == len(rows)
    assert build(model, settings, write_csv(tmp_path / "v.csv", records), Scoring).projections == wanted
    assert build(model, settings, tmp_path / "v.parquet", Scoring).projections == wanted


def test_a_file_without_usable_vectors_is_noted(tmp_path: Path) -> None:
    model, settings = configured(tmp_path, {"vector": "embedding"})
    path = tmp_path / "r.jsonl"
    path.write_text('{"prediction": 1, "features": {"vector": "x"}}\n' * 3)
    reference = build(model, settings, path, Scoring)
    assert reference.projections == {}
    assert any('"vector" cannot be compared with this file' in note for note in reference.notes)
    assert not conditions(np.zeros((1, 2))).any()


# --- the exporter's own -----------------------------------------------------------------------------------------------


def test_files_are_read_again_only_when_they_changed(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    model, settings = configured(tmp_path, more=f"reference: {prepared}")
    references = References().updated(settings)
    first = references.all["fraud"]
    assert references.scores("fraud") == first.scores and "accuracy" in first.scores
    assert references.updated(settings).all["fraud"] is first

    prepare(tmp_path, 700)
    references = references.updated(settings)
    assert references.all["fraud"].records == 700

    prepared.write_text("tidegauge_reference: 9\n")
    os.utime(prepared, (1, 1))
    with pytest.raises(ConfigurationError):
        references.updated(settings)
    assert references.all["fraud"].records == 700

    references = references.updated(replace(settings, models=(replace(model, reference=None),)))
    assert "fraud" not in references.all and references.scores("fraud") == {}


def test_the_text_is_yaml_that_other_readers_take(tmp_path: Path) -> None:
    assert yaml.safe_load(prepare(tmp_path).read_text())["model"] == "fraud"


def test_reconstruction_has_bins_counts_and_moments_like_a_feature(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, more="drift: {multivariate: true}")
    model, settings = configured(tmp_path, more="drift: {multivariate: true}")
    reference = of(model, settings, prepared)
    place = reference.schema.names.index("@reconstruction")
    assert reference.kinds[place] == "numeric" and place == len(reference.schema.names) - 1
    assert reference.schema.conditions(reference.counts)[place].sum() >= reference.records == 600
    # The errors anew, of the numbers that the records have.
    numbers = np.array(
        [
            [np.nan if one["amount"] is None else one["amount"] for one in generate(600)],
            [one["visits"] for one in generate(600)],
            [np.nan if one["message"] is None else len(one["message"]) for one in generate(600)],
        ]
    )
    assert reference.projections["reconstruction"]["features"] == ["amount", "visits", "message"]
    errors = Pca.from_json(reference.projections["reconstruction"]).errors(numbers)
    summary = reference.summaries[place]
    assert summary is not None
    assert summary.mean == pytest.approx(errors.mean()) and summary.maximum == pytest.approx(errors.max())
    without, _ = configured(tmp_path)
    assert "@reconstruction" not in of(without, settings, prepared).schema.names
