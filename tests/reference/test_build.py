"""A reference is a recount of its records: plain Python gives the same numbers, whatever the format of the file."""

from __future__ import annotations

import functools
import gzip
import itertools
import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import xxhash
import yaml
from sklearn import metrics

from tests.reference.records import (
    FEATURES,
    Record,
    configured,
    generate,
    write_csv,
    write_json_lines,
    write_parquet,
)
from tidegauge.pipeline.scoring import Scoring
from tidegauge.reference import build as building
from tidegauge.reference.build import build
from tidegauge.reference.format import dump
from tidegauge.reference.sample import RowSample
from tidegauge.reference.source import RecordSource, RowMaker
from tidegauge.tally.features.schema import CategoricalBins

SIZE = 3_000


def text(folder: Path, file: Path, **configuration: Any) -> str:
    """The prepared reference that a file gives, without its name and the time."""
    reference = build(*configured(folder, **configuration), file, Scoring)
    return "".join(
        line for line in dump(reference).splitlines(keepends=True) if not line.startswith(("created:", "file:"))
    )


def parsed(folder: Path, file: Path, **configuration: Any) -> dict[str, Any]:
    """The same, as another YAML reader has it."""
    value: dict[str, Any] = yaml.safe_load(text(folder, file, **configuration))
    return value


def numbers(records: list[Record], name: str) -> list[float]:
    return [float(r[name]) for r in records if r[name] is not None and math.isfinite(r[name])]


# --- recounts ---------------------------------------------------------------------------------------------------------


def bins_of(values: list[float], edges: list[float]) -> list[int]:
    counts = [0] * (len(edges) + 1)
    for x in values:
        if x > edges[-1]:
            counts[-1] += 1
        elif x == edges[-1]:
            counts[-2] += 1
        else:
            counts[sum(edge <= x for edge in edges)] += 1
    return counts


@pytest.mark.parametrize("name", ["@score", "amount", "visits", "message"])
def test_numbers_are_counted_and_summed_in_their_bins(name: str, tmp_path: Path) -> None:
    records = generate(SIZE)
    for record in records:
        record["@score"] = record["score"]
        record["message"] = None if record["message"] is None else len(record["message"])
    values = numbers(records, name)
    plain = [{key: value for key, value in r.items() if key != "@score"} for r in generate(SIZE)]
    feature = parsed(tmp_path, write_json_lines(tmp_path / "r.jsonl", plain))["features"][name]
    edges = feature["edges"]
    assert feature["records"] == bins_of(values, edges)
    assert feature["missing"] == sum(r[name] is None for r in records)
    assert feature["non_finite"] == sum(r[name] is not None and math.isinf(r[name]) for r in records)
    assert feature["invalid"] == 0
    for number, (low, high) in enumerate(itertools.pairwise(edges), 1):
        inside = [x for x in values if low <= x < high or x == high == edges[-1]]
        found = low * feature["records"][number] + feature["positions"][number] / 2**30 * (high - low)
        assert found == pytest.approx(sum(inside), rel=1e-7, abs=1e-7)
    column = pandas.Series(values)
    assert (feature["minimum"], feature["maximum"]) == (column.min(), column.max())
    assert feature["mean"] == pytest.approx(column.mean(), rel=1e-12)
    assert feature["standard_deviation"] == pytest.approx(column.std(ddof=0), rel=1e-12)


def test_edges_are_quantiles_of_the_numbers(tmp_path: Path) -> None:
    records = generate(SIZE)
    edges = parsed(tmp_path, write_csv(tmp_path / "r.csv", records))["features"]["amount"]["edges"]
    shares = [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1]
    assert edges == np.quantile(numbers(records, "amount"), shares, method="inverted_cdf").tolist()


def test_categories_are_counted_by_their_text_and_rare_ones_by_hash(tmp_path: Path) -> None:
    records = generate(SIZE)
    features = parsed(tmp_path, write_csv(tmp_path / "r.csv", records))["features"]
    countries = Counter(r["country"] for r in records if r["country"] is not None)
    assert dict(features["country"]["categories"]) == countries
    assert features["country"]["missing"] == sum(r["country"] is None for r in records)
    assert dict(features["member"]["categories"]) == {
        "false": sum(r["member"] is False for r in records),
        "true": sum(r["member"] is True for r in records),
    }
    assert dict(features["@prediction"]["categories"]) == Counter(str(r["prediction"]) for r in records)

    devices = Counter(r["device"] for r in records)
    named = dict(features["device"]["categories"])
    assert named == {name: count for name, count in devices.items() if count >= 20} and len(named) < 30
    assert features["device"]["new"] == sum(count == 1 for count in devices.values()) / SIZE > 0
    rest = {name: count for name, count in devices.items() if name not in named}
    assert rest and max(rest.values()) <= min(named.values())
    buckets = [0] * 16
    for name, count in rest.items():
        buckets[xxhash.xxh3_64_intdigest(name.encode()) % 16] += count
    assert features["device"]["buckets"] == buckets
    assert features["device"]["hashes"] == sorted(xxhash.xxh3_64_intdigest(name.encode()) for name in rest)


def test_scores_are_those_of_another_library_with_the_number_of_labels(tmp_path: Path) -> None:
    records = generate(SIZE)
    known = [r for r in records if r["label"] is not None]
    labels, scores = [r["label"] for r in known], [r["score"] for r in known]
    answers = [r["prediction"] for r in known]
    prepared = parsed(tmp_path, write_csv(tmp_path / "r.csv", records))
    found = prepared["scores"]
    assert found["accuracy"] == {"score": metrics.accuracy_score(labels, answers), "samples": len(known)}
    assert found["f1"]["score"] == pytest.approx(metrics.f1_score(labels, answers), rel=1e-12)
    assert found["brier"]["score"] == pytest.approx(metrics.brier_score_loss(labels, scores), rel=1e-9)
    assert dict(prepared["label"]["categories"]) == Counter(map(str, labels))
    assert prepared["records"] == SIZE


def test_a_model_of_numbers_has_bins_of_its_answers_and_labels(tmp_path: Path) -> None:
    rng = random.Random(2)
    records = [{"prediction": rng.gauss(50, 5), "label": rng.gauss(50, 6), "amount": 1.5} for _ in range(500)]
    file = write_csv(tmp_path / "r.csv", records)
    prepared = parsed(tmp_path, file, features={"amount": "numeric"}, task="regression")
    for name, feature in (("prediction", prepared["features"]["@prediction"]), ("label", prepared["label"])):
        assert feature["records"] == bins_of([r[name] for r in records], feature["edges"])
    error = sum(abs(r["prediction"] - r["label"]) for r in records) / len(records)
    assert prepared["scores"]["mae"]["score"] == pytest.approx(error, rel=1e-9)
    assert prepared["features"]["amount"]["edges"] == [1.5, 1.5]
    assert prepared["features"]["amount"]["varied"] == 0


def test_units_that_are_alike_in_a_feature_are_told_from_units_that_are_not(tmp_path: Path) -> None:
    rng = random.Random(4)
    records = []
    for unit in range(400):
        own = rng.choice(["de", "fr", "us"])
        records += [
            {"unit_id": unit, "country": own, "device": rng.choice("ab"), "score": 0.5, "prediction": 1}
            for _ in range(4)
        ]
    rng.shuffle(records)
    features = parsed(tmp_path, write_csv(tmp_path / "r.csv", records))["features"]
    assert features["country"]["icc"] == pytest.approx(1.0)
    assert features["device"]["icc"] < 0.1
    alone = [{name: value for name, value in record.items() if name != "unit_id"} for record in records]
    assert parsed(tmp_path, write_csv(tmp_path / "a.csv", alone))["features"]["country"]["icc"] == 0.0


def test_a_record_counts_as_often_as_it_says(tmp_path: Path) -> None:
    few = [{**record, "count": 1 + number % 3} for number, record in enumerate(generate(300))]
    many = [record for record in few for _ in range(record["count"])]
    many = [{name: value for name, value in record.items() if name != "count"} for record in many]
    one = parsed(tmp_path, write_csv(tmp_path / "few.csv", few))
    other = parsed(tmp_path, write_csv(tmp_path / "many.csv", many))
    assert one["records"] == other["records"] == len(many)
    for name, feature in one["features"].items():
        for key in {"edges", "records", "positions", "categories", "buckets", "missing"} & feature.keys():
            assert feature[key] == other["features"][name][key], (name, key)


# --- formats ----------------------------------------------------------------------------------------------------------


def test_every_format_and_layout_of_the_same_records_gives_the_same_text(tmp_path: Path) -> None:
    records = generate(SIZE)
    wanted = text(tmp_path, write_json_lines(tmp_path / "nested.jsonl", records))
    dotted = {name: f"features.{name}" for name in FEATURES}
    others = [
        write_json_lines(tmp_path / "flat.jsonl", records, nested=False),
        write_csv(tmp_path / "r.csv", records),
        write_csv(tmp_path / "words.csv", records, missing="NaN"),
        write_csv(tmp_path / "more.csv", records, missing="null"),
        write_csv(tmp_path / "dotted.csv", records, columns=dotted),
        write_parquet(tmp_path / "r.parquet", records),
        write_parquet(tmp_path / "nested.parquet", records, nested=True),
    ]
    for name in ("r.csv", "nested.jsonl"):
        others.append(tmp_path / f"{name}.gz")
        others[-1].write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for file in others:
        assert text(tmp_path, file) == wanted, file.name


def test_what_pandas_writes_is_read_as_it_was_meant(tmp_path: Path) -> None:
    records = [
        {**r, "amount": r["amount"] if r["amount"] not in (math.inf, -math.inf) else None} for r in generate(SIZE)
    ]
    wanted = text(tmp_path, write_json_lines(tmp_path / "r.jsonl", records))
    frame = pandas.DataFrame(records)
    assert frame["label"].dtype == np.float64  # so that its labels are written as 1.0
    frame.to_csv(tmp_path / "frame.csv", index=False)
    frame.to_parquet(tmp_path / "frame.parquet")
    frame.to_json(tmp_path / "frame.jsonl", orient="records", lines=True, double_precision=15)
    assert text(tmp_path, tmp_path / "frame.csv") == wanted
    assert text(tmp_path, tmp_path / "frame.parquet") == wanted
    assert parsed(tmp_path, tmp_path / "frame.jsonl")["scores"].keys() == yaml.safe_load(wanted)["scores"].keys()


def test_the_same_file_gives_the_same_text_every_time(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "r.csv", generate(500))
    assert text(tmp_path, file) == text(tmp_path, file)


def test_no_record_can_be_read_back_from_a_reference(tmp_path: Path) -> None:
    records = generate(200)
    prepared = text(tmp_path, write_csv(tmp_path / "r.csv", records))
    assert not any(record["unit_id"] in prepared.split('"') for record in records)
    assert "hello" not in prepared and "good morning" not in prepared


# --- size -------------------------------------------------------------------------------------------------------------


def test_beyond_the_bound_edges_come_from_a_sample_and_counts_from_every_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = generate(14_000)
    file = write_csv(tmp_path / "r.csv", records)
    whole = parsed(tmp_path, file)
    monkeypatch.setattr(building, "RowSample", functools.partial(RowSample, most_rows=6_000, sampled=3_000))
    sampled = parsed(tmp_path, file)
    assert sampled == parsed(tmp_path, file)
    assert sampled["scores"] == whole["scores"] and sampled["records"] == whole["records"] == len(records)
    values = sorted(numbers(records, "amount"))
    edges = sampled["features"]["amount"]["edges"]
    assert edges != whole["features"]["amount"]["edges"]
    assert (edges[0], edges[-1]) == (values[0], values[-1])
    assert sampled["features"]["amount"]["records"] == bins_of(values, edges)
    median = np.searchsorted(values, edges[7]) / len(values)
    assert median == pytest.approx(0.5, abs=0.03)
    assert dict(sampled["features"]["country"]["categories"]) == dict(whole["features"]["country"]["categories"])
    assert dict(sampled["label"]["categories"]) == dict(whole["label"]["categories"])


def test_rare_numbers_beside_a_common_one_have_bins_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "RowSample", functools.partial(RowSample, most_rows=1_000, sampled=100))
    records = [{"prediction": 1, "amount": {700: -5, 900: 9}.get(number, 3)} for number in range(2_000)]
    amount = parsed(tmp_path, write_csv(tmp_path / "r.csv", records))["features"]["amount"]
    assert (amount["edges"][0], amount["edges"][-1]) == (-5.0, 9.0)
    assert amount["records"] == [0, 1, 1_998, 1, 0]


def test_a_sample_keeps_enough_rows_and_does_not_depend_on_how_they_come(tmp_path: Path) -> None:
    model, settings = configured(tmp_path)
    records = write_csv(tmp_path / "r.csv", generate(2_000))
    source = RecordSource(records, model, settings)
    columns = next(iter(source.read())).predictions
    assert columns is not None
    rows = RowMaker(model).predictions(columns)
    kept = []
    for step in (2_000, 300, 7):
        sample = RowSample(most_rows=1_000, sampled=400)
        for start in range(0, len(rows), step):
            sample.add(rows.take(np.arange(start, min(start + step, len(rows)))), None)
        kept.append(np.concatenate([some.score for some in sample.rows]))
        assert 100 <= len(kept[-1]) <= 400 and not sample.whole
    assert np.array_equal(kept[0], kept[1]) and np.array_equal(kept[0], kept[2])


# --- hostile and incomplete records -----------------------------------------------------------------------------------


def test_values_of_a_wrong_type_are_counted_as_such(tmp_path: Path) -> None:
    lines = [
        {"prediction": 1, "features": {"amount": "12", "country": ["de"], "member": "maybe", "message": 5}},
        {"prediction": 1, "features": {"amount": True, "country": {}, "member": 7, "message": None}},
        {"prediction": 0, "features": {"amount": 3, "country": "de", "member": 1, "message": "hey"}},
        {"prediction": 0, "features": {"amount": 1e300, "country": 1.0, "member": "true", "message": ""}},
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"prediction": 1, "features": {"amount": NaN}}\n')
    features = parsed(tmp_path, path)["features"]
    assert (features["amount"]["invalid"], features["amount"]["non_finite"]) == (2, 1)
    assert features["country"]["invalid"] == 2
    assert dict(features["country"]["categories"]) == {"1": 1, "de": 1}
    assert features["member"]["invalid"] == 2 and dict(features["member"]["categories"])["true"] == 2
    assert (features["message"]["invalid"], features["message"]["missing"]) == (1, 2)


def test_cells_that_are_no_numbers_are_invalid_and_the_words_for_nothing_are_missing(tmp_path: Path) -> None:
    cells = ["1", " 2 ", "3e0", "", "NA", "nan", "NULL", "inf", "-Infinity", "1_000", "١", "0x10", "true", "1e999"]
    path = tmp_path / "r.csv"
    path.write_text("prediction,amount\n" + "".join(f"1,{cell}\n" for cell in cells), encoding="utf-8")
    amount = parsed(tmp_path, path)["features"]["amount"]
    assert (amount["minimum"], amount["maximum"], sum(amount["records"])) == (1.0, 3.0, 3)
    assert (amount["missing"], amount["non_finite"], amount["invalid"]) == (4, 3, 4)


def test_hostile_categories_survive_the_text(tmp_path: Path) -> None:
    words = ["null", "true", "1e3", "~", '"', "a: b", "- c", "# d", "\u2028", "\x7f", "tab\there", "é", "🦀", "[", "\\"]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps({"prediction": 1, "features": {"country": word}}) + "\n" for word in words))
    found = parsed(tmp_path, path)["features"]["country"]["categories"]
    assert dict(found) == dict.fromkeys(words, 1)


def test_lines_that_are_no_records_are_counted_by_reason(tmp_path: Path) -> None:
    good = {"prediction": 1, "label": 1, "features": {"amount": 2.5}}
    lines = [
        json.dumps(good),
        "{",
        "[1]",
        "",
        json.dumps({**good, "prediction": [1]}),
        json.dumps({**good, "prediction": None}),
        json.dumps({**good, "model": "other"}),
        json.dumps({**good, "role": "shadow"}),
        json.dumps({**good, "label": [3], "model": "fraud"}),
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(lines) + "\n")
    reference = build(*configured(tmp_path), path, Scoring)
    assert reference.records == 2
    assert reference.rejected == {
        "invalid_json": 1,
        "not_an_object": 1,
        "invalid_prediction": 1,
        "missing_prediction": 1,
        "other_model": 1,
        "shadow": 1,
    }
    assert any("labels that could not be used: invalid_label 1" in note for note in reference.notes)


def test_rows_of_csv_with_cells_too_many_or_too_few_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('prediction,country\n1,de\n1\n\n0,fr,x\n1,"a\nb"\n')
    reference = build(*configured(tmp_path), path, Scoring)
    assert reference.records == 2 and reference.rejected == {"wrong_number_of_cells": 2}
    assert reference.schema.features[1] == CategoricalBins("country", ("a\nb", "de"), new=1.0)


def test_data_without_answers_give_features_and_labels_and_no_scores(tmp_path: Path) -> None:
    records = [{"amount": r["amount"], "country": r["country"], "label": int(r["score"] > 0.3)} for r in generate(300)]
    prepared = parsed(tmp_path, write_csv(tmp_path / "r.csv", records))
    assert set(prepared["features"]) == {"amount", "country"}
    assert prepared["records"] == 300 and prepared["scores"] == {}
    assert dict(prepared["label"]["categories"]) == Counter(str(r["label"]) for r in records)


def test_features_that_are_absent_or_not_configured_are_told_of(tmp_path: Path) -> None:
    records = [{**r, "colour": "red", "latency_ms": 5} for r in generate(50)]
    for record in records:
        del record["country"]
    reference = build(*configured(tmp_path), write_csv(tmp_path / "r.csv", records), Scoring)
    assert "country" not in reference.schema.names
    assert [note for note in reference.notes if '"country"' in note]
    assert reference.notes[-1] == 'features of r.csv that are not configured: "colour"'


def test_a_column_named_like_a_feature_is_the_feature(tmp_path: Path) -> None:
    """A person's weight is no statistical weight, and a count of children no count of records."""
    path = tmp_path / "r.csv"
    path.write_text("prediction,weight,count\n1,70,2\n0,0,0\n")
    prepared = parsed(tmp_path, path, features={"weight": "numeric", "count": "numeric"})
    assert prepared["records"] == 2
    assert prepared["features"]["weight"]["maximum"] == 70.0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.csv", b"", "r.csv: found no header"),
        ("r.csv", b"prediction,a,a\n", "r.csv:1: found the column 'a' 2 times"),
        ("r.csv", b"prediction;score\n1;0.5\n", "r.csv:1: found one column"),
        ("r.csv", b"prediction\n1\n\xff\n", "r.csv:3: found bytes that are not UTF-8"),
        ("r.csv", b"prediction\n" + b"x" * 200_000, "r.csv:2: found field larger than field limit"),
        ("r.csv", b"prediction,label\n,1\n", "no record that model fraud could have made"),
        ("r.csv", b"model,prediction\ngolf,1\n", "not used: other_model 1"),
        ("r.parquet", b"PAR1 no", "r.parquet: found what is no Parquet"),
        ("r.jsonl", b"", "no record that model fraud could have made"),
        ("r.csv.gz", b"no gzip", "r.csv.gz: found what is no gzip"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:
        build(*configured(tmp_path), path, Scoring)
    assert said in str(refused.value) and str(path) in str(refused.value)
