"""The release families of an exporter as a page, written by hand, and a server that hands out pages or answers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from tests.certificates import Certificate
from tests.processes import LOOPBACK

STRANGE = 'a"b\\n{c="d"}\nü'
"""A model and a version that need escaping."""

VERDICTS = ("roll_back", "promote", "keep_watching")


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def release(
    overall: str,
    *,
    model: str = "fraud",
    version: str = "v2",
    baseline: str = "v1",
    difference: float = -0.024,
    needed: float = 0,
) -> str:
    """What an exporter publishes of one comparison: accuracy on the channel "outcome", and latency."""
    place = f'model="{escaped(model)}",version="{escaped(version)}",baseline_version="{escaped(baseline)}"'
    accuracy = f'{place},channel="outcome",metric="accuracy"'
    design = f'{accuracy},design="concurrent"'
    latency = f'{place},channel="",metric="latency_seconds"'
    lines = [f'model_version_info{{model="{escaped(model)}",version="{escaped(baseline)}",baseline_version=""}} 1']
    lines.append(f"model_version_info{{{place}}} 1")
    for verdict in VERDICTS:
        now = int(verdict == overall)
        lines.append(f'model_release_verdict{{{place},channel="",metric="overall",verdict="{verdict}"}} {now}')
        lines.append(f'model_release_verdict{{{accuracy},verdict="{verdict}"}} {now}')
        lines.append(f'model_release_verdict{{{latency},verdict="{verdict}"}} {int(verdict == "keep_watching")}')
    lines += [
        f"model_release_difference{{{design}}} {difference}",
        f"model_release_difference_lower{{{design}}} {difference - 0.01:.4f}",
        f"model_release_difference_upper{{{design}}} {difference + 0.01:.4f}",
        f'model_release_evidence{{{design},hypothesis="harm"}} 154',
        f'model_release_evidence{{{design},hypothesis="non_inferiority"}} 0.0004',
        f'model_release_evidence_threshold{{{design},hypothesis="harm"}} 20',
        f'model_release_evidence_threshold{{{design},hypothesis="non_inferiority"}} 20',
        f'model_release_samples{{{design},arm="candidate"}} 2160',
        f'model_release_samples{{{design},arm="baseline"}} 41040',
        f"model_release_samples_needed{{{design}}} {needed}",
        f"model_release_margin{{{accuracy}}} 0.01",
        f"model_release_start_timestamp_seconds{{{place}}} 1.7e9",
    ]
    return "".join(f"{line}\n" for line in lines)


@dataclass
class Reply:
    """What the server says to a GET."""

    body: str
    status: int = 200
    kind: str = "text/plain; version=0.0.4; charset=utf-8"
    location: str | None = None


@dataclass
class Site:
    """An HTTP server on loopback; the replies are given in turn, the last one for good. It keeps what it was asked."""

    replies: list[Reply]
    certificate: Certificate | None = None
    queries: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Site:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                site.paths.append(parts.path)
                site.queries += parse_qs(parts.query).get("query", [])
                site.authorizations.append(self.headers.get("Authorization"))
                reply = site.replies.pop(0) if len(site.replies) > 1 else site.replies[0]
                body = reply.body.encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(len(body)))
                if reply.location:
                    self.send_header("Location", reply.location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate.file, self.certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        scheme = "http" if self.certificate is None else "https"
        self.url = f"{scheme}://{LOOPBACK}:{self._server.server_address[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def several_targets(directory: Path, targets: Sequence[str]) -> None:
    """A configuration of Prometheus, written before its start, that scrapes them all every second."""
    addresses = ", ".join(f"'{target.removeprefix('http://')}'" for target in targets)
    (directory / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: tidegauge, static_configs: [{{targets: [{addresses}]}}]}}]\n"
    )
