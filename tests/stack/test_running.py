"""The commands of docker-compose.yml, run with the real programs outside of containers: they find each other.

Grafana is left out, since Debian has none; its provisioning is looked at elsewhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from alerts.compose import TOKEN
from tests.processes import ENVIRONMENT, LOOPBACK, PATIENCE, _Process, free_port, wait_until
from tests.stack.stack import OWN, Here, services

ORDER = ("simulator", "receiver", "exporter", "alertmanager", "prometheus")
PORTS = {"exporter": 8433, "prometheus": 9090, "alertmanager": 9093}


class Service(_Process):
    """A service of the stack as a process of this machine."""

    def __init__(self, name: str, here: Here) -> None:
        super().__init__(name, here.directory / f"{name}.log")
        self._here = here

    def start(self) -> None:
        """Starts it; returns when its own health check is content."""
        command = self._here.command(self.name)
        # An address to listen on is not said where the image's port is the right one.
        if self.name in PORTS:
            command.append(f"--web.listen-address={LOOPBACK}:{self._here.ports[PORTS[self.name]]}")
        environment = {name: str(value) for name, value in services()[self.name].get("environment", {}).items()}
        self._launch(command, environment | (ENVIRONMENT if self.name in OWN else {}))
        wait_until(self._healthy, what=f"the health check of {self.name}", pause=0.3)

    def _healthy(self) -> bool:
        self._must_run()
        return self._here.healthy(self.name)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[dict[str, Service]]:
    here = Here(tmp_path, {port: free_port() for port in (*PORTS.values(), 9095)})
    (tmp_path / "secrets").mkdir()
    for name in ("webhook_token", "grafana_admin_password"):
        (tmp_path / "secrets" / name).write_text(os.urandom(24).hex())
    found = {name: Service(name, here) for name in ORDER}
    with ExitStack() as ending:
        for service in found.values():
            assert not here.healthy(service.name), "not before it is there"
            ending.callback(service.kill)
            service.start()
        yield found


def ask(stack: dict[str, Service], name: str) -> str:
    return f"http://{LOOPBACK}:{stack[name]._here.ports[PORTS[name]]}"


def test_predictions_reach_prometheus_and_a_notification_reaches_the_receiver(stack: dict[str, Service]) -> None:
    def scraped() -> bool:
        query = {"query": 'sum(model_predictions_total{job="tidegauge", model="fraud"})'}
        answer = requests.get(f"{ask(stack, 'prometheus')}/api/v1/query", params=query, timeout=PATIENCE).json()
        return any(float(series["value"][1]) > 0 for series in answer["data"]["result"])

    wait_until(scraped, seconds=60, what="simulated predictions in Prometheus")
    rules = requests.get(f"{ask(stack, 'prometheus')}/api/v1/rules?type=alert", timeout=PATIENCE).json()
    names = {rule["name"] for group in rules["data"]["groups"] for rule in group["rules"]}
    assert {"ModelObjectiveMissed", "TidegaugeDown", "Watchdog"} <= names

    # Sent by hand: the rules' own durations are those of production.
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    watchdog: dict[str, Any] = {
        "labels": {"alertname": "Watchdog", "severity": "none"},
        "startsAt": moment,
        "annotations": {},
    }
    requests.post(f"{ask(stack, 'alertmanager')}/api/v2/alerts", json=[watchdog], timeout=PATIENCE)
    wait_until(lambda: "The Watchdog's first notification" in stack["receiver"].said(), what="the notification")
    assert TOKEN.startswith("/run/secrets/"), "and it bore the token, without which the receiver prints nothing"

    for service in reversed(stack.values()):
        assert service.stop() == 0, service.said()
        assert "Traceback" not in service.said()
