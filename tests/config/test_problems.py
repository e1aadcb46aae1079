"""What a refused configuration says: everything at once, each with path, line, what was found and what is allowed."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.config.load import load
from tidegauge.config.problems import ConfigurationError, Problem

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
    windows: [1h, 24h]
"""


def problems_of(directory: Path, text: str | bytes) -> tuple[Problem, ...]:
    file = os.fspath(directory / "tidegauge.yml")
    with open(file, "wb") as output:  # noqa: PTH123 - a test replaces Path.open
        output.write(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError) as caught:
        load(Path(file))
    return caught.value.problems


def only(directory: Path, text: str | bytes) -> Problem:
    """The problem, which must be the only one, and must render on one line."""
    problems = problems_of(directory, text)
    assert len(problems) == 1, "\n".join(map(str, problems))
    assert "\n" not in str(problems[0])
    return problems[0]


def test_a_problem_reads_as_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tidegauge.yml").write_text(BASE.replace("binary", "binry"))
    with pytest.raises(ConfigurationError) as caught:
        load(Path("tidegauge.yml"))
    assert str(caught.value) == (
        'tidegauge.yml:7: models[0].task: found "binry"; allowed: binary, multiclass, regression, ranking, text'
        ' (did you mean "binary"?)'
    )


def test_all_problems_come_at_once_in_the_files_order(tmp_path: Path) -> None:
    text = """\
state: [here]
colour: red
sources:
  - predictions: p.jsonl
    timezone: Europe/Berlim
  - feedback: f.jsonl
    channel: outcom
models:
  - name: fraud
    task: binary
    taks: binary
    feedback:
      outcome:
        kind: complte
        maturity: soon
    windows: [1h, 60m, 0s]
    objectives:
      acuracy: 0.9
      f1: 90
  - name: fraud
    task: rankin
max_models: many
"""
    found = [(problem.path, problem.line) for problem in problems_of(tmp_path, text)]
    assert found == [
        ("state", 1),
        ("colour", 2),
        ("sources[0].timezone", 5),
        ("models[0].taks", 11),
        ("models[0].feedback.outcome.kind", 14),
        ("models[0].feedback.outcome.maturity", 15),
        ("models[0].windows[1]", 16),
        ("models[0].windows[2]", 16),
        ("models[0].objectives.acuracy", 18),
        ("models[0].objectives.f1", 19),
        ("models[1].name", 20),
        ("models[1].feedback", 20),
        ("models[1].task", 21),
        ("max_models", 22),
    ]


# Each case: what is replaced in BASE, by what; the place, text on the line that must be named, parts of found, allowed
# and hint.
CASES = [
    pytest.param(*case, id=case[2] + " " + case[3])
    for case in [
        # Shape.
        (
            "task: binary",
            "taks: binary\n    task: binary",
            "models[0].taks",
            "taks:",
            "an unknown key",
            "task",
            '"task"',
        ),
        ("    task: binary\n", "", "models[0].task", "name: fraud", "nothing", "binary, multiclass", ""),
        (
            "        maturity: 1h\n",
            "",
            "models[0].feedback.outcome.maturity",
            "outcome:\n",
            "nothing",
            "(required)",
            "",
        ),
        ("name: fraud", "name:", "models[0].name", "name:", "nothing", "a name", ""),
        ("name: fraud", "name: [a]", "models[0].name", "name:", "a list", "a name", ""),
        ("name: fraud", "name: true", "models[0].name", "name:", "true", "a name", 'quote it to mean the text: "true"'),
        ("name: fraud", "name: ''", "models[0].name", "name:", '""', "1 to 256 characters", ""),
        ("name: fraud", 'name: "a\\nb"', "models[0].name", "name:", '"a\\nb"', "on one line", ""),
        ("name: fraud", "name: !secret x", "models[0].name", "name:", 'the tag "!secret"', "a name", ""),
        ("windows: [1h, 24h]", "windows: 1h", "models[0].windows", "windows", '"1h"', "a list of", 'write ["1h"]'),
        ("windows: [1h, 24h]", "windows: []", "models[0].windows", "windows", "an empty list", "at least 1", ""),
        ("windows: [1h, 24h]", "slices: {a: b}", "models[0].slices", "slices", "a mapping", "a list of names", ""),
        ("windows: [1h, 24h]", "slices: [a, b, a]", "models[0].slices[2]", "slices", '"a" a second time', "once", ""),
        (
            "windows: [1h, 24h]",
            "features: [a]",
            "models[0].features",
            "features",
            "a list",
            "a type, or to a feature",
            "",
        ),
        ("windows: [1h, 24h]", "features: {a: text}", "models[0].features.a", "features", '"text"', "numeric, cat", ""),
        ("windows: [1h, 24h]", "features: {a.b: 1}", 'models[0].features["a.b"]', "features", "1", "numeric", ""),
        (
            "windows: [1h, 24h]",
            "features: {'': numeric}",
            'models[0].features[""]',
            "features",
            'the name ""',
            "1 to",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "features: {[a]: numeric}",
            "models[0].features",
            "features",
            "a list as a key",
            "text",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "max_series: 1.5",
            "models[0].max_series",
            "max_series",
            "1.5",
            "a whole number from",
            "",
        ),
        ("windows: [1h, 24h]", "max_series: true", "models[0].max_series", "max_series", "true", "a whole number", ""),
        ("windows: [1h, 24h]", "max_series: '5'", "models[0].max_series", "max_series", '"5"', "a whole number", ""),
        ("windows: [1h, 24h]", "max_pending: 0", "models[0].max_pending", "max_pending", "0", "from 1 to", ""),
        ("windows: [1h, 24h]", "threshold: 1.01", "models[0].threshold", "threshold", "1.01", "from 0 to 1", ""),
        ("windows: [1h, 24h]", "threshold: .nan", "models[0].threshold", "threshold", ".nan", "from 0 to 1", ""),
        ("windows: [1h, 24h]", "threshold: 1e999", "models[0].threshold", "threshold", "1e999", "from 0 to 1", ""),
        (
            "windows: [1h, 24h]",
            "positive_label: ~",
            "models[0].positive_label",
            "positive_label",
            "nothing",
            "label",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "positive_label: .nan",
            "models[0].positive_label",
            "positive_label",
            ".nan",
            "label",
            "",
        ),
        ("windows: [1h, 24h]", "<<: {owner: a}", 'models[0]["<<"]', "<<", "an unknown key", "owner", ""),
        ("  - name: fraud", "  - fraud\n  - name: fraud", "models[0]", "- fraud", '"fraud"', "a mapping with name", ""),
        # Duplicate keys.
        (
            "    task: binary\n",
            "    task: binary\n    owner: a\n    task: regression\n",
            "models[0].task",
            "regression",
            'the key "task" a second time (first on line 7)',
            "each key once",
            "",
        ),
        # Durations and windows.
        (
            "maturity: 1h",
            "maturity: 1 hour",
            "models[0].feedback.outcome.maturity",
            "maturity",
            '"1 hour"',
            "1h30m",
            "",
        ),
        ("maturity: 1h", "maturity: 1.5", "models[0].feedback.outcome.maturity", "maturity", "1.5", "whole number", ""),
        ("maturity: 1h", "maturity: -5", "models[0].feedback.outcome.maturity", "maturity", "-5", "from 0s", ""),
        ("[1h, 24h]", "[1h, 60m]", "models[0].windows[1]", "windows", '"60m" a second time', "each item once", ""),
        ("[1h, 24h]", "[1h,\n      30s]", "models[0].windows[1]", "30s", '"30s"', "from 1m to 90d", ""),
        ("[1h, 24h]", "[0]", "models[0].windows[0]", "windows", "0", "from 1m to 90d", ""),
        ("[1h, 24h]", "[91d]", "models[0].windows[0]", "windows", '"91d"', "from 1m to 90d", ""),
        ("[1h, 24h]", "[7d1s]", "models[0].windows[0]", "windows", '"604801s"', "a whole multiple of 30m", ""),
        ("windows: [1h, 24h]", "block: 7m", "models[0].block", "block", '"7m"', "1s, 5s, 10s, 30s, 1m, 5m", ""),
        ("windows: [1h, 24h]", "horizon: 1h", "models[0].horizon", "horizon", '"1h"', "grace, 1h5m", ""),
        ("sources:", "refresh_interval: 0\nsources:", "refresh_interval", "refresh", "0", "from 100ms to 1h", ""),
        # Tasks, kinds and metrics.
        (
            "task: binary",
            "task: ranking\n    normalize: [lowercase]",
            "models[0].normalize",
            "normalize",
            "a key that ranking models do not have",
            "only with text",
            "",
        ),
        (
            "task: binary",
            "task: text\n    k: 5",
            "models[0].k",
            "k:",
            "a key that text models do not have",
            "only with ranking",
            "",
        ),
        (
            "task: binary\n    feedback:\n      outcome:\n        kind: complete",
            "task: text\n    feedback:\n      outcome:\n        no_feedback: nothing",
            "models[0].feedback.outcome.no_feedback",
            "no_feedback",
            '"nothing"',
            "missing",
            "text models have no label that silence could be",
        ),
        # Signals.
        (
            "windows: [1h, 24h]",
            "signals: {outcome: boolean}",
            "models[0].signals.outcome",
            "signals",
            '"outcome", which is a channel',
            "a name that no channel",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: yes}",
            "models[0].signals.click",
            "signals",
            '"yes"',
            "boolean, numeric, or a mapping",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: {maturity: 1h}}",
            "models[0].signals.click.type",
            "signals",
            "nothing",
            "boolean, numeric (required of feedback)",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: {type: boolean, no_feedback: false}}",
            "models[0].signals.click.no_feedback",
            "signals",
            '"false"',
            "only with a maturity above 0",
            "silence takes time to mean it",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: {type: boolean, maturity: 1h, no_feedback: 7}}",
            "models[0].signals.click.no_feedback",
            "signals",
            '"7"',
            "missing, true or false",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {rating: {type: numeric, maturity: 1h, no_feedback: none}}",
            "models[0].signals.rating.no_feedback",
            "signals",
            '"none"',
            "missing, or a number",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {length: {from: answer_length}}",
            "models[0].signals.length.from",
            "signals",
            "answer_length, which binary models do not have",
            "feedback, confidence, entropy, abstention, disagreement",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {sure: {from: confidence, type: boolean}}",
            "models[0].signals.sure.type",
            "signals",
            '"boolean"',
            "numeric, which is what confidence gives",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {sure: {from: confidence, maturity: 1h}}",
            "models[0].signals.sure.maturity",
            "signals",
            "a key that signals from confidence do not have",
            "only with feedback",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {rule: {from: disagreement}}",
            "models[0].signals.rule.field",
            "signals",
            "nothing",
            "a dotted path in the record",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {rule: {from: disagreement, field: score}}",
            "models[0].signals.rule.field",
            "signals",
            '"score", where score is read as a number',
            "a place of its own in the record",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {rule: {from: disagreement, field: score.x}}",
            "models[0].signals.rule.field",
            "signals",
            '"score.x", where score is read',
            "a place of its own in the record",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {one: {from: disagreement, field: r}, two: {from: disagreement, field: r.x}}",
            "models[0].signals.two.field",
            "signals",
            '"r.x", where another rule (one) is read',
            "a place of its own in the record",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {silent: {from: abstention}}",
            "models[0].signals.silent.labels",
            "signals",
            "nothing",
            "the answers that are none",
            "",
        ),
        ("kind: complete", "kind: al", "models[0].feedback.outcome.kind", "kind", '"al"', "complete, sample", ""),
        (
            "windows: [1h, 24h]",
            "classes: [a, b]",
            "models[0].classes",
            "classes",
            "a key that binary models do not have",
            "only with multiclass",
            "",
        ),
        (
            "kind: complete",
            "kind: sample\n        no_feedback: 0",
            "models[0].feedback.outcome.no_feedback",
            "no_feedback",
            '"0"',
            "missing",
            "silence on a sample channel says nothing",
        ),
        (
            "task: binary",
            "task: multiclass\n    max_classes: 2\n    classes: [a, b, c]",
            "models[0].classes",
            "classes:",
            "3 labels",
            "at most 2",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "objectives: {acuracy: 1}",
            "models[0].objectives.acuracy",
            "objectives",
            'an unknown name "acuracy"',
            "accuracy, balanced_accuracy",
            'did you mean "accuracy"?',
        ),
        (
            "windows: [1h, 24h]",
            "objectives: {rmse: 1}",
            "models[0].objectives.rmse",
            "objectives",
            '"rmse", which binary models do not have',
            "accuracy",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "objectives:\n      accuracy: 95",
            "models[0].objectives.accuracy",
            "accuracy: 95",
            "95",
            "a number from 0 to 1",
            "a ratio, not a percentage: 0.95",
        ),
        (
            "windows: [1h, 24h]",
            "objectives:\n      mcc:\n        target: -2",
            "models[0].objectives.mcc.target",
            "target",
            "-2",
            "a number from -1 to 1",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "objectives: {log_loss: -1}",
            "models[0].objectives.log_loss",
            "objectives",
            "-1",
            "a number of at least 0",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "objectives: {f1: {target: .5, direction: up}}",
            "models[0].objectives.f1.direction",
            "objectives",
            '"up"',
            "at_least, at_most",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "objectives: {f1: high}",
            "models[0].objectives.f1",
            "objectives",
            '"high"',
            "a number, or a mapping with target, direction",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "objectives: {response_rate: 0.5}",
            "models[0].objectives.response_rate",
            "objectives",
            '"response_rate", which no channel of this model supports',
            "accuracy",
            "it needs a channel of kind mistakes or voluntary",
        ),
        (
            "kind: complete",
            "kind: mistakes\n        maturity: 1h\n    objectives:\n      accuracy: 0.9\n    feedback2:\n      x:",
            "models[0].objectives.accuracy",
            "accuracy",
            '"accuracy", which no channel of this model supports',
            "reported_error_rate, response_rate",
            "it needs a channel of kind complete or sample",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margins: {accuracy: 1}}",
            "models[0].release.margins.accuracy",
            "release",
            "1",
            "a number from 0 to less than 1",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margins: {mae: 1}}",
            "models[0].release.margins.mae",
            "release",
            '"mae", which binary models do not have',
            "accuracy",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "reference: no.csv",
            "models[0].reference",
            "reference",
            '"no.csv", which',
            "readable",
            "",
        ),
        ("windows: [1h, 24h]", "reference: .", "models[0].reference", "reference", "Is a directory", "readable", ""),
        # What releases are compared by, and what is promised.
        (
            "windows: [1h, 24h]",
            "release: {margins: {f1: 0.01}}",
            "models[0].release.margins.f1",
            "release",
            'an unknown name "f1"',
            "accuracy, precision, recall",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margins: {roc_auc: 0.01}}",
            "models[0].release.margins.roc_auc",
            "release",
            'an unknown name "roc_auc"',
            "error_ratio, latency_seconds",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margins: {accuracy: 2}}",
            "models[0].release.margins.accuracy",
            "release",
            "2",
            "a number from 0 to less than 1",
            "a ratio, not a percentage: 0.02",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margins: {error_ratio: 0}}",
            "models[0].release.margins.error_ratio",
            "release",
            "0",
            "a number above 0",
            "",
        ),
        (
            "task: binary",
            "task: multiclass\n    release: {margins: {precision: 0.1}}",
            "models[0].release.margins.precision",
            "release",
            '"precision", which is not compared of multiclass models',
            "accuracy, log_loss, brier, reported_error_rate, error_ratio, latency_seconds",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margins: {latency_second: 0.1}}",
            "models[0].release.margins.latency_second",
            "release",
            '"latency_second"',
            "latency_seconds",
            '"latency_seconds"',
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: {type: boolean, better: higher}, mood: {type: numeric}}\n"
            "    release: {margins: {signal:clik: 0.1}}",
            'models[0].release.margins["signal:clik"]',
            "clik",
            '"signal:clik", which is not compared of binary models',
            "signal:click, signal:mood",
            '"signal:click"',
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: {type: boolean, better: higher}, mood: {type: numeric}}\n"
            "    release: {margins: {signal:mood: 0.1}}",
            'models[0].release.margins["signal:mood"]',
            "signal:mood",
            '"signal:mood", of which it is not said which way is good',
            "a signal with `better`: higher or lower",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "signals: {click: {type: boolean, better: more}}",
            "models[0].signals.click.better",
            "signals",
            '"more"',
            "higher, lower",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {alpha: 0}",
            "models[0].release.alpha",
            "release",
            "0",
            "from 1e-06 to 0.5",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {alpha: 5%}",
            "models[0].release.alpha",
            "release",
            '"5%"',
            "a number",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {duration: 0}",
            "models[0].release.duration",
            "release",
            "0",
            "1m",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "release: {margin: {accuracy: 0.1}}",
            "models[0].release.margin",
            "release",
            "an unknown key",
            "margins",
            '"margins"',
        ),
        (
            "windows: [1h, 24h]",
            "change: {false_alarm_interval: never}",
            "models[0].change.false_alarm_interval",
            "change",
            '"never"',
            "a duration",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "change: {learning: 10s}",
            "models[0].change.learning",
            "change",
            '"10s"',
            "1m",
            "",
        ),
        (
            "windows: [1h, 24h]",
            "change: {false_alarms: 90d}",
            "models[0].change.false_alarms",
            "change",
            "an unknown key",
            "false_alarm_interval",
            "",
        ),
        # Models and sources.
        ("channel: outcome", "model: '*'", "sources[1].model", "model:", '"*"', "the name of one model", ""),
        (
            "  - name: fraud",
            "  - {name: fraud, task: binary, feedback: {outcome: {maturity: 1s}}}\n  - name: fraud",
            "models[1].name",
            "- name: fraud\n",
            '"fraud" a second time',
            "each model once",
            "",
        ),
        ("channel: outcome", "channel: outcom", "sources[1].channel", "outcom\n", '"outcom"', "outcome", '"outcome"'),
        ("channel: outcome", "model: frau", "sources[1].model", "model: frau\n", '"frau"', "fraud", '"fraud"'),
        (
            "channel: outcome",
            "version: 1",
            "sources[1].version",
            "version",
            "a key that feedback sources",
            "predic",
            "",
        ),
        (
            "p.jsonl",
            "p.jsonl\n    channel: outcome",
            "sources[0].channel",
            "channel",
            "a key that predictions",
            "feed",
            "",
        ),
        (
            "p.jsonl",
            "p.jsonl\n    feedback: g",
            "sources[0]",
            "p.jsonl",
            "both predictions and feedback",
            "exactly",
            "",
        ),
        (
            "- predictions: p.jsonl",
            "- timezone: UTC\n  - predictions: p.jsonl",
            "sources[0]",
            "UTC",
            "a source",
            "one",
            "",
        ),
        ("- predictions: p.jsonl", "- feedback: g", "sources", "sources", "feedback sources only", "predictions", ""),
        (
            "- feedback: f.jsonl\n    channel: outcome",
            "- predictions: p.jsonl",
            "sources[1].predictions",
            "",
            '"p.',
            "each",
            "",
        ),
        ("channel: outcome", "timezone: Mars/Base", "sources[1].timezone", "timezone", '"Mars/Base"', "IANA", ""),
        ("channel: outcome", "timezone: ../etc", "sources[1].timezone", "timezone", '"../etc"', "IANA", ""),
        ("channel: outcome", "timezone: America", "sources[1].timezone", "timezone", '"America"', "IANA", ""),
        (
            "channel: outcome",
            "path_pattern: '('",
            "sources[1].path_pattern",
            "path",
            '"("',
            "regular expression",
            "at pos",
        ),
        (
            "channel: outcome",
            "path_pattern: a+",
            "sources[1].path_pattern",
            "path",
            '"a+", which has no',
            "(?P<model>",
            "",
        ),
        (
            "channel: outcome",
            "path_pattern: (?P<modl>.)",
            "sources[1].path_pattern",
            "path",
            'the named group "modl"',
            "(?P<model>",
            'did you mean "model"?',
        ),
        (
            "p.jsonl",
            "p.jsonl\n    path_pattern: (?P<channel>.)",
            "sources[0].path_pattern",
            "path",
            'the named group "channel"',
            "predictions records",
            "",
        ),
        (
            "channel: outcome",
            "fields: {labl: y}",
            "sources[1].fields.labl",
            "fields",
            "an unknown name",
            "label",
            '"label"',
        ),
        ("channel: outcome", "fields: {label: .y}", "sources[1].fields.label", "fields", '".y"', "a dotted path", ""),
        (
            "channel: outcome",
            "fields: {score: y}",
            "sources[1].fields.score",
            "fields",
            "a field that feedback",
            "label",
            "",
        ),
        (
            "channel: outcome",
            "fields: {label: answer, prediction_id: answer.id}",
            "sources[1].fields.prediction_id",
            "fields",
            '"answer.id", inside "answer", where label is read',
            "not inside another field",
            "",
        ),
        (
            "p.jsonl",
            "p.jsonl\n    fields: {prediction_id: prediction.id}",
            "sources[0].fields.prediction_id",
            "fields",
            '"prediction.id", inside "prediction", where prediction is read',
            "not inside another field",
            "map prediction too, to a path of its own",
        ),
    ]
]


@pytest.mark.parametrize(("old", "new", "path", "line", "found", "allowed", "hint"), CASES)
def test_a_wrong_value_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, path: str, line: str, found: str, allowed: str, hint: str
) -> None:
    text = BASE.replace(old, new, 1)
    assert text != BASE
    matching = [problem for problem in problems_of(tmp_path, text) if problem.path == path]
    assert len(matching) == 1
    problem = matching[0]
    named = (text + "\n").splitlines(keepends=True)[problem.line - 1]
    assert line in named
    assert found in problem.found
    assert allowed in problem.allowed
    assert hint in problem.hint
    assert (problem.hint == "") == (hint == "") or path.startswith("sources[1].timezone")
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", 1, "an empty file"),
        ("# nothing\n", 1, "an empty file"),
        ("- a\n", 1, "a list"),
        ("hello", 1, '"hello"'),
        ("a: b: c\n", 1, "mapping values are not allowed here"),
        ("a:\n\t- b\n", 2, "cannot start any token"),
        ("a: [1\nb: 2\n", 2, "a syntax error"),
        ("a: 'x\n", 1, "a syntax error"),
        ("a: 1\n---\nb: 2\n", 2, "a syntax error"),
        ("a: 1\nb: *nowhere\n", 2, "undefined alias"),
        ("a: 1\nb: \x07\n", 2, "a control character"),
        (b"a: 1\nb: 2\nc: \xff\n", 3, "bytes that are not UTF-8"),
        ("a: " + "[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_one_problem_with_a_line(
    tmp_path: Path, text: str | bytes, line: int, found: str
) -> None:
    problem = problems_of(tmp_path, text)[0]
    assert problem.line == line
    assert found in problem.found


WITH_FEATURES = BASE + "    features: {id: numeric, x: numeric, y: numeric}\n"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("{features: error.inputs}", '"error.inputs.id", inside "error", where error is read'),
        ("{prediction_id: features.id.value}", '"features.id.value", inside "features.id", where features is read'),
        ("{features: inputs, score: inputs}", '"inputs.id", inside "inputs", where score is read'),
    ],
)
def test_a_field_inside_another_one_is_refused_once(tmp_path: Path, fields: str, found: str) -> None:
    assert only(tmp_path, WITH_FEATURES.replace("p.jsonl", f"p.jsonl\n    fields: {fields}")).found == found


@pytest.mark.parametrize(
    "fields",
    [
        "{prediction_id: features.id}",  # an input may also be the id
        "{features: payload, prediction_id: payload.key}",
        "{prediction_id: prediction.id, prediction: prediction.label}",
        "{score: scores.fraud}",
    ],
)
def test_fields_may_lie_beside_others_in_one_object(tmp_path: Path, fields: str) -> None:
    (tmp_path / "good.yml").write_text(WITH_FEATURES.replace("p.jsonl", f"p.jsonl\n    fields: {fields}"))
    assert load(tmp_path / "good.yml")


def test_probabilities_of_many_classes_are_read_whole(tmp_path: Path) -> None:
    text = BASE.replace("p.jsonl", "p.jsonl\n    fields: {score: scores.fraud}").replace("binary", "multiclass")
    assert "where scores is read" in only(tmp_path, text).found


def test_an_unquoted_star_is_explained(tmp_path: Path) -> None:
    problem = only(tmp_path, BASE.replace("name: fraud", "name: *"))
    assert problem.line == 6
    assert 'must be quoted: "*"' in problem.hint
    assert 'must be quoted: "*"' in only(tmp_path, BASE.replace("p.jsonl", "*.jsonl")).hint


def test_a_list_that_contains_itself_is_refused(tmp_path: Path) -> None:
    assert only(tmp_path, BASE.replace("[1h, 24h]", "&a [*a]")).found == "an alias within what it stands for"


def test_a_missing_file_is_a_problem_without_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "absent.yml")
    assert str(caught.value) == (
        f"{tmp_path}/absent.yml: found a file that cannot be read: No such file or directory;"
        " allowed: a readable YAML file"
    )


def test_missing_sections_are_both_named(tmp_path: Path) -> None:
    assert [problem.path for problem in problems_of(tmp_path, "clock: wall\n")] == ["sources", "models"]
    assert [problem.found for problem in problems_of(tmp_path, "sources: []\nmodels: []\n")] == ["an empty list"] * 2


def test_an_unreadable_reference_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)  # a mode of 000 would not stop a test that runs as root
    text = BASE.replace("windows: [1h, 24h]", "reference: reference.csv")
    assert "Permission denied" in only(tmp_path, text).found


def test_one_mistake_is_not_reported_twice(tmp_path: Path) -> None:
    # A refused name, channel or kind must not make everything that refers to it wrong as well.
    for old, new in [
        ("name: fraud", "name: []"),
        ("kind: complete", "kind: no"),
        ("task: binary", "task: no\n    objectives: {accuracy: 0.9, rmse: 1}\n    classes: [a]"),
        ("maturity: 1h", "maturity: no"),
        ("outcome:\n", "outcome: none\n      other:\n"),
    ]:
        only(tmp_path, BASE.replace(old, new, 1))


def test_hostile_text_is_escaped_and_cut_in_messages(tmp_path: Path) -> None:
    problem = only(tmp_path, BASE.replace("task: binary", 'task: "\\e[31m' + "x" * 1_000 + '"'))
    assert "\x1b" not in str(problem)
    assert len(problem.found) < 120


PIECES = [
    *BASE.split(),
    *BASE.splitlines(keepends=True),
    "[",
    "]",
    "{",
    "}",
    "*",
    "&a",
    "*a",
    "!!int",
    "null",
    "\n",
    "  ",
    "- ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.integers(0, 2**32))
def test_any_text_is_accepted_or_refused_with_located_problems(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], seed: int
) -> None:
    generator = random.Random(seed)
    text = BASE
    for piece in pieces[:3]:
        position = generator.randrange(len(text))
        text = text[:position] + piece + text[position + generator.randrange(8) :]
    text = "".join(pieces) if seed % 4 == 0 else text
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_text(text)
    try:
        load(file)
    except ConfigurationError as error:
        assert error.problems
        lines = text.count("\n") + 1
        assert all(1 <= problem.line <= lines and problem.found and problem.allowed for problem in error.problems)
        assert [problem.line for problem in error.problems] == sorted(problem.line for problem in error.problems)
