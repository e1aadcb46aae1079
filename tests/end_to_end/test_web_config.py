"""The real exporter behind TLS and passwords: scraped by the real Prometheus, renewed while it runs, checked before."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import bcrypt
import pytest
import requests

from tests import certificates
from tests.end_to_end import logs
from tests.processes import LOOPBACK, PATIENCE, Exporter, PrometheusServer, parse, tidegauge_command, wait_until

LOGIN = ("prometheus", "sesame")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with logs, and beside it web.yml with a certificate and one user."""
    logs.append(
        tmp_path / "predictions.jsonl",
        (logs.prediction("fraud", "v1", n, logs.START + n * 1_000, "1", score=0.5) for n in range(100)),
    )
    (tmp_path / "feedback.jsonl").touch()
    authority = certificates.authority(tmp_path)
    certificates.issue(authority, "server")
    certificates.issue(authority, "next")
    hashed = bcrypt.hashpw(LOGIN[1].encode(), bcrypt.gensalt(10)).decode()
    (tmp_path / "web.yml").write_text(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
        f"basic_auth_users:\n  {LOGIN[0]}: {hashed}\n"
    )
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    return config


def protected(config: Path) -> Exporter:
    return Exporter(config, "--web.config.file", str(config.with_name("web.yml"))).launch().wait_listening()


def get(exporter: Exporter, path: str, login: tuple[str, str] | None = LOGIN) -> requests.Response:
    authority = str(exporter.config.with_name("authority.crt"))
    return requests.get(f"https://{LOOPBACK}:{exporter.port}{path}", auth=login, verify=authority, timeout=PATIENCE)


def refused(exporter: Exporter, reason: str) -> float | None:
    return parse(get(exporter, "/metrics").text).value("tidegauge_http_refused_total", reason=reason)


def reload_metric(exporter: Exporter) -> float | None:
    return parse(get(exporter, "/metrics").text).value("tidegauge_web_config_last_reload_successful")


def test_prometheus_scrapes_over_tls_with_a_password(config: Path, tmp_path: Path) -> None:
    with protected(config) as exporter:
        prometheus = PrometheusServer(
            exporter.url,
            tmp_path / "prometheus",
            scrape=f"    scheme: https\n    tls_config: {{ca_file: {tmp_path / 'authority.crt'}}}\n"
            f"    basic_auth: {{username: {LOGIN[0]}, password: {LOGIN[1]}}}\n",
        )
        with prometheus:
            prometheus.wait_scraped()
            wait_until(lambda: prometheus.query("sum(model_predictions_total)"), what="the predictions")
            (total,) = prometheus.query("sum(model_predictions_total)").values()
            assert total == 100
            assert set(prometheus.query("tidegauge_web_config_last_reload_successful").values()) == {1}
        assert exporter.stop() == 0


def test_nothing_is_served_without_the_password(config: Path) -> None:
    with protected(config) as exporter:
        for path in ("/", "/metrics", "/-/healthy", "/-/ready"):
            for login in (None, ("prometheus", "guess"), ("admin", "sesame")):
                assert get(exporter, path, login).status_code == 401
        wait_until(lambda: get(exporter, "/-/ready").status_code == 200, what="readiness")
        wait_until(lambda: refused(exporter, "unauthorized") == 12, what="the count of the refused")
        assert refused(exporter, "evicted") == 0
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"https://{LOOPBACK}:{exporter.port}/metrics", auth=LOGIN, timeout=PATIENCE)
        assert "sesame" not in exporter.said()


def test_a_renewed_certificate_is_shown_and_a_broken_file_is_a_metric(config: Path) -> None:
    def shown() -> str:
        return ssl.get_server_certificate((LOOPBACK, exporter.port))

    def der(name: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert(config.with_name(name).read_text())

    with protected(config) as exporter:
        assert ssl.PEM_cert_to_DER_cert(shown()) == der("server.crt")
        for suffix in ("crt", "key"):
            shutil.copy(config.with_name(f"next.{suffix}"), config.with_name(f"server.{suffix}"))
        wait_until(lambda: ssl.PEM_cert_to_DER_cert(shown()) == der("next.crt"), what="the renewed certificate")
        assert reload_metric(exporter) == 1
        web = config.with_name("web.yml")
        good = web.read_text()
        web.write_text(good + "surprise: 1\n")
        wait_until(lambda: reload_metric(exporter) == 0, what="the metric of the broken file")
        assert "surprise" in exporter.said()
        web.write_text(good)
        wait_until(lambda: reload_metric(exporter) == 1, what="the metric of the repaired file")


def test_without_a_web_configuration_there_is_no_metric_about_it(config: Path) -> None:
    with Exporter(config) as exporter:
        assert "tidegauge_web_config" not in exporter.page()


def test_check_explains_both_files_or_tells_what_is_wrong_with_both(config: Path) -> None:
    web = config.with_name("web.yml")
    answer = tidegauge_command("check", "--config.file", config, "--web.config.file", web)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"{web}: valid\n  TLS; basic authentication of prometheus\n" in answer.stdout
    web.write_text(web.read_text() + "surprise: 1\n")
    config.write_text(config.read_text().replace("task: binary", "task: binry"))
    for command in ("check", "run"):
        answer = tidegauge_command(command, "--config.file", config, "--web.config.file", web)
        assert answer.returncode == 2
        assert f"{web}:6: surprise: found an unknown key" in answer.stderr
        assert 'models[0].task: found "binry"' in answer.stderr
        assert "Traceback" not in answer.stderr


def test_the_key_does_not_touch_the_disk_when_it_stands_in_the_file(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def block(key: str, name: str) -> str:
        return f"  {key}: |\n" + "".join(f"    {line}\n" for line in (tmp_path / name).read_text().splitlines())

    web = config.with_name("web.yml")
    web.write_text("tls_server_config:\n" + block("cert", "server.crt") + block("key", "server.key"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with Exporter(config, "--web.config.file", str(web)).launch().wait_listening() as exporter:
        assert get(exporter, "/-/healthy", None).status_code == 200
        assert list((tmp_path / "tmp").iterdir()) == []
