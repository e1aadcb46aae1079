"""The same rules, routes and templates for a demonstration or a test: shorter durations, one receiver on this machine.

Nothing is written anew: the committed alertmanager.yml is read and changed in the two respects above.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from alerts.generator.durations import Duration
from alerts.generator.parameters import Parameters
from alerts.generator.render import write
from tidegauge.config.durations import parse_duration

HERE = Path(__file__).parents[1]
ARGUMENTS = ("--rules.alert.resend-delay=1s", "--rules.alert.for-grace-period=0s")
"""For Prometheus' command line: its own waits, which no configuration file shortens."""
_WAITS = ("group_wait", "group_interval", "repeat_interval")


def prometheus(
    directory: Path,
    *,
    exporter: str,
    alertmanager: str,
    faster: float,
    scrape: str = "1s",
    links_to: str | None = None,
) -> Path:
    """Writes prometheus.yml and the rules, `faster` times as fast, into `directory`; the configuration's path.

    `exporter` and `alertmanager` as "host:port". Notifications lead to boards and /runbooks/ at the URL `links_to`, or
    where the committed rules lead.
    """
    parameters = Parameters().faster(faster)
    if links_to is not None:
        parameters = replace(parameters, grafana=links_to, runbooks=f"{links_to}/runbooks")
    write(directory / "rules", parameters)
    settings = yaml.safe_load((HERE / "prometheus.yml").read_text(encoding="utf-8"))
    settings["global"] = {
        "scrape_interval": scrape,
        "scrape_timeout": scrape,
        "evaluation_interval": str(parameters.interval),
    }
    settings["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [exporter]}]
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


def alertmanager(directory: Path, *, receiver: str, faster: float, repeat: str | None = None) -> Path:
    """Writes an alertmanager.yml into `directory` in which every receiver is a webhook below the URL `receiver`.

    The name of the receiver is the last part of the URL that it calls. `repeat` replaces every repeat_interval.
    """
    settings = yaml.safe_load((HERE / "alertmanager.yml").read_text(encoding="utf-8"))
    settings["global"] = {"resolve_timeout": "5m"}
    settings["templates"] = [str(HERE / "templates" / "*.tmpl")]
    hasten(settings["route"], faster, repeat)
    settings["receivers"] = [_webhook(each["name"], receiver, len(each) > 1) for each in settings["receivers"]]
    path = directory / "alertmanager.yml"
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


def hasten(route: dict[str, Any], faster: float, repeat: str | None = None) -> None:
    """Shortens the waits of a route and its children in place; `repeat` replaces every repeat_interval."""
    for name in _WAITS:
        if re.fullmatch(r"0\w*", str(route.get(name, "0"))):
            continue  # not said here, or nothing to shorten
        route[name] = str(Duration(parse_duration(str(route[name]))).faster(faster))
    if repeat is not None and "repeat_interval" in route:
        route["repeat_interval"] = repeat
    for child in route.get("routes", ()):
        hasten(child, faster, repeat)


def _webhook(name: str, receiver: str, wanted: bool) -> dict[str, Any]:
    if not wanted:
        return {"name": name}
    return {"name": name, "webhook_configs": [{"url": f"{receiver.rstrip('/')}/{name}", "send_resolved": True}]}
