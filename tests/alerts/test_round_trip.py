"""A model goes bad, recovers, and its exporter dies: what arrives, through the real chain, 60 times as fast.

Exporter, Prometheus with the rules of alerts/, Alertmanager with its routes and inhibition, receiver: all on loopback.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType

from alerts.generator import trial
from tests.alerts.servers import Alertmanager, WebSink
from tests.processes import Exporter, PrometheusServer, wait_until

FASTER = 60
# The window cannot be shorter than a minute; what happens within it is decided by numbers.
CONFIGURATION = """\
state: state
refresh_interval: 500ms
poll_interval: 100ms
sources:
  - predictions: predictions.jsonl
  - {feedback: feedback.jsonl, channel: outcome}
models:
  - name: fraud
    owner: payments
    task: binary
    feedback: {outcome: {maturity: 1s}}
    windows: [1m]
    block: 1s
    grace: 1s
    objectives: {accuracy: 0.9}
"""


class Service:
    """A service that makes 40 predictions a second and learns the truth at once, from its own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._count = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def predict(self, count: int, *, right: float) -> None:
        """So many predictions now, of which the share `right` is right."""
        now = int(time.time() * 1000)
        with self._lock:
            predictions, feedback = [], []
            for number in range(count):
                name = f"p{self._count}"
                self._count += 1
                label = "1" if number < right * count else "0"
                about = {"prediction_id": name, "timestamp": now}
                predictions.append(json.dumps({**about, "model": "fraud", "version": "v7", "prediction": "1"}))
                feedback.append(json.dumps({**about, "label": label}))
            for log, lines in (("predictions", predictions), ("feedback", feedback)):
                with (self._directory / f"{log}.jsonl").open("a") as file:
                    file.writelines(f"{line}\n" for line in lines)

    def _run(self) -> None:
        while not self._stopping.wait(0.5):
            self.predict(20, right=0.95)

    def __enter__(self) -> Service:
        self.predict(400, right=0.95)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()


def test_what_goes_wrong_arrives_what_recovers_resolves_and_a_dead_exporter_mutes_its_models(tmp_path: Path) -> None:
    (tmp_path / "tidegauge.yml").write_text(CONFIGURATION)
    with WebSink() as sink:
        managing = trial.alertmanager(tmp_path / "alertmanager", receiver=sink.url, faster=FASTER, repeat="1s")
        exporter = Exporter(tmp_path / "tidegauge.yml")
        prometheus = PrometheusServer(exporter.url, tmp_path / "prometheus", arguments=trial.ARGUMENTS)
        with Alertmanager(managing) as manager, Service(tmp_path) as service, exporter:
            trial.prometheus(
                tmp_path / "prometheus",
                exporter=exporter.url.removeprefix("http://"),
                alertmanager=manager.address,
                faster=FASTER,
            )
            with prometheus:
                sink.wait("Watchdog", "firing")
                prometheus.wait_scraped()

                # It goes bad.
                assert not sink.alerts("ModelObjectiveMissed", "firing")
                service.predict(4_000, right=0.6)
                fired = sink.wait("ModelObjectiveMissed", "firing", seconds=45)
                assert fired["receiver"] == "payments-pager"
                assert fired["labels"] == {
                    "alertname": "ModelObjectiveMissed",
                    "job": "tidegauge",
                    "model": "fraud",
                    "version": "v7",
                    "channel": "outcome",
                    "metric": "accuracy",
                    "window": "1m",
                    "severity": "critical",
                    "owner": "payments",
                }
                about = fired["annotations"]
                assert about["summary"] == "A model misses its quality objective, beyond what chance explains."
                assert about["description"].startswith("Model fraud, version v7: accuracy is 0.6")
                assert "its objective is at least 0.9." in about["description"]
                assert about["runbook_url"].endswith("/alerts/runbooks/ModelObjectiveMissed.md")
                assert "/d/tidegauge-model?" in about["dashboard_url"]
                assert "var-model=fraud&var-version=v7" in about["dashboard_url"]

                # It recovers.
                service.predict(60_000, right=0.99)
                sink.wait("ModelObjectiveMissed", "resolved", seconds=45)

                # It goes bad again, and then the exporter dies.
                seen = len(sink.calls)
                service.predict(60_000, right=0.5)
                sink.wait("ModelObjectiveMissed", "firing", since=seen, seconds=45)
                exporter.kill()
                wait_until(lambda: manager.muted_by("ModelObjectiveMissed"), what="the alert to be muted")
                muted = len(sink.calls)
                down = sink.wait("TidegaugeDown", "firing", seconds=45)
                assert (down["receiver"], down["labels"]["owner"]) == ("pager", "platform")
                wait_until(lambda: len(sink.alerts("TidegaugeDown", "firing", since=muted)) > 2, what="repetitions")
                assert manager.muted_by("ModelObjectiveMissed") == {"ModelUnobserved"}
                about_models = {
                    alert["labels"]["alertname"]
                    # One may have been on its way.
                    for call in sink.calls[muted + 1 :]
                    for alert in call.body["alerts"]
                    if alert["labels"]["alertname"].startswith("Model")
                }
                assert not about_models

                # It is back.
                exporter.start()
                sink.wait("TidegaugeDown", "resolved", seconds=45)
                assert not sink.alerts("ModelUnobserved", "firing")
