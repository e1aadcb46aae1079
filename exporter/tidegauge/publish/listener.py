"""Connections: accepted, secured, read, answered, and given up when somebody else needs the room.

Each connection has a thread that does nothing but shake hands, read a head, ask for the answer and send it. Whoever
makes the exporter wait, for a handshake, a request, or an answer to be taken, may lose the connection to a newcomer
when all places are taken: the one waited for longest goes first, so a newcomer always has time for a scrape.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tidegauge.publish.access import Access
from tidegauge.publish.request import (
    BadRequestError,
    ConnectionReader,
    Request,
    Response,
    end_writing,
    write_response,
)

MAX_CONNECTIONS = 512
REFUSALS = ("evicted", "handshake", "malformed", "unauthorized", "busy", "rate_limited")
_BACKLOG = 1024  # connections may come in bursts; one that finds no place in the queue tries again after a second
_SEND_BUFFER_BYTES = (
    128 << 10
)  # bounds what the kernel holds for clients that do not read; it would take megabytes each
_RECEIVE_BUFFER_BYTES = 64 << 10
_STOP_SECONDS = 2.0
_ADDRESS_ERRORS = (errno.EADDRINUSE, errno.EACCES)
_log = logging.getLogger(__name__)

Answer = Callable[[Request, str], Response]
"""Called from connections' threads with a request and the address that it comes from."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many clients there may be, and how long each may take."""

    connections: int = MAX_CONNECTIONS
    request_seconds: float = 10.0  # for a handshake; for a request's head to come
    response_seconds: float = 30.0  # for an answer to get through
    idle_seconds: float = (
        90.0  # between requests; longer than usual scrape intervals, which then need no new connection
    )


class Refusals:
    """Counts of clients that were not served, by reason; counted from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(REFUSALS, 0)

    def count(self, reason: str) -> None:
        with self._lock:
            self._counts[reason] += 1

    def counts(self) -> dict[str, int]:
        """All reasons with their counts so far, 0 included."""
        with self._lock:
            return dict(self._counts)


class _Connection:
    """A client's socket and its thread; `waiting_since` is None while its answer is being made."""

    def __init__(self, raw: socket.socket, client: str, converse: Callable[[_Connection], None]) -> None:
        self.socket = raw
        self.client = client
        self.thread = threading.Thread(target=converse, args=(self,), name="http-connection", daemon=True)
        self.waiting_since: float | None = time.monotonic()
        self.hung_up = False

    def wait_from_now(self) -> None:
        self.waiting_since = time.monotonic()

    def hang_up(self) -> None:
        # Unlike close, shutdown wakes the thread that waits on this socket; that thread then closes it. TLS has a
        # shutdown of its own, which would pull the rug from under that thread.
        self.hung_up = True
        with suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


class Listener:
    """Listens on `address` and answers requests by `answer`.

    `address` is "host:port": an empty host means every interface, an IPv6 host stands in brackets, port 0 picks one.
    Raises ValueError for an address that is none.
    """

    def __init__(self, address: str, answer: Answer, limits: Limits, access: Access | None = None) -> None:
        self._host, self._port = parse_address(address)
        self._answer = answer
        self._limits = limits
        self._access = access
        self.refusals = Refusals()
        self._connections: set[_Connection] = set()
        self._connections_changed = threading.Condition()
        self._socket: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._waker, self._wake = socket.socketpair()

    @property
    def port(self) -> int:
        """The port listened on, also when 0 was asked for."""
        if self._socket is None:
            return self._port
        port: int = self._socket.getsockname()[1]
        return port

    def start(self) -> None:
        """Starts listening. Raises OSError if the address is taken or not this host's."""
        self._socket = _listen(self._host, self._port)
        self._accepting = threading.Thread(target=self._accept, args=(self._socket,), name="http-accept", daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        """Stops listening, lets answers under way finish for a moment, closes all connections. May be called twice."""
        if self._accepting is not None:
            self._wake.send(b"\0")
            self._accepting.join()
            self._accepting = None
            self._hang_up_all()
        if self._socket is not None:
            self._socket.close()
        self._waker.close()
        self._wake.close()

    # --- coming and going ---------------------------------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._waker for key, _ in selector.select()):
                    return
                try:
                    raw, address = listening.accept()
                except BlockingIOError:
                    continue  # the client gave up between select and accept
                except OSError as error:
                    # Usually out of file descriptors: make room, and do not spin while there is none.
                    _log.warning("cannot accept a connection: %s", error)
                    self._evict()
                    time.sleep(0.1)
                    continue
                try:
                    self._admit(raw, str(address[0]))
                except OSError:
                    raw.close()  # a client that is gone again must not end the accepting of others

    def _admit(self, raw: socket.socket, client: str) -> None:
        with self._connections_changed:
            full = len(self._connections) >= self._limits.connections
        if full and not self._evict():
            raw.close()
            return
        raw.setblocking(True)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(raw, client, self._converse)
        with self._connections_changed:
            self._connections.add(connection)
        try:
            connection.thread.start()
        except RuntimeError as error:
            _log.warning("cannot serve a connection: %s", error)
            self._forget(connection)

    def _evict(self) -> bool:
        """Closes the connection whose client has been waited for longest; False if all answers are being made."""
        with self._connections_changed:
            since = {connection: connection.waiting_since for connection in self._connections}
            waiting = {connection: moment for connection, moment in since.items() if moment is not None}
            if not waiting:
                return False
            oldest = min(waiting, key=waiting.__getitem__)
            self._connections.remove(oldest)
        oldest.hang_up()
        self.refusals.count("evicted")
        return True

    def _forget(self, connection: _Connection) -> None:
        connection.socket.close()
        with self._connections_changed:
            self._connections.discard(connection)
            self._connections_changed.notify_all()

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

    # --- one connection -----------------------------------------------------------------------------------------------

    def _converse(self, connection: _Connection) -> None:
        try:
            if self._secure(connection):
                self._serve(connection)
        except OSError:
            return  # a client that went away, or too slow, is its own business
        except Exception:
            _log.exception("a connection ended unexpectedly")
        finally:
            self._forget(connection)

    def _secure(self, connection: _Connection) -> bool:
        """Shakes hands where TLS is spoken; False for a client that is not let in. Raises OSError."""
        context = self._access.context if self._access is not None else None
        if self._access is None or context is None:
            return True
        secured = context.wrap_socket(connection.socket, server_side=True, do_handshake_on_connect=False)
        connection.socket = secured
        if connection.hung_up:
            return False  # while the socket changed hands
        secured.settimeout(self._limits.request_seconds)
        try:
            secured.do_handshake()
        except ssl.SSLError as error:
            self.refusals.count("handshake")
            if error.reason == "HTTP_REQUEST":
                _tell_in_the_clear(secured)
                ConnectionReader(secured).drain()
            return False
        connection.wait_from_now()
        trusted = self._access.trusts(secured)
        if not trusted:
            self.refusals.count("handshake")
        return trusted

    def _serve(self, connection: _Connection) -> None:
        reader = ConnectionReader(connection.socket)
        timeout = self._limits.request_seconds
        while reader.wait(timeout):
            connection.wait_from_now()
            try:
                request = reader.read(self._limits.request_seconds)
            except BadRequestError as error:
                self.refusals.count("malformed")
                refusal = Response(error.status, f"{error}\n".encode())
                self._send(connection, refusal, with_body=True, keep_alive=False)
                reader.drain()
                return
            connection.waiting_since = None
            response = self._answer(request, connection.client)
            self._send(connection, response, with_body=request.method != "HEAD", keep_alive=request.keep_alive)
            if not request.keep_alive:
                reader.drain()
                return
            timeout = self._limits.idle_seconds
        end_writing(connection.socket)

    def _send(self, connection: _Connection, response: Response, *, with_body: bool, keep_alive: bool) -> None:
        connection.wait_from_now()
        write_response(
            connection.socket,
            response,
            with_body=with_body,
            keep_alive=keep_alive,
            timeout=self._limits.response_seconds,
            headers=self._access.headers if self._access is not None else (),
        )
        connection.wait_from_now()


def parse_address(address: str) -> tuple[str, int]:
    """Host ("" for every interface) and port of "host:port", ":port" or "[IPv6]:port". Raises ValueError."""
    host, separator, digits = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not (digits.isascii() and digits.isdigit()) or int(digits) > 65535:
        raise ValueError(f'"{address}" is not an address to listen on; write ":8433", "127.0.0.1:8433" or "[::1]:8433"')
    if ":" in host and not bracketed:
        raise ValueError(f'"{address}": an IPv6 address stands in brackets, as in "[::1]:8433"')
    return (host[1:-1] if bracketed else host), int(digits)


def _tell_in_the_clear(secured: ssl.SSLSocket) -> None:
    """Tells who speaks plain HTTP to TLS, which would otherwise be a riddle."""
    text = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nhere is HTTPS, not HTTP\n"
    with suppress(OSError):
        socket.socket.send(secured, text.encode("ascii"))


def _listen(host: str, port: int) -> socket.socket:
    if not host:
        try:
            listening = socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _ADDRESS_ERRORS:
                raise
            listening = socket.create_server(("", port), backlog=_BACKLOG)  # a host without IPv6
    else:
        family, _, _, _, resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(resolved, family=family, backlog=_BACKLOG)
    # Connections inherit these.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    listening.setblocking(False)
    return listening
