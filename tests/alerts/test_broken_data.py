"""A field is added, a feature freezes, another gets a new name: what arrives, through the chain, 200 times as fast.

Exporter, Prometheus with the rules of alerts/, Alertmanager with its routes and inhibition, receiver: all on loopback.
The exporter's clock is that of its log, whose records are of the past: so a window of theirs passes at once.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alerts.generator import trial
from tests.alerts.servers import Alertmanager, WebSink
from tests.processes import Exporter, PrometheusServer, wait_until

FASTER = 200
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
CONFIGURATION = """\
state: state
clock: log
refresh_interval: 200ms
poll_interval: 50ms
sources:
  - predictions: predictions.jsonl
models:
  - name: fraud
    owner: payments
    task: binary
    feedback: {outcome: {maturity: 1s}}
    features:
      amount: {type: numeric, importance: 0.2}
      device_risk: {type: numeric, importance: 0.4}
      merchant: {type: categorical, importance: 0.4}
    windows: [5m, 48h]
    drift: {windows: [5m], learning: 500}
    block: 30s
    grace: 1s
"""
Features = dict[str, Any]


@dataclass
class Service:
    """A service that writes a log of predictions long past, as fast as it can."""

    log: Path
    now: int  # ms; the time of the next prediction
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    made: int = 0

    def predict(self, until: int, every: int, change: Callable[[Features], Features] = lambda usual: usual) -> None:
        """Predictions up to a time, so many ms apart, with features as `change` makes them of the usual ones."""
        lines = []
        for at in range(self.now, until, every):
            usual = {
                "amount": round(self.chance.lognormvariate(3, 1), 2),
                "device_risk": round(self.chance.betavariate(2, 8), 4),
                "merchant": self.chance.choice(["grocery", "fashion", "travel", "games"]),
            }
            answer = {"prediction": self.chance.choice("01"), "model": "fraud", "version": "v7"}
            record = {"prediction_id": self.made, "timestamp": at, **answer, "features": change(usual)}
            lines.append(f"{json.dumps(record)}\n")
            self.made += 1
        with self.log.open("a") as file:
            file.writelines(lines)
        self.now = until


def with_channel(usual: Features) -> Features:
    return usual | {"channel": "app"}


def broken(usual: Features) -> Features:
    kind = usual.pop("merchant")
    return with_channel(usual) | {"device_risk": 0.0, "merchant_kind": kind}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Its log holds a day and some minutes of good data: what is seen in the first day belongs to the schema."""
    now = int(time.time() * SECOND)
    service = Service(tmp_path / "predictions.jsonl", now - 25 * HOUR)
    service.predict(now - 24 * HOUR, 2 * SECOND)
    service.now = now - 40 * MINUTE
    service.predict(now - 32 * MINUTE, SECOND // 2)
    return service


def test_a_new_field_a_frozen_feature_and_a_renamed_one_arrive_by_name(tmp_path: Path, service: Service) -> None:
    (tmp_path / "tidegauge.yml").write_text(CONFIGURATION)
    with WebSink() as sink:
        managing = trial.alertmanager(tmp_path / "alertmanager", receiver=sink.url, faster=FASTER)
        exporter = Exporter(tmp_path / "tidegauge.yml")
        prometheus = PrometheusServer(exporter.url, tmp_path / "prometheus", arguments=trial.ARGUMENTS)
        with Alertmanager(managing) as manager, exporter:
            trial.prometheus(
                tmp_path / "prometheus",
                exporter=exporter.url.removeprefix("http://"),
                alertmanager=manager.address,
                faster=FASTER,
                scrape="500ms",
            )
            # Once the bins are known, the records get a field more.
            fine = {"model": "fraud", "version": "v7", "feature": "merchant", "window": "5m", "state": "ok"}
            exporter.wait_for(lambda page: page.value("model_feature_state", **fine) == 1)
            service.predict(service.now + 2 * MINUTE, SECOND // 2, with_channel)
            with prometheus:
                # That is for information only, and nothing is broken.
                told = sink.wait("ModelSchemaChanged", "firing")
                assert set(prometheus.query("model_version:feature_broken:bool").values()) == {0.0}
                assert (told["receiver"], told["labels"]["severity"]) == ("archive", "info")
                assert told["labels"]["change"] == "appeared"
                assert told["annotations"]["description"] == (
                    "Model fraud: of the features in its records some are new: channel."
                )

                # One feature freezes, another gets a new name, and a window passes.
                service.predict(service.now + 5 * MINUTE, SECOND // 2, broken)
                exporter.settle()  # of what is read at once, one record's fields are looked at
                service.predict(service.now + MINUTE, SECOND // 2, broken)
                found = wait_until(
                    lambda: both if len(both := sink.alerts("ModelFeatureBroken", "firing")) > 1 else None,
                    what="both features at the receiver",
                )
                fired = {alert["labels"]["feature"]: alert for alert in found}
                assert {alert["receiver"] for alert in found} == {"payments-pager"}
                assert fired["device_risk"]["labels"] == {
                    "alertname": "ModelFeatureBroken",
                    "job": "tidegauge",
                    "model": "fraud",
                    "version": "v7",
                    "feature": "device_risk",
                    "severity": "critical",
                    "owner": "payments",
                }
                frozen, renamed = (fired[name]["annotations"] for name in ("device_risk", "merchant"))
                assert frozen["summary"] == "A feature tells a model nothing any more."
                assert frozen["description"].startswith(
                    "Model fraud, version v7: device_risk has one and the same value (over the last 5m: 600 valid)."
                    " Its importance is 40%."
                )
                assert renamed["description"].startswith(
                    "Model fraud, version v7: merchant has vanished from the records (over the last 5m: 600 missing)."
                    " New in the records are: channel, merchant_kind. Perhaps it has another name now."
                )
                assert "/d/tidegauge-drift?" in frozen["dashboard_url"]
                assert "var-feature=device_risk" in frozen["dashboard_url"]
                # What follows from it is muted: that the schema has changed, and that inputs have moved.
                wait_until(
                    lambda: manager.muted_by("ModelSchemaChanged") == {"ModelFeatureBroken"},
                    what="the effect to be muted",
                )
                wait_until(
                    lambda: any(
                        alert["labels"].get("change") == "vanished" and alert["status"]["state"] == "suppressed"
                        for alert in manager.alerts()
                    ),
                    what="the missing name",
                )
                assert not [
                    alert
                    for alert in sink.alerts("ModelSchemaChanged", "firing")
                    if alert["labels"]["change"] == "vanished"
                ]
