"""The exporter's HTTP server: serves the bytes of the latest publication while everything else goes on.

Each connection has a thread that does nothing but read a head, pick bytes and send them. What is served changes only
through `publish`, whole and at once. `_converse` is where a connection is accepted as it is (transport encryption would
wrap the socket there) and `_answer` where a request is judged before it is routed (authentication).
"""

from __future__ import annotations

import errno
import gzip
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tidegauge.publish.documents import Document
from tidegauge.publish.negotiation import OPENMETRICS_TYPE, TEXT_TYPE, accepts_gzip, wants_openmetrics
from tidegauge.publish.render import LabelCache, Rendered, render_lines
from tidegauge.publish.request import BadRequestError, ConnectionReader, Request, Response, write_response
from tidegauge.publish.samples import AnySamples

REQUEST_SECONDS = 10.0  # for a request's head to come
RESPONSE_SECONDS = 30.0  # for an answer to get through
IDLE_SECONDS = 90.0  # between requests; longer than usual scrape intervals, so that scrapes need no new connection
MAX_CONNECTIONS = 512
_STOP_SECONDS = 2.0
_ADDRESS_ERRORS = (errno.EADDRINUSE, errno.EACCES)
_READERS = ("GET", "HEAD")
_METRICS_HEADERS = (("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "no-store"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """One result as it is to be served until the next."""

    samples: Sequence[AnySamples]
    page: Document  # HTML of /
    status: Document  # JSON of /api/v1/status
    ready: bool


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the server asks of the exporter; called from its threads."""

    healthy: Callable[[], bool]
    reload: Callable[[], tuple[bool, str]]  # whether it succeeded, and a message for people


class _Published:
    """A publication with its renderings, each made when first asked for and then kept."""

    def __init__(self, publication: Publication, lines: Rendered) -> None:
        self.page, self.status = publication.page, publication.status
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


class _Connection:
    """A client's socket and its thread; `waiting_since` is None while a request is being answered."""

    def __init__(self, raw: socket.socket, converse: Callable[[_Connection], None]) -> None:
        self.socket = raw
        self.thread = threading.Thread(target=converse, args=(self,), name="http-connection", daemon=True)
        self.waiting_since: float | None = time.monotonic()

    def hang_up(self) -> None:
        # Unlike close, shutdown wakes the thread that waits on this socket; that thread then closes it.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


class Server:
    """Serves /metrics, /, /api/v1/status, /-/healthy, /-/ready and /-/reload.

    `address` is "host:port": an empty host means every interface, an IPv6 host stands in brackets, port 0 picks one.
    Raises ValueError for an address that is none. Until the first `publish`, what it
    publishes is answered by 503.
    """

    def __init__(
        self,
        address: str,
        hooks: Hooks,
        *,
        enable_lifecycle: bool = False,
        max_connections: int = MAX_CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._host, self._port = parse_address(address)
        self._hooks = hooks
        self._enable_lifecycle = enable_lifecycle
        self._max_connections = max_connections
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._published: _Published | None = None
        self._cache = LabelCache()
        self._publishing = threading.Lock()
        self._connections: set[_Connection] = set()
        self._connections_changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._waker, self._wake = socket.socketpair()
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[Request], Response]]] = {
            "/": (_READERS, self._page),
            "/metrics": (_READERS, self._metrics),
            "/api/v1/status": (_READERS, self._status),
            "/-/healthy": (_READERS, self._healthy),
            "/-/ready": (_READERS, self._ready),
            "/-/reload": (("POST", "PUT"), self._reload),
        }

    @property
    def port(self) -> int:
        """The port listened on, also when 0 was asked for."""
        if self._listener is None:
            return self._port
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Starts listening. Raises OSError if the address is taken or not this host's."""
        self._listener = _listen(self._host, self._port)
        self._accepting = threading.Thread(target=self._accept, name="http-accept", daemon=True)
        self._accepting.start()

    def publish(self, publication: Publication) -> None:
        """Serves this from now on. Renders in the calling thread; calls from several threads take turns."""
        with self._publishing:
            self._published = _Published(publication, render_lines(publication.samples, self._cache))

    def stop(self) -> None:
        """Stops listening, lets answers under way finish for a moment, closes all connections. May be called twice."""
        if self._accepting is not None:
            self._wake.send(b"\0")
            self._accepting.join()
            self._accepting = None
            self._hang_up_all()
        if self._listener is not None:
            self._listener.close()
        self._waker.close()
        self._wake.close()

    # --- connections --------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        listener = self._listener
        assert listener is not None
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._waker for key, _ in selector.select()):
                    return
                try:
                    raw, _ = listener.accept()
                except BlockingIOError:
                    continue  # the client gave up between select and accept
                except OSError as error:
                    # Usually out of file descriptors: make room, and do not spin while there is none.
                    _log.warning("cannot accept a connection: %s", error)
                    self._evict()
                    time.sleep(0.1)
                    continue
                self._admit(raw)

    def _admit(self, raw: socket.socket) -> None:
        with self._connections_changed:
            full = len(self._connections) >= self._max_connections
        if full and not self._evict():
            raw.close()
            return
        raw.setblocking(True)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(raw, self._converse)
        with self._connections_changed:
            self._connections.add(connection)
        try:
            connection.thread.start()
        except RuntimeError as error:
            _log.warning("cannot serve a connection: %s", error)
            self._forget(connection)

    def _evict(self) -> bool:
        """Closes the connection that has waited longest for its client; False if all are being answered."""
        with self._connections_changed:
            since = {connection: connection.waiting_since for connection in self._connections}
            waiting = {connection: moment for connection, moment in since.items() if moment is not None}
            if not waiting:
                return False
            oldest = min(waiting, key=waiting.__getitem__)
            self._connections.remove(oldest)
        oldest.hang_up()
        return True

    def _forget(self, connection: _Connection) -> None:
        connection.socket.close()
        with self._connections_changed:
            self._connections.discard(connection)
            self._connections_changed.notify_all()

    def _converse(self, connection: _Connection) -> None:
        reader = ConnectionReader(connection.socket)
        timeout = self._request_seconds
        try:
            while reader.wait(timeout):
                try:
                    request = reader.read(self._request_seconds)
                except BadRequestError as error:
                    refusal = _plain(error.status, f"{error}")
                    self._send(connection, refusal, with_body=True, keep_alive=False)
                    reader.drain()
                    return
                connection.waiting_since = None
                response = self._answer(request)
                self._send(connection, response, with_body=request.method != "HEAD", keep_alive=request.keep_alive)
                if not request.keep_alive:
                    reader.drain()
                    return
                connection.waiting_since = time.monotonic()
                timeout = self._idle_seconds
        except OSError:
            return  # a client that went away, or too slow, is its own business
        finally:
            self._forget(connection)

    def _send(self, connection: _Connection, response: Response, *, with_body: bool, keep_alive: bool) -> None:
        write_response(
            connection.socket, response, with_body=with_body, keep_alive=keep_alive, timeout=RESPONSE_SECONDS
        )

    def _hang_up_all(self) -> None:
        patience = time.monotonic() + _STOP_SECONDS
        with self._connections_changed:
            threads = [connection.thread for connection in self._connections]
            while self._connections and time.monotonic() < patience + _STOP_SECONDS:
                for connection in self._connections:
                    if connection.waiting_since is not None or time.monotonic() >= patience:
                        connection.hang_up()
                self._connections_changed.wait(0.05)
        for thread in threads:
            thread.join(max(0.0, patience + _STOP_SECONDS - time.monotonic()))

    # --- routes -------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Response:
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

    def _page(self, request: Request) -> Response:
        return self._document(request, None if self._published is None else self._published.page)

    def _status(self, request: Request) -> Response:
        return self._document(request, None if self._published is None else self._published.status)

    def _document(self, request: Request, document: Document | None) -> Response:
        if document is None:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "starting")
        return document.response(compressed=accepts_gzip(request.headers.get("accept-encoding", "")))

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
        succeeded, message = self._hooks.reload()
        return _plain(HTTPStatus.OK if succeeded else HTTPStatus.INTERNAL_SERVER_ERROR, message)


def parse_address(address: str) -> tuple[str, int]:
    """Host ("" for every interface) and port of "host:port", ":port" or "[IPv6]:port". Raises ValueError."""
    host, separator, digits = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not (digits.isascii() and digits.isdigit()) or int(digits) > 65535:
        raise ValueError(f'"{address}" is not an address to listen on; write ":8433", "127.0.0.1:8433" or "[::1]:8433"')
    if ":" in host and not bracketed:
        raise ValueError(f'"{address}": an IPv6 address stands in brackets, as in "[::1]:8433"')
    return (host[1:-1] if bracketed else host), int(digits)


def _listen(host: str, port: int) -> socket.socket:
    if not host:
        try:
            listener = socket.create_server(("", port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _ADDRESS_ERRORS:
                raise
            listener = socket.create_server(("", port), backlog=128)  # a host without IPv6
    else:
        family, _, _, _, resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(resolved, family=family, backlog=128)
    listener.setblocking(False)
    return listener


def _plain(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, f"{text}\n".encode(), headers=headers)
