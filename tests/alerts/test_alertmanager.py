"""Who is told, who is not, and what they read: Alertmanager's own tools and the real Alertmanager, on the committed
configuration."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml

from alerts.generator import trial
from alerts.generator.render import alerts
from tests.alerts.queries import PARAMETERS
from tests.alerts.servers import Alertmanager, MailSink, WebSink
from tests.processes import tool, wait_until

CONFIGURATION = trial.HERE / "alertmanager.yml"
GOLDEN = Path(__file__).parent / "golden"
FRAUD = {"job": "tidegauge", "model": "fraud"}
ACCURACY = {**FRAUD, "version": "v2", "channel": "outcome", "metric": "accuracy"}
AMOUNT = {**FRAUD, "version": "v2", "feature": "amount"}
INPUTS = {**FRAUD, "version": "v2", "reference": "trailing"}
GERMANY = {**ACCURACY, "slice_key": "country", "slice_value": "DE"}
UPDATE = "TIDEGAUGE_UPDATE_GOLDEN" in os.environ
"""Set it to write the golden files anew; then read the difference."""


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("amtool"), *arguments], check=False, capture_output=True, text=True, timeout=60)


def test_amtool_accepts_the_configuration_and_its_templates() -> None:
    checked = amtool("check-config", str(CONFIGURATION))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_secrets_are_only_in_files() -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    secrets = re.findall(r"^\s*(\w*(?:password|key|token|credentials|secret|api_url)\w*):", text, re.MULTILINE)
    assert secrets
    assert all(name.endswith("_file") for name in secrets), secrets
    paths = re.findall(r"^\s*\w+_file: (\S+)", text, re.MULTILINE)
    assert all(path.startswith("/etc/alertmanager/secrets/") for path in paths), "relative to what, depends"
    urls = re.findall(r"\bhttps?://\S+", text)
    assert all("localhost" in url or url == "https://events.pagerduty.com/v2/enqueue" for url in urls)


@pytest.mark.parametrize(
    ("receiver", "labels"),
    [
        ("pager", {"alertname": "ModelObjectiveMissed", "severity": "critical", **FRAUD, "owner": "growth"}),
        ("pager", {"alertname": "ModelObjectiveMissed", "severity": "critical", **FRAUD}),
        ("team", {"alertname": "ModelCoverageLost", "severity": "warning", **FRAUD, "owner": "growth"}),
        ("payments", {"alertname": "ModelCoverageLost", "severity": "warning", **FRAUD, "owner": "payments"}),
        ("payments-pager", {"alertname": "ModelSilent", "severity": "critical", **FRAUD, "owner": "payments"}),
        ("pager", {"alertname": "TidegaugeDown", "severity": "critical", "job": "tidegauge", "owner": "platform"}),
        ("team", {"alertname": "TidegaugeLagging", "severity": "warning", "job": "tidegauge", "owner": "platform"}),
        ("archive", {"alertname": "TidegaugeSampling", "severity": "info", "job": "tidegauge", "owner": "platform"}),
        ("pager", {"alertname": "ModelReleaseRegressed", "severity": "critical", **FRAUD, "version": "v2"}),
        ("payments-pager", {"alertname": "ModelReleaseRegressed", "severity": "critical", "owner": "payments"}),
        ("team", {"alertname": "ModelReleaseUndecided", "severity": "warning", **FRAUD, "version": "v2"}),
        ("payments", {"alertname": "ModelDegrading", "severity": "warning", **FRAUD, "owner": "payments"}),
        ("team", {"alertname": "ModelSliceDegrading", "severity": "warning", **FRAUD, "slice_value": "DE"}),
        ("team", {"alertname": "ModelObjectiveBreachForecast", "severity": "warning", **FRAUD}),
        ("team", {"alertname": "ModelInputDrift", "severity": "warning", **FRAUD, "reference": "trailing"}),
        ("payments", {"alertname": "ModelInputDrift", "severity": "warning", **FRAUD, "owner": "payments"}),
        ("team", {"alertname": "ModelScoreDrift", "severity": "warning", **FRAUD, "reference": "training"}),
        ("archive", {"alertname": "ModelScoreDrift", "severity": "info", **FRAUD, "reference": "previous_version"}),
        ("payments-pager", {"alertname": "ModelFeatureBroken", "severity": "critical", "owner": "payments"}),
        ("pager", {"alertname": "ModelFeatureBroken", "severity": "critical", **FRAUD, "feature": "amount"}),
        ("team", {"alertname": "ModelSchemaChanged", "severity": "warning", **FRAUD, "change": "vanished"}),
        ("archive", {"alertname": "ModelSchemaChanged", "severity": "info", **FRAUD, "change": "appeared"}),
        ("nobody", {"alertname": "ModelUnobserved", "severity": "none", **FRAUD, "owner": "payments"}),
        ("watchdog", {"alertname": "Watchdog", "severity": "none", "owner": "platform"}),
        ("team", {"alertname": "SomethingElse"}),
    ],
)
def test_an_alert_reaches_the_receiver_that_its_severity_and_owner_ask_for(
    receiver: str, labels: dict[str, str]
) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    routed = amtool(
        "config", "routes", "test", f"--config.file={CONFIGURATION}", f"--verify.receivers={receiver}", *pairs
    )
    assert routed.returncode == 0, routed.stdout + routed.stderr


@pytest.mark.parametrize("alert", alerts(PARAMETERS), ids=lambda alert: alert.name)
def test_every_alert_that_is_for_people_reaches_somebody(alert: Any) -> None:
    routed = amtool(
        *("config", "routes", "test", f"--config.file={CONFIGURATION}"),
        *(f"alertname={alert.name}", f"severity={alert.severity}", "job=tidegauge"),
    )
    assert routed.returncode == 0, routed.stderr
    silent = routed.stdout.strip() == "nobody"
    assert silent == (alert.name == "ModelUnobserved")


def test_nobody_gets_up_because_something_has_moved() -> None:
    severities: dict[str, set[str]] = {}
    for alert in alerts(PARAMETERS):
        if re.fullmatch(r"Model(InputDrift|ScoreDrift|SchemaChanged)", alert.name):
            severities.setdefault(alert.name, set()).add(alert.severity)
    assert severities == {
        "ModelInputDrift": {"warning"},
        "ModelScoreDrift": {"warning", "info"},
        "ModelSchemaChanged": {"warning", "info"},
    }


@pytest.fixture(scope="module")
def muting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """An Alertmanager with the committed inhibition rules that notifies nobody who listens."""
    directory = tmp_path_factory.mktemp("muting")
    with WebSink() as sink, Alertmanager(trial.alertmanager(directory, receiver=sink.url, faster=1000)) as manager:
        yield manager


def about(name: str, severity: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": severity, **labels}, "annotations": {"summary": "x"}}


DOWN = about("TidegaugeDown", "critical", job="tidegauge", instance="a:8433")


@pytest.mark.parametrize(
    ("sources", "target", "muted"),
    [
        (
            [about("ModelObjectiveMissed", "critical", **FRAUD, version="v2")],
            about("ModelObjectiveAtRisk", "warning", **FRAUD, version="v1"),
            True,
        ),
        (
            [about("ModelObjectiveMissed", "critical", **FRAUD)],
            about("ModelObjectiveAtRisk", "warning", job="tidegauge", model="spam"),
            False,
        ),
        (
            [about("ModelObjectiveMissed", "critical", **FRAUD)],
            about("ModelObjectiveAtRisk", "warning", job="staging", model="fraud"),
            False,
        ),
        (
            [about("ModelObjectiveMissed", "critical", **FRAUD)],
            about("TidegaugeDroppingSeries", "warning", **FRAUD),
            False,
        ),
        ([about("ModelObjectiveMissed", "critical", **FRAUD)], about("ModelSilent", "critical", **FRAUD), False),
        ([DOWN], about("ModelSilent", "critical", **FRAUD), False),
        ([DOWN], about("TidegaugeLagging", "warning", job="tidegauge", instance="a:8433"), True),
        ([DOWN], about("TidegaugeLagging", "warning", job="tidegauge", instance="b:8433"), False),
        ([about("ModelUnobserved", "none", **FRAUD)], about("ModelObjectiveMissed", "critical", **FRAUD), True),
        ([about("ModelUnobserved", "none", **FRAUD)], about("ModelSilent", "critical", **FRAUD), True),
        (
            [about("ModelUnobserved", "none", **FRAUD)],
            about("ModelSilent", "critical", job="tidegauge", model="spam"),
            False,
        ),
        ([about("ModelUnobserved", "none", **FRAUD)], DOWN, False),
        (
            [about("TidegaugeAbsent", "critical", job="tidegauge")],
            about("ModelObjectiveMissed", "critical", **FRAUD),
            True,
        ),
        (
            [about("TidegaugeAbsent", "critical", job="tidegauge")],
            about("ModelObjectiveMissed", "critical", job="staging", model="fraud"),
            False,
        ),
        (
            [about("ModelFeedbackSilent", "warning", **FRAUD, channel="outcome")],
            about("ModelScoreVanished", "warning", **FRAUD, channel="outcome"),
            True,
        ),
        (
            [about("ModelFeedbackSilent", "warning", **FRAUD, channel="outcome")],
            about("ModelScoreVanished", "warning", **FRAUD, channel="audit"),
            False,
        ),
        (
            [about("ModelCoverageLost", "warning", **FRAUD, channel="outcome", window="1h")],
            about("ModelScoreVanished", "warning", **FRAUD, channel="outcome", window="1h"),
            True,
        ),
        ([about("ModelSilent", "critical", **FRAUD)], about("ModelTrafficCollapsed", "warning", **FRAUD), True),
        ([about("ModelDegrading", "warning", **ACCURACY)], about("ModelSliceDegrading", "warning", **GERMANY), True),
        (
            [about("ModelDegrading", "warning", **{**ACCURACY, "metric": "brier"})],
            about("ModelSliceDegrading", "warning", **GERMANY),
            False,
        ),
        (
            [about("ModelDegrading", "warning", **{**ACCURACY, "version": "v1"})],
            about("ModelSliceDegrading", "warning", **GERMANY),
            False,
        ),
        (
            [about("ModelSliceDegrading", "warning", **GERMANY)],
            about("ModelDegrading", "warning", **ACCURACY),
            False,
        ),
        (
            [about("ModelReleaseRegressed", "critical", **FRAUD, version="v2", baseline_version="v1")],
            about("ModelSliceDegrading", "warning", **GERMANY),
            True,
        ),
        (
            [about("ModelReleaseRegressed", "critical", **FRAUD, version="v2", baseline_version="v1")],
            about("ModelObjectiveMissed", "critical", **FRAUD, version="v2"),
            False,
        ),
        # What moved is explained by what broke, and says nothing about who is not asked or cannot be seen.
        ([about("ModelFeatureBroken", "critical", **AMOUNT)], about("ModelInputDrift", "warning", **INPUTS), True),
        ([about("ModelFeatureBroken", "critical", **AMOUNT)], about("ModelScoreDrift", "warning", **INPUTS), True),
        (
            [about("ModelFeatureBroken", "critical", **AMOUNT)],
            about("ModelSchemaChanged", "warning", **FRAUD, change="vanished"),
            True,
        ),
        (
            [about("ModelFeatureBroken", "critical", **AMOUNT)],
            about("ModelInputDrift", "warning", **{**INPUTS, "model": "spam"}),
            False,
        ),
        ([about("ModelInputDrift", "warning", **INPUTS)], about("ModelFeatureBroken", "critical", **AMOUNT), False),
        ([about("ModelInputDrift", "warning", **INPUTS)], about("ModelScoreDrift", "warning", **INPUTS), False),
        ([about("ModelSilent", "critical", **FRAUD)], about("ModelFeatureBroken", "critical", **AMOUNT), True),
        ([about("ModelSilent", "critical", **FRAUD)], about("ModelInputDrift", "warning", **INPUTS), True),
        ([about("ModelUnobserved", "none", **FRAUD)], about("ModelFeatureBroken", "critical", **AMOUNT), True),
        ([about("ModelUnobserved", "none", **FRAUD)], about("ModelInputDrift", "warning", **INPUTS), True),
        ([about("ModelUnobserved", "none", **FRAUD)], about("ModelScoreDrift", "warning", **INPUTS), True),
        ([about("ModelUnobserved", "none", **FRAUD)], about("ModelSchemaChanged", "info", **FRAUD), True),
        (
            [about("TidegaugeAbsent", "critical", job="tidegauge")],
            about("ModelFeatureBroken", "critical", **AMOUNT),
            True,
        ),
        ([about("Watchdog", "none")], about("ModelObjectiveMissed", "critical", **FRAUD), False),
        (
            [about("SomethingElse", "critical")],
            about("TidegaugeLagging", "warning", job="tidegauge", instance="a:8433"),
            False,
        ),
    ],
)
def test_what_mutes_what(
    muting: Alertmanager, sources: list[dict[str, Any]], target: dict[str, Any], muted: bool
) -> None:
    everything = [*sources, target]
    muting.post(everything)
    name = target["labels"]["alertname"]
    try:
        if muted:
            wait_until(lambda: muting.muted_by(name), seconds=5, what=f"{name} to be muted")
            assert muting.muted_by(name) == {source["labels"]["alertname"] for source in sources}
        else:
            time.sleep(0.3)
            assert any(alert["labels"] == target["labels"] for alert in muting.alerts())
            assert muting.muted_by(name) == set()
    finally:
        muting.post([{**alert, "endsAt": "2020-01-01T00:00:00Z"} for alert in everything])
        wait_until(lambda: not muting.alerts(), seconds=10, what="the alerts to be gone")


def test_ten_slices_are_one_notification(tmp_path: Path) -> None:
    with WebSink() as sink, Alertmanager(trial.alertmanager(tmp_path, receiver=sink.url, faster=30)) as manager:
        manager.post(
            [about("ModelSliceDegrading", "warning", **{**GERMANY, "slice_value": f"country {n}"}) for n in range(10)]
        )
        sink.wait("ModelSliceDegrading", "firing")
        assert [len(call.body["alerts"]) for call in sink.calls] == [10]


# --- what people read -------------------------------------------------------------------------------------------------


def alert_of(
    name: str, severity: str, start: str, *, description: str | None = None, board: str = "model", **labels: str
) -> dict[str, Any]:
    """As Prometheus sends it, with this alert's own texts."""
    summary = next(alert.summary for alert in alerts(PARAMETERS) if alert.name == name)
    where = f"{PARAMETERS.grafana}/d/tidegauge-{board}"
    link = f"{where}?var-job=tidegauge&var-model={quote_plus(labels.get('model', ''))}"
    return {
        "labels": {"alertname": name, "severity": severity, "job": "tidegauge", **labels},
        "annotations": {
            "summary": summary,
            "description": description
            or f"Model {labels.get('model')}, version {labels.get('version', 'v1')}: accuracy is 0.85 over "
            "the last 1h; its objective is at least 0.9 & more than <0.8>.",
            "runbook_url": f"{PARAMETERS.runbooks}/{name}.md",
            "dashboard_url": link,
        },
        "startsAt": start,
        "endsAt": "2099-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
    }


MISSED = alert_of(
    "ModelObjectiveMissed", "critical", "2026-03-05T09:12:00Z", model="fraud", version="v2", owner="payments"
)
RISK = alert_of("ModelObjectiveAtRisk", "warning", "2026-03-05T07:00:00Z", model="spam", version="<!channel>")
LOST = alert_of("ModelCoverageLost", "warning", "2026-03-05T07:30:00Z", model="spam", channel="outcome")
# A join upstream has failed: one page, whatever the number of features.
DEAD = [
    alert_of(
        "ModelFeatureBroken",
        "critical",
        "2026-03-05T02:10:00Z",
        description=f"Model churn, version v3: {feature} has vanished from the records (over the last 24h: 1055 "
        "missing). No alert on the quality of this version fires.",
        board="drift",
        model="churn",
        version="v3",
        feature=feature,
    )
    for feature in ("balance", "country", "tenure")
]
MOVED = alert_of(
    "ModelInputDrift",
    "warning",
    "2026-03-05T06:15:00Z",
    description="Model prices, version v5: 4 of 6 inputs moved at about 2026-03-05 05:30:00 +0000 UTC (45m 0s ago), "
    "compared with its own last weeks at the same hours. Most of it: area (62% of the shift), heating (20% of the "
    "shift; unseen), age (10% of the shift; out of range). No alert on the quality of this version fires.",
    board="drift",
    model="prices",
    version="v5",
    reference="trailing",
)
ODD = alert_of("ModelSilent", "critical", "2026-03-05T08:00:00Z", model="<!here> & co")


def delivering(directory: Path, sink: WebSink, mail: MailSink) -> Path:
    """The committed configuration with its receivers as they are, but sent to loopback, and without waiting."""
    shutil.copytree(trial.HERE / "templates", directory / "templates")
    (directory / "secrets").mkdir()
    for name, secret in {"slack_url": f"{sink.url}/slack", "pagerduty_key": "key", "webhook_token": "token"}.items():
        (directory / "secrets" / name).write_text(secret)
    text = CONFIGURATION.read_text(encoding="utf-8").replace("http://localhost:9095", sink.url)
    text = text.replace("/etc/alertmanager/secrets", str(directory / "secrets"))
    settings = yaml.safe_load(text)
    settings["global"] |= {
        "smtp_smarthost": mail.address,
        "smtp_require_tls": False,
        "pagerduty_url": f"{sink.url}/enqueue",
    }
    del settings["global"]["smtp_auth_username"], settings["global"]["smtp_auth_password_file"]
    trial.hasten(settings["route"], 1000)
    path = directory / "alertmanager.yml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that the receivers were sent, by kind and occasion; times that depend on the test are replaced."""
    with WebSink() as sink, MailSink() as mail:
        path = delivering(tmp_path_factory.mktemp("delivering"), sink, mail)
        with Alertmanager(path) as manager:
            manager.post([MISSED, RISK, LOST, ODD, *DEAD, MOVED])

            def sent(path: str, word: str) -> str | None:
                bodies = (
                    json.dumps(call.body, indent=2, ensure_ascii=False) for call in sink.calls if call.path == path
                )
                return next((body for body in bodies if word in body), None)

            def mailed(word: str) -> Any:
                return next((one for one in mail.messages if word in one["Subject"]), None)

            def found(path: str, word: str) -> str:
                return stable(wait_until(lambda: sent(path, word), what=f"{word} at {path}"))

            texts = {
                "slack-fired.json": found("/slack", "Critical: fraud"),
                "slack-markup.json": found("/slack", "ModelSilent"),
                "slack-two.json": found("/slack", "Warning: spam"),
                "slack-features.json": found("/slack", "Critical: churn"),
                "slack-drift.json": found("/slack", "Warning: prices"),
                "pagerduty-fired.json": found("/enqueue", "Critical: fraud"),
                "pagerduty-features.json": found("/enqueue", "Critical: churn"),
                "webhook-fired.json": found("/alerts", '"receiver": "payments-pager"'),
            }
            message = wait_until(lambda: mailed("spam"), what="the mail")
            texts["email-two.subject"] = str(message["Subject"]) + "\n"
            texts["email-two.txt"] = stable(message.get_body(("plain",)).get_content())
            texts["email-two.html"] = stable(message.get_body(("html",)).get_content())
            manager.post([{**MISSED, "endsAt": "2026-03-05T10:40:00Z"}])
            texts["slack-resolved.json"] = found("/slack", '"color": "good"')
            texts["pagerduty-resolved.json"] = found("/enqueue", "Resolved: fraud")
            texts["webhook-resolved.json"] = found("/alerts", '"status": "resolved"')
            # The secret is the content of its file.
            assert {call.headers.get("Authorization") for call in sink.calls if call.path == "/alerts"} == {
                "Bearer token"
            }
    return texts


def shown(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def stable(text: str) -> str:
    """Without what differs from run to run: keys made of ports, and order of nothing else."""
    text = re.sub(r'"(dedup_key|groupKey|fingerprint)": "(?:[^"\\]|\\.)*"', r'"\1": "..."', text)
    return text.replace("\r\n", "\n").rstrip("\n") + "\n"


MESSAGES = (
    "slack-fired.json",
    "slack-two.json",
    "slack-markup.json",
    "slack-features.json",
    "slack-drift.json",
    "slack-resolved.json",
    "pagerduty-fired.json",
    "pagerduty-features.json",
    "pagerduty-resolved.json",
    "webhook-fired.json",
    "webhook-resolved.json",
    "email-two.subject",
    "email-two.txt",
    "email-two.html",
)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_delivered_message_reads_as_it_should(delivered: dict[str, str], name: str) -> None:
    path = GOLDEN / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(delivered[name], encoding="utf-8")
    assert delivered[name] == path.read_text(encoding="utf-8")


def test_the_golden_files_are_all_used() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(MESSAGES)


def test_markup_in_names_from_the_logs_stays_text(delivered: dict[str, str]) -> None:
    assert "<!channel>" not in delivered["slack-two.json"]
    assert "&lt;!channel&gt;" in delivered["slack-two.json"]
    assert "<!channel>" not in delivered["email-two.html"]
    assert "<!here>" not in delivered["slack-markup.json"]
    assert json.loads(delivered["slack-markup.json"])["attachments"][0]["title"].startswith(
        "Critical: &lt;!here&gt; &amp; co"
    )


def test_the_first_line_fits_a_phone(delivered: dict[str, str]) -> None:
    titles = [
        json.loads(text)["attachments"][0]["title"] for name, text in delivered.items() if name.startswith("slack")
    ]
    assert all(len(title) <= 70 for title in titles), titles
    assert titles[0] == "Critical: fraud v2: ModelObjectiveMissed"
