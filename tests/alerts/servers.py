"""What alerts need around them: the real Alertmanager, and receivers on loopback that keep what comes."""

from __future__ import annotations

import json
import shutil
import socketserver
import threading
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tests.processes import LOOPBACK, PATIENCE, _Process, free_port, tool, wait_until


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a receiver was sent."""

    path: str
    headers: dict[str, str]
    body: Any  # parsed JSON


class WebSink:
    """An HTTP server that answers every POST with 200 and keeps it; webhook, Slack and PagerDuty all send JSON."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._changed = threading.Condition()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with sink._changed:
                    sink.calls.append(Call(self.path, dict(self.headers), json.loads(body)))
                    sink._changed.notify_all()
                answer = b'{"status":"success"}' if "enqueue" in self.path else b"ok"
                self.send_response(202 if "enqueue" in self.path else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def alerts(self, name: str, status: str, *, since: int = 0) -> list[dict[str, Any]]:
        """Alerts of that name and status in the webhook calls from number `since` on."""
        return [
            {**alert, "receiver": call.body["receiver"]}
            for call in self.calls[since:]
            for alert in call.body.get("alerts", ())
            if alert["labels"]["alertname"] == name and alert["status"] == status
        ]

    def wait(self, name: str, status: str, *, since: int = 0, seconds: float = PATIENCE) -> dict[str, Any]:
        """The first such alert, as soon as it is there."""

        def look() -> dict[str, Any] | None:
            return next(iter(self.alerts(name, status, since=since)), None)

        return wait_until(look, seconds=seconds, what=f"{name} {status} at the receiver")

    def __enter__(self) -> WebSink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MailSink:
    """An SMTP server without encryption that takes every message and keeps it."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 sink\r\n")
                while line := self.rfile.readline():
                    word = line[:4].upper().strip()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        sink.messages.append(_message(self._data()))
                    answer = b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n"
                    self.wfile.write(answer)
                    if word == b"QUIT":
                        return

            def _data(self) -> bytes:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                return b"".join(lines)

        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.address = f"{LOOPBACK}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> MailSink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _message(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


class Alertmanager(_Process):
    """The real Alertmanager, alone (no cluster), with an empty state."""

    def __init__(self, config: Path) -> None:
        super().__init__("Alertmanager", config.with_name("alertmanager.log"))
        self._config = config
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.address = f"{LOOPBACK}:{self.port}"

    def start(self) -> Alertmanager:
        """Starts it; returns when it is ready."""
        # Debian has another name for it.
        program = shutil.which("alertmanager") or tool("prometheus-alertmanager")
        data = self._config.with_name("alertmanager-data")
        command: list[str | Path] = [program, f"--config.file={self._config}", f"--storage.path={data}"]
        command += [f"--web.listen-address={self.address}", "--cluster.listen-address="]
        command += ["--web.external-url=http://alertmanager.example"]
        command += ["--web.route-prefix=/"]
        self._launch(command, {})
        wait_until(self._ready, what="Alertmanager")
        return self

    def post(self, alerts: list[dict[str, Any]]) -> None:
        """Sends alerts as Prometheus would."""
        response = requests.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=PATIENCE)
        assert response.ok, response.text

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows, with `status.state` and `status.inhibitedBy`."""
        response = requests.get(f"{self.url}/api/v2/alerts", timeout=PATIENCE)
        assert response.ok, response.text
        found: list[dict[str, Any]] = response.json()
        return found

    def muted_by(self, name: str) -> set[str]:
        """The names of the alerts that inhibit the alert of that name."""
        known = self.alerts()
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in known}
        return {
            names[source]
            for alert in known
            if alert["labels"]["alertname"] == name
            for source in alert["status"]["inhibitedBy"]
            if source in names
        }

    def _ready(self) -> bool:
        self._must_run()
        try:
            return requests.get(f"{self.url}/-/ready", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    def __enter__(self) -> Alertmanager:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
