"""What `tidegauge check` says about a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegauge.assess.detectors import quality
from tidegauge.assess.measures import scored
from tidegauge.assess.measures.measure import PROPORTION
from tidegauge.assess.releases import lifecycle
from tidegauge.assess.sequential import before_after, profile
from tidegauge.config import check
from tidegauge.config.check import explain
from tidegauge.config.load import load
from tidegauge.config.settings import DAY

EVERYTHING = """\
state: /var/lib/tidegauge
clock: log
sources:
  - predictions: logs/*.jsonl
    rotated: [old/*.gz]
    timezone: Europe/Berlin
    fields: {prediction_id: request.id}
    path_pattern: (?P<version>v[0-9]+)
  - feedback: feedback.jsonl
    channel: outcome
models:
  - name: fraud
    owner: payments
    task: binary
    feedback:
      outcome: {maturity: 1h, no_feedback: 0}
      complaints: {kind: voluntary, maturity: 7d}
    features: {amount: numeric, country: categorical}
    slices: [country]
    windows: [24h, 7d]
    reference: reference.csv
    objectives: {accuracy: 0.95, log_loss: 0.3}
    release: {margins: {accuracy: 0.01}}
  - {name: "*", task: multiclass, classes: [a, b], feedback: {outcome: {maturity: 0}}}
"""


def test_everything_that_was_configured_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "directory.jsonl").mkdir()
    for name in ("reference.csv", "logs/a.jsonl", "logs/b.jsonl", "feedback.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "tidegauge.yml").write_text(EVERYTHING)
    assert (
        explain(load(tmp_path / "tidegauge.yml"))
        == f"""\
{tmp_path}/tidegauge.yml: valid
state: /var/lib/tidegauge
clock: the highest timestamp in the logs; refreshed every 10s

source predictions
  files: {tmp_path}/logs/*.jsonl (2 files now)
  rotated files: {tmp_path}/old/*.gz (no file now)
  from the path: version
  fields: prediction_id from request.id
  timestamps without an offset: Europe/Berlin

source feedback
  files: {tmp_path}/feedback.jsonl (1 file now)
  channel: outcome, unless the record says otherwise

model fraud: binary, owned by payments
  channel outcome: complete, mature after 1h; silence then means 0
  channel complaints: voluntary, mature after 7d; silence then means nothing
  windows: 24h (moving by 30m), 7d (moving by 2h)
  predictions wait for feedback: 14d5m, at most 10,000,000 of them
  positive label: 1; answered positive from score 0.5 on
  features: amount (numeric), country (categorical)
  slices: country
  reference: {tmp_path}/reference.csv
  objective: accuracy >= 0.95
  objective: log_loss <= 0.3
  release: a new version is compared for 14d with the one that had most predictions in the 24h before it, 1,000 at least
    accuracy of outcome: decides; may be worse by 0.01
    log_loss of outcome: decides; may be worse by a tenth of the old version's
    reported_error_rate of complaints: decides; may be worse by a fifth of the old version's errors, at least 0.005
    error_ratio: shown early, does not decide; may be worse by a fifth of the old version's errors, at least 0.005
    latency_seconds: shown early, does not decide; may be worse by a tenth of the old version's
    wrong verdicts, however often it is looked at: one no worse is rolled back with probability 0.05 at most\
 (0.0167 for each of the 3 that decide), one worse by its margin is promoted with 0.05 at most
    needed first: 200 outcomes of the old version; of one that stops when the new one starts, 24 hours of them,\
 and 7 days to promote
  change: each version is watched for getting worse by accuracy of outcome, log_loss of outcome,\
 reported_error_rate of complaints
    so is each value of country: of those said to be failing, at most one in ten is not
    false alarms: one in 90d of the model at most, on average, and as many of slices
    learned first: 5,000 outcomes of each, and 7d of the model with its daily and weekly cycle; of later versions 1d
  drift: score, answers, labels, features over 24h against training, previous_version, trailing; published as psi
    called drift if it moved by 0.01 more than by chance (population stability index);\
 false alarms: one in 90d of the model at most, on average
    learned first: none, its bins are those of the reference

models not named above (at most 100): multiclass
  channel outcome: complete, mature after 0s; silence then means nothing
  windows: 1h (moving by 1m), 24h (moving by 30m)
  predictions wait for feedback: 1d5m, at most 10,000,000 of them
  classes: a, b
  release: a new version is compared for 14d with the one that had most predictions in the 24h before it, 1,000 at least
    accuracy of outcome: decides; may be worse by a fifth of the old version's errors, at least 0.005
    error_ratio: shown early, does not decide; may be worse by a fifth of the old version's errors, at least 0.005
    latency_seconds: shown early, does not decide; may be worse by a tenth of the old version's
    wrong verdicts, however often it is looked at: one no worse is rolled back with probability 0.05 at most,\
 one worse by its margin is promoted with 0.05 at most
    needed first: 200 outcomes of the old version; of one that stops when the new one starts, 24 hours of them,\
 and 7 days to promote
  change: each version is watched for getting worse by accuracy of outcome
    false alarms: one in 90d of the model at most, on average
    learned first: 5,000 outcomes of each, and 7d of the model with its daily and weekly cycle; of later versions 1d
  drift: answers, labels over 24h against previous_version, trailing, first; published as psi
    called drift if it moved by 0.01 more than by chance (population stability index);\
 false alarms: one in 90d of the model at most, on average
    learned first: 2,000 predictions; 10,000, and 24h of them, are what later ones are compared with
"""
    )


def told_of(directory: Path, more: str) -> str:
    """What is said of a model with this in its configuration."""
    file = directory / "tidegauge.yml"
    model = "models:\n  - name: m\n    task: regression\n    feedback: {o: {maturity: 1h}}\n"
    file.write_text(f"sources: [{{predictions: p}}]\n{model}{more}")
    return explain(load(file))


def test_what_decides_about_a_release_is_told_apart_from_what_only_comes_early(tmp_path: Path) -> None:
    told = told_of(
        tmp_path,
        "    signals: {click: {type: boolean, better: higher}, rating: {type: numeric, better: higher}, "
        "mood: {type: numeric}}\n    release: {margins: {error_ratio: 0.002, mae: 0}, alpha: 0.02, duration: 3d}\n",
    )
    assert "compared for 3d with" in told
    assert "mae of o: decides; must be better\n" in told
    assert "error_ratio: decides; may be worse by 0.002\n" in told
    assert "latency_seconds: shown early, does not decide; may be worse by a tenth" in told
    assert "signal:click: shown early, does not decide; may be worse by a fifth" in told
    assert "signal:rating: shown early, does not decide; may be worse by a tenth" in told
    assert "mood" not in told, "nobody knows which way of it is good"
    assert "probability 0.02 at most (0.01 for each of the 2 that decide)" in told


def test_the_promise_about_false_alarms_is_said_as_it_was_configured(tmp_path: Path) -> None:
    told = told_of(tmp_path, "    change: {false_alarm_interval: 30d, learning: 12h}\n")
    assert "false alarms: one in 30d of the model at most, on average\n" in told
    assert "and 12h of the model with its daily and weekly cycle; of later versions 12h\n" in told


def test_what_is_watched_for_drift_is_said_as_it_was_configured(tmp_path: Path) -> None:
    told = told_of(
        tmp_path,
        "    features: {age: {type: numeric, importance: 0.3}, text: text_length}\n"
        "    drift: {windows: [1h], statistics: [wasserstein, psi], references: [trailing], multivariate: true,"
        " minimum_effect: 0.1, false_alarm_interval: 30d, learning: 500}\n",
    )
    assert "  features: age (numeric, importance 0.3), text (text_length)\n" in told
    assert "  drift: answers, labels, features over 1h against trailing; published as wasserstein, psi\n" in told
    assert "    so is the joint distribution of the numbers among the features\n" in told
    assert "moved by 0.1 more than by chance" in told
    assert "false alarms: one in 30d of the model at most" in told
    assert "    learned first: 500 predictions\n" in told


@pytest.mark.parametrize("task", ["ranking", "text"])
def test_of_lists_and_texts_without_features_nothing_is_said_to_be_watched(task: str, tmp_path: Path) -> None:
    file = tmp_path / "tidegauge.yml"
    model = f"{{name: m, task: {task}, " + "feedback: {o: {maturity: 1h}}%s}"
    file.write_text(f"sources: [{{predictions: p}}]\nmodels: [{model % ''}]\n")
    assert "drift: nothing is watched" in explain(load(file))
    file.write_text(f"sources: [{{predictions: p}}]\nmodels: [{model % ', features: {age: numeric}'}]\n")
    assert "drift: features over 24h" in explain(load(file))


def test_what_is_said_to_be_needed_is_what_the_comparisons_and_detectors_need() -> None:
    assert check.LEAST_TRAFFIC == lifecycle.LEAST_TRAFFIC
    assert check.REFERENCE_ROWS == quality.REFERENCE_ROWS
    assert (check.LEARNED_ROWS, DAY) == (profile.ROWS, profile.LEVEL_MS)
    assert check.HOURS_TO_COMPARE == before_after.HOURS_TO_COMPARE
    assert 24 * check.DAYS_TO_PROMOTE == before_after.HOURS_TO_PROMOTE
    proportions = {name for name, form in scored._FORMS.items() if form.kind == PROPORTION}
    assert set(check.SHARES) == proportions | {"error_ratio"}


def test_a_configuration_without_a_star_says_what_becomes_of_other_models(tmp_path: Path) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_text("sources: [{predictions: p}]\nmodels: [{name: m, task: binary, feedback: {o: {maturity: 1h}}}]\n")
    assert explain(load(file)).endswith("\nrecords of models not named above are rejected and counted\n")
