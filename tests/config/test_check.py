"""What `tidegauge check` says about a configuration."""

from __future__ import annotations

from pathlib import Path

from tidegauge.config.check import explain
from tidegauge.config.load import load

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
  release margin: accuracy may be worse by 0.01

models not named above (at most 100): multiclass
  channel outcome: complete, mature after 0s; silence then means nothing
  windows: 1h (moving by 1m), 24h (moving by 30m)
  predictions wait for feedback: 1d5m, at most 10,000,000 of them
  classes: a, b
"""
    )


def test_a_configuration_without_a_star_says_what_becomes_of_other_models(tmp_path: Path) -> None:
    file = tmp_path / "tidegauge.yml"
    file.write_text("sources: [{predictions: p}]\nmodels: [{name: m, task: binary, feedback: {o: {maturity: 1h}}}]\n")
    assert explain(load(file)).endswith("\nrecords of models not named above are rejected and counted\n")
