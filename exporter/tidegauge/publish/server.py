"""The exporter's HTTP server: serves the bytes of the latest publication while everything else goes on.

What is served changes only through `publish`, whole and at once. Connections are the listener's business, and who may
ask is the access's; here a request is routed and answered.
"""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tidegauge.publish.access import Access
from tidegauge.publish.listener import Limits, Listener
from tidegauge.publish.negotiation import OPENMETRICS_TYPE, TEXT_TYPE, accepts_gzip, wants_openmetrics
from tidegauge.publish.render import LabelCache, Rendered, render_lines
from tidegauge.publish.request import Request, Response
from tidegauge.publish.samples import AnySamples

_RELOADS_WAITING = 4
_REASONS = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.SERVICE_UNAVAILABLE: "busy",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
}
_READERS = ("GET", "HEAD")
_PAGE_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
_METRICS_HEADERS = (("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "no-store"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """One result as it is to be served until the next."""

    samples: Sequence[AnySamples]
    page: bytes  # HTML of /
    ready: bool


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the server asks of the exporter; called from its threads."""

    healthy: Callable[[], bool]
    reload: Callable[[], tuple[bool, str]]  # whether it succeeded, and a message for people


class _Published:
    """A publication with its renderings, each made when first asked for and then kept."""

    def __init__(self, publication: Publication, lines: Rendered) -> None:
        self.page = publication.page
        self.ready = publication.ready
        self._lines = lines
        self._lock = threading.Lock()
        self._bodies: dict[tuple[bool, bool], bytes] = {}

    def metrics(self, *, openmetrics: bool, compressed: bool) -> bytes:
        with self._lock:
            body = self._bodies.get((openmetrics, compressed))
            if body is None:
                body = self._lines.page(openmetrics=openmetrics)
                if compressed:
                    body = gzip.compress(body, compresslevel=1, mtime=0)
                self._bodies[openmetrics, compressed] = body
            return body


class Server:
    """Serves /metrics, /, /-/healthy, /-/ready and /-/reload.

    `address` is "host:port": an empty host means every interface, an IPv6 host stands in brackets, port 0 picks one.
    Raises ValueError for an address that is none. Until the first `publish`, /metrics and / answer 503.
    """

    def __init__(
        self,
        address: str,
        hooks: Hooks,
        *,
        enable_lifecycle: bool = False,
        access: Access | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._listener = Listener(address, self._answer, limits or Limits(), access)
        self._hooks = hooks
        self._access = access
        self._enable_lifecycle = enable_lifecycle
        self._reloading = threading.BoundedSemaphore(_RELOADS_WAITING)
        self._published: _Published | None = None
        self._cache = LabelCache()
        self._publishing = threading.Lock()
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[Request], Response]]] = {
            "/": (_READERS, self._page),
            "/metrics": (_READERS, self._metrics),
            "/-/healthy": (_READERS, self._healthy),
            "/-/ready": (_READERS, self._ready),
            "/-/reload": (("POST", "PUT"), self._reload),
        }

    @property
    def port(self) -> int:
        """The port listened on, also when 0 was asked for."""
        return self._listener.port

    @property
    def refused(self) -> dict[str, int]:
        """How many clients were not served, by reason."""
        return self._listener.refusals.counts()

    def start(self) -> None:
        """Starts listening. Raises OSError if the address is taken or not this host's."""
        self._listener.start()
        if self._access is not None:
            self._access.start()

    def publish(self, publication: Publication) -> None:
        """Serves this from now on. Renders in the calling thread; calls from several threads take turns."""
        with self._publishing:
            self._published = _Published(publication, render_lines(publication.samples, self._cache))

    def stop(self) -> None:
        """Stops listening, lets answers under way finish for a moment, closes all connections. May be called twice."""
        if self._access is not None:
            self._access.stop()
        self._listener.stop()

    # --- routes -------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request, client: str) -> Response:
        refusal = self._access.refusal(request, client) if self._access is not None else None
        if refusal is not None:
            self._listener.refusals.count(_REASONS[refusal.status])
            return refusal
        route = self._routes.get(request.path)
        if route is None:
            return _plain(HTTPStatus.NOT_FOUND, "not found; there are " + " ".join(self._routes))
        methods, handler = route
        if request.method not in methods:
            allowed = ", ".join(methods)
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, f"allowed: {allowed}", ("Allow", allowed))
        try:
            return handler(request)
        except Exception:
            _log.exception("cannot answer %s", request.path)
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the exporter's log")

    def _page(self, _: Request) -> Response:
        if self._published is None:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "starting")
        return Response(HTTPStatus.OK, self._published.page, "text/html; charset=utf-8", _PAGE_HEADERS)

    def _metrics(self, request: Request) -> Response:
        published = self._published
        if published is None:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "starting")
        openmetrics = wants_openmetrics(request.headers.get("accept", ""))
        compressed = accepts_gzip(request.headers.get("accept-encoding", ""))
        return Response(
            HTTPStatus.OK,
            published.metrics(openmetrics=openmetrics, compressed=compressed),
            OPENMETRICS_TYPE if openmetrics else TEXT_TYPE,
            (*_METRICS_HEADERS, ("Content-Encoding", "gzip")) if compressed else _METRICS_HEADERS,
        )

    def _healthy(self, _: Request) -> Response:
        if self._hooks.healthy():
            return _plain(HTTPStatus.OK, "healthy")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "refreshes have stopped")

    def _ready(self, _: Request) -> Response:
        if self._published is not None and self._published.ready:
            return _plain(HTTPStatus.OK, "ready")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "still reading what the logs held at start")

    def _reload(self, _: Request) -> Response:
        if not self._enable_lifecycle:
            return _plain(HTTPStatus.FORBIDDEN, "reloading over HTTP needs --web.enable-lifecycle")
        # Each holds a connection that cannot be given up meanwhile.
        if not self._reloading.acquire(blocking=False):
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "a reload is under way")
        try:
            succeeded, message = self._hooks.reload()
        finally:
            self._reloading.release()
        return _plain(HTTPStatus.OK if succeeded else HTTPStatus.INTERNAL_SERVER_ERROR, message)


def _plain(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, f"{text}\n".encode(), headers=headers)
