"""The JSON Schema of the configuration: valid, no stricter than `tidegauge check`, and strict where it can know."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tidegauge.config.load import ConfigurationError, load
from tidegauge.config.metrics import METRICS, REPORTED, SCORED, comparable_names, metric_names
from tidegauge.config.rules import TASKS_OF_ORIGIN
from tidegauge.config.schema import FEEDBACK_FIELDS, PREDICTION_FIELDS
from tidegauge.config.settings import DRIFT_REFERENCES, DRIFT_STATISTICS, FEATURE_KINDS, KINDS, TASKS, WORDY
from tidegauge.config.yaml_lines import read_nodes, scalar

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "tidegauge.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

BASE = """\
sources:
  - predictions: p.jsonl
  - feedback: f.jsonl
    channel: outcome
models:
  - name: fraud
    task: binary
    feedback:
      outcome:
        kind: complete
        maturity: 1h
"""


def plain(node: yaml.Node) -> Any:
    """What an editor's YAML parser makes of a node: JSON by YAML's core schema."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)
    return scalar(node)


def accepted(file: Path) -> bool:
    """Whether the schema accepts a file."""
    root = read_nodes(file)
    assert isinstance(root, yaml.Node), root
    return bool(VALIDATOR.is_valid(plain(root)))


def loads(file: Path) -> bool:
    try:
        load(file)
    except ConfigurationError:
        return False
    return True


def test_it_is_a_valid_schema_of_the_draft_that_editors_know() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_every_key_has_a_description() -> None:
    def keys(node: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict):
            for name, inner in node.get("properties", {}).items():
                yield name, inner
            for name, inner in node.items():
                if name not in ("allOf", "if", "then"):
                    yield from keys(inner)

    found = [(name, inner) for name, inner in keys(SCHEMA) if name not in PREDICTION_FIELDS + FEEDBACK_FIELDS]
    assert len(found) > 50
    for name, inner in found:
        assert inner.get("description"), name


def configurations() -> dict[str, str]:
    """Every configuration of the repository: files, and blocks of documentation."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True).stdout.split()
    names = listed or [str(path.relative_to(ROOT)) for path in ROOT.glob("[de]*/**/*")]
    found: dict[str, str] = {}
    for name in {*names, "README.md"}:
        path = ROOT / name
        if name.startswith("tests/corpus/"):
            continue  # of what must be refused
        if not path.is_file() or path.suffix not in (".yml", ".yaml", ".md"):
            continue
        text = path.read_text(encoding="utf-8")
        blocks = [text] if path.suffix != ".md" else re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)
        for number, block in enumerate(blocks):
            if re.search(r"^models:", block, re.M) and re.search(r"^sources:", block, re.M):
                found[f"{name}-{number}"] = block
    return found


CONFIGURATIONS = configurations()


def test_the_repository_has_configurations() -> None:
    assert len(CONFIGURATIONS) >= 4


@pytest.mark.parametrize("name", sorted(CONFIGURATIONS))
def test_every_configuration_of_the_repository_is_accepted_by_both(name: str, tmp_path: Path) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_text(CONFIGURATIONS[name])
    for reference in re.findall(r"^ +reference: (\S+)", CONFIGURATIONS[name], re.M):
        (tmp_path / reference).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / reference).touch()
    assert loads(file)
    assert accepted(file)


# --- what check refuses for reasons that a schema can know ------------------------------------------------------------

MODEL = "    task: binary\n"
SOURCE = "  - predictions: p.jsonl\n"
BROKEN = {
    "no models": ("models:\n", "model:\n"),
    "an unknown key at the top": ("sources:", "stat: x\nsources:"),
    "an unknown key of a source": (SOURCE, f"{SOURCE}    glob: x\n"),
    "an unknown key of a model": (MODEL, f"{MODEL}    window: [1h]\n"),
    "an unknown key of a channel": ("        kind:", "        knd:"),
    "an unknown task": ("binary", "binry"),
    "an unknown kind": ("kind: complete", "kind: whole"),
    "an unknown clock": ("sources:", "clock: sun\nsources:"),
    "no name": ("  - name: fraud\n    task", "  - task"),
    "no task": (MODEL, ""),
    "no maturity": ("        maturity: 1h\n", ""),
    "no channel": ("      outcome:\n        kind: complete\n        maturity: 1h\n", "      {}\n"),
    "both kinds of a source": (SOURCE, f"{SOURCE}    feedback: g.jsonl\n"),
    "neither kind of a source": ("- predictions: p.jsonl\n", "- model: fraud\n"),
    "no source of predictions": ("predictions: p.jsonl", "feedback: p.jsonl"),
    "no source": ("  - predictions: p.jsonl\n  - feedback: f.jsonl\n    channel: outcome\n", "  []\n"),
    "a source that is text": (SOURCE, "  - p.jsonl\n"),
    "sources as a mapping": ("  - predictions: p.jsonl\n  - feedback: f.jsonl\n    channel: outcome\n", "  a: b\n"),
    "a duration of nothing": ("maturity: 1h", 'maturity: ""'),
    "a duration in words": ("maturity: 1h", "maturity: an hour"),
    "a duration with a fraction": ("maturity: 1h", "maturity: 1.5h"),
    "a duration as a fraction": ("maturity: 1h", "maturity: 1.5"),
    "a duration of another unit": ("maturity: 1h", "maturity: 1w"),
    "a duration in the wrong order": ("maturity: 1h", "maturity: 5m1h"),
    "a negative duration": ("maturity: 1h", "maturity: -5"),
    "a duration of too many seconds": ("maturity: 1h", "maturity: 99999999999"),
    "a window of too few seconds": (MODEL, f"{MODEL}    windows: [10]\n"),
    "no windows": (MODEL, f"{MODEL}    windows: []\n"),
    "the same window twice": (MODEL, f"{MODEL}    windows: [1h, 1h]\n"),
    "one window without brackets": (MODEL, f"{MODEL}    windows: 1h\n"),
    "an empty value": (MODEL, f"{MODEL}    slices:\n"),
    "a name that is a boolean": ("name: fraud", "name: true"),
    "an empty name": ("name: fraud", 'name: ""'),
    "a name that is too long": ("name: fraud", f"name: {'x' * 257}"),
    "a threshold beyond 1": (MODEL, f"{MODEL}    threshold: 1.5\n"),
    "a threshold that is text": (MODEL, f"{MODEL}    threshold: half\n"),
    "a whole number that is none": (MODEL, f"{MODEL}    max_series: 1000.5\n"),
    "a whole number that is too large": (MODEL, f"{MODEL}    max_versions: 251\n"),
    "a whole number that is too small": (MODEL, f"{MODEL}    max_series: 99\n"),
    "a whole number that is true": (MODEL, f"{MODEL}    minimum_samples: true\n"),
    "a feature of an unknown type": (MODEL, f"{MODEL}    features: {{a: text}}\n"),
    "a feature of an unknown type that says more": (MODEL, f"{MODEL}    features: {{a: {{type: text}}}}\n"),
    "a feature without a type": (MODEL, f"{MODEL}    features: {{a: {{importance: 1}}}}\n"),
    "a feature of negative importance": (MODEL, f"{MODEL}    features: {{a: {{type: numeric, importance: -1}}}}\n"),
    "an unknown key of a feature": (MODEL, f"{MODEL}    features: {{a: {{type: numeric, weight: 1}}}}\n"),
    "a feature with a reserved name": (MODEL, f"{MODEL}    features: {{'@score': numeric}}\n"),
    "a feature without a name": (MODEL, f"{MODEL}    features: {{'': numeric}}\n"),
    "an unknown key of drift": (MODEL, f"{MODEL}    drift: {{threshold: 0.1}}\n"),
    "an unknown statistic": (MODEL, f"{MODEL}    drift: {{statistics: [kl]}}\n"),
    "the same statistic twice": (MODEL, f"{MODEL}    drift: {{statistics: [psi, psi]}}\n"),
    "no statistic": (MODEL, f"{MODEL}    drift: {{statistics: []}}\n"),
    "an unknown reference": (MODEL, f"{MODEL}    drift: {{references: [production]}}\n"),
    "a minimum effect of nothing": (MODEL, f"{MODEL}    drift: {{minimum_effect: 0}}\n"),
    "too large a minimum effect": (MODEL, f"{MODEL}    drift: {{minimum_effect: 10.5}}\n"),
    "bins of too few predictions": (MODEL, f"{MODEL}    drift: {{learning: 99}}\n"),
    "bins of too many predictions": (MODEL, f"{MODEL}    drift: {{learning: 100001}}\n"),
    "multivariate as text": (MODEL, f"{MODEL}    drift: {{multivariate: 'yes'}}\n"),
    "multivariate as a number": (MODEL, f"{MODEL}    drift: {{multivariate: 1}}\n"),
    "no windows of drift": (MODEL, f"{MODEL}    drift: {{windows: []}}\n"),
    "a past of less than a week": (MODEL, f"{MODEL}    drift: {{trailing: 3600}}\n"),
    "features as a list": (MODEL, f"{MODEL}    features: [a]\n"),
    "a slice that is a mapping": (MODEL, f"{MODEL}    slices: [{{a: b}}]\n"),
    "an objective on nothing known": (MODEL, f"{MODEL}    objectives: {{acuracy: 0.9}}\n"),
    "an objective of another task": (MODEL, f"{MODEL}    objectives: {{mae: 3}}\n"),
    "an objective in percent": (MODEL, f"{MODEL}    objectives: {{accuracy: 95}}\n"),
    "a target in percent": (MODEL, f"{MODEL}    objectives: {{accuracy: {{target: 95}}}}\n"),
    "an objective without target": (MODEL, f"{MODEL}    objectives: {{accuracy: {{direction: at_least}}}}\n"),
    "an objective of unknown direction": (
        MODEL,
        f"{MODEL}    objectives: {{accuracy: {{target: 0.9, direction: up}}}}\n",
    ),
    "an objective that no channel supports": (MODEL, f"{MODEL}    objectives: {{response_rate: 0.1}}\n"),
    "a margin on nothing known": (MODEL, f"{MODEL}    release: {{margins: {{acuracy: 0.1}}}}\n"),
    "a margin below nothing": (MODEL, f"{MODEL}    release: {{margins: {{accuracy: -0.1}}}}\n"),
    "a margin that is all there is": (MODEL, f"{MODEL}    release: {{margins: {{accuracy: 1}}}}\n"),
    "an unknown key of release": (MODEL, f"{MODEL}    release: {{margin: {{accuracy: 0.1}}}}\n"),
    "classes of a binary model": (MODEL, f"{MODEL}    classes: [a, b]\n"),
    "a positive label of a regression": (MODEL, "    task: regression\n    positive_label: x\n"),
    "silence as a label of voluntary feedback": ("kind: complete", "kind: voluntary\n        no_feedback: x"),
    "silence as text for a regression": (
        "    task: binary\n    feedback:\n      outcome:\n",
        "    task: regression\n    feedback:\n      outcome:\n        no_feedback: none\n",
    ),
    "silence as a label of texts": (
        "    task: binary\n    feedback:\n      outcome:\n",
        "    task: text\n    feedback:\n      outcome:\n        no_feedback: none\n",
    ),
    "a signal of an unknown type": (MODEL, f"{MODEL}    signals: {{clicked: bool}}\n"),
    "a signal without a type": (MODEL, f"{MODEL}    signals: {{clicked: {{maturity: 1h}}}}\n"),
    "a signal of unknown origin": (MODEL, f"{MODEL}    signals: {{sure: {{from: certainty}}}}\n"),
    "a signal that the task does not have": (MODEL, f"{MODEL}    signals: {{long: {{from: answer_length}}}}\n"),
    "a signal of another type than it gives": (
        MODEL,
        f"{MODEL}    signals: {{sure: {{from: confidence, type: boolean}}}}\n",
    ),
    "a maturity of what comes with the prediction": (
        MODEL,
        f"{MODEL}    signals: {{sure: {{from: confidence, maturity: 1h}}}}\n",
    ),
    "abstention from nothing": (MODEL, f"{MODEL}    signals: {{none: {{from: abstention}}}}\n"),
    "disagreement with nothing": (MODEL, f"{MODEL}    signals: {{rule: {{from: disagreement}}}}\n"),
    "items of a binary model": (MODEL, f"{MODEL}    k: 5\n"),
    "normalisation of a binary model": (MODEL, f"{MODEL}    normalize: [lowercase]\n"),
    "a version of feedback": ("    channel: outcome\n", "    channel: outcome\n    version: v1\n"),
    "a channel of predictions": (SOURCE, f"{SOURCE}    channel: outcome\n"),
    "the star as a source's model": (SOURCE, f'{SOURCE}    model: "*"\n'),
    "an unknown field": (SOURCE, f"{SOURCE}    fields: {{id: x}}\n"),
    "a field of feedback in predictions": (SOURCE, f"{SOURCE}    fields: {{label: x}}\n"),
    "a field of predictions in feedback": ("    channel: outcome\n", "    fields: {score: x}\n"),
    "a path with an empty part": (SOURCE, f"{SOURCE}    fields: {{score: a..b}}\n"),
    "a pattern without groups": (SOURCE, f"{SOURCE}    path_pattern: v[0-9]+\n"),
    "a pattern with a group for the other kind": (SOURCE, f"{SOURCE}    path_pattern: (?P<channel>v[0-9]+)\n"),
    "a time zone in words": (SOURCE, f"{SOURCE}    timezone: Berlin time\n"),
    "rotated files as text": (SOURCE, f"{SOURCE}    rotated: old/*\n"),
    "too long a line": ("sources:", "max_line_bytes: 99999999\nsources:"),
    "no poll": ("sources:", "poll_interval: 0\nsources:"),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_what_check_refuses_the_schema_refuses(mistake: str, tmp_path: Path) -> None:
    old, new = BROKEN[mistake]
    assert old in BASE
    file = tmp_path / "tidegauge.yml"
    file.write_text(BASE.replace(old, new, 1))
    assert not loads(file), "check accepts this"
    assert not accepted(file), "the schema accepts this"


def test_the_base_of_the_mistakes_has_none(tmp_path: Path) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_text(BASE)
    assert loads(file) and accepted(file)


# --- what check accepts the schema accepts ----------------------------------------------------------------------------

word = st.text("abcXYZ019_-. äß", min_size=1, max_size=12).map(str.strip).filter(bool)
names = st.one_of(word, st.sampled_from(["1.10", "007", "yes", "v1", "null-ish", "*", "a: b", "#x", "é"]))
durations = st.one_of(
    st.integers(60, 86_400),
    st.sampled_from(["90s", "5m", "1h30m", "24h", "7d", "1d2h3m4s", "60m", "3600", "120s500ms", "1h5m"]),
)
labels = st.one_of(word, st.integers(-5, 5), st.booleans(), st.sampled_from([0.5, "1.0", "true", "yes"]))


@st.composite
def channels(draw: st.DrawFn, task: str) -> dict[str, Any]:
    kind = draw(st.sampled_from([None, *KINDS]))
    channel: dict[str, Any] = {"maturity": draw(durations)}
    if kind:
        channel["kind"] = kind
    if kind in (None, "complete") and task not in WORDY and draw(st.booleans()):
        channel["no_feedback"] = draw(st.sampled_from([0, 1.5, "2", "missing"]) if task == "regression" else labels)
    return channel


def signals(task: str) -> st.SearchStrategy[Any]:
    origins: dict[str, dict[str, Any]] = {
        "confidence": {"from": "confidence"},
        "entropy": {"from": "entropy", "type": "numeric"},
        "abstention": {"from": "abstention", "labels": ["none"]},
        "answer_length": {"from": "answer_length"},
        "disagreement": {"from": "disagreement", "field": "rule.answer"},
    }
    fitting = [one for name, one in origins.items() if task in TASKS_OF_ORIGIN.get(name, TASKS)]
    told: list[Any] = [
        "boolean",
        "numeric",
        {"type": "boolean"},
        {"type": "numeric", "maturity": "1h", "no_feedback": 0},
    ]
    told.append({"type": "boolean", "maturity": 60, "no_feedback": False, "from": "feedback"})
    return st.sampled_from(told + fitting)


features = st.one_of(
    st.sampled_from(FEATURE_KINDS),
    st.fixed_dictionaries({"type": st.sampled_from(FEATURE_KINDS)}, optional={"importance": st.floats(0, 1e6)}),
)
drifts = st.fixed_dictionaries(
    {},
    optional={
        "statistics": st.lists(st.sampled_from(DRIFT_STATISTICS), min_size=1, unique=True),
        "references": st.lists(st.sampled_from(DRIFT_REFERENCES), min_size=2, unique=True),
        "minimum_effect": st.floats(0.001, 10),
        "false_alarm_interval": st.sampled_from(["30d", "365d"]),
        "learning": st.integers(100, 5_000),
        "first": st.integers(5_000, 1_000_000),
        "trailing": st.sampled_from(["7d", "28d", 7 * 86_400, "56d", "168h"]),
        "multivariate": st.booleans(),
    },
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    task = draw(st.sampled_from(TASKS))
    feedback = draw(st.dictionaries(names, channels(task), min_size=1, max_size=3))
    model: dict[str, Any] = {"name": draw(names), "task": task, "feedback": feedback}
    kinds = tuple({channel.get("kind", "complete") for channel in feedback.values()})
    optional: dict[str, st.SearchStrategy[Any]] = {
        "owner": names,
        "features": st.dictionaries(names, features, max_size=3),
        "drift": drifts,
        "slices": st.lists(word, unique=True, max_size=3),
        "windows": st.lists(st.sampled_from(["1h", "24h", "7d", 60, "5m", "90d"]), unique=True, min_size=1, max_size=3),
        "objectives": st.dictionaries(st.sampled_from(metric_names(task, kinds)), st.floats(0, 0.9), max_size=3),
        "release": st.fixed_dictionaries(
            {
                "margins": st.dictionaries(
                    st.sampled_from(comparable_names(task, kinds)), st.floats(0, 0.5), max_size=2
                ),
                "alpha": st.floats(0.001, 0.5),
                "duration": st.sampled_from(["1h", "14d"]),
            }
        ),
        "signals": st.dictionaries(names.filter(lambda name: name not in feedback), signals(task), max_size=3),
        "horizon": st.just("365d"),
        "grace": st.sampled_from([0, "5m", "1h"]),
        "block": st.sampled_from(["5m", 60, "1h", "60m"]),
        "max_pending": st.integers(1, 1000),
        "max_versions": st.integers(1, 250),
        "max_series": st.integers(100, 10_000),
        "minimum_samples": st.integers(1, 100),
        "version_expiry": durations,
    }
    if task == "binary":
        optional |= {"positive_label": labels, "threshold": st.floats(0, 1)}
    if task == "multiclass":
        optional |= {"classes": st.lists(word, unique=True, max_size=4), "max_classes": st.integers(4, 200)}
    if task == "ranking":
        optional["k"] = st.integers(1, 1000)
    if task == "text":
        optional["normalize"] = st.lists(st.sampled_from(["lowercase", "remove_punctuation"]), unique=True)
    chosen = draw(st.sets(st.sampled_from(sorted(optional))))
    return {**model, **{name: draw(optional[name]) for name in sorted(chosen)}}


@st.composite
def whole(draw: st.DrawFn) -> dict[str, Any]:
    described = draw(st.lists(models(), min_size=1, max_size=2, unique_by=lambda model: str(model["name"])))
    source: dict[str, Any] = {"predictions": draw(word)}
    if draw(st.booleans()):
        source["fields"] = draw(
            st.dictionaries(
                st.sampled_from(["prediction_id", "version", "error"]), st.sampled_from(["a.b", "a.c", "d"])
            )
        )
    if draw(st.booleans()):
        source["timezone"] = draw(st.sampled_from(["UTC", "Europe/Berlin", "Etc/GMT+5"]))
    if draw(st.booleans()):
        source["version"] = draw(names)
    if draw(st.booleans()):
        source["path_pattern"] = draw(st.sampled_from([r"(?P<version>v\d+)", r"/(?P<model>[^/]+)/(?P<version>[^/]+)$"]))
    top: dict[str, Any] = {"sources": [source], "models": described}
    if draw(st.booleans()):
        top |= {"clock": draw(st.sampled_from(["wall", "log"])), "poll_interval": draw(st.sampled_from(["10ms", 1]))}
    return top


@settings(max_examples=60)
@given(configuration=whole())
def test_what_check_accepts_the_schema_accepts(
    configuration: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "generated.yml"
    file.write_text(yaml.safe_dump(configuration, allow_unicode=True), encoding="utf-8")
    assume(loads(file))  # hypothesis complains by itself if hardly any does
    assert [error.message for error in VALIDATOR.iter_errors(plain(_nodes(file)))] == []


def _nodes(file: Path) -> yaml.Node:
    root = read_nodes(file)
    assert isinstance(root, yaml.Node)
    return root


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_that_a_model_can_have_is_accepted(task: str, tmp_path: Path) -> None:
    for kinds, kind in ((SCORED, "complete"), (SCORED, "sample"), (REPORTED, "mistakes"), (REPORTED, "voluntary")):
        for metric in METRICS:
            if task not in metric.tasks or not set(metric.kinds) & set(kinds):
                continue
            for target in (max(metric.low, -10.0), min(metric.high, 10.0)):
                text = BASE.replace("binary", task).replace("complete", kind)
                file = tmp_path / "tidegauge.yml"
                file.write_text(f"{text}    objectives: {{{metric.name}: {target}}}\n")
                assert loads(file), (metric.name, target)
                assert accepted(file), (metric.name, target)
