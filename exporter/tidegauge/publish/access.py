"""Who may ask, and how connections are secured: the web configuration in force, followed while the exporter runs.

A watching thread looks at the files' metadata; connections and requests only read what is in force. A file that fails
keeps what was in force before.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tidegauge.config.tls import names_of
from tidegauge.config.web import Rate, WebSettings, load_web, plain_name
from tidegauge.publish.authentication import Authenticator, Verdict
from tidegauge.publish.request import Request, Response

WATCH_SECONDS = 0.5
"""Between two looks at the files. A changed file is read once two looks saw it the same, so not half-written."""
RETRY_SECONDS = 10.0
"""After a refusal the files are tried again this often, since what was missing need not be a file that is watched."""
_CHALLENGE = ("WWW-Authenticate", 'Basic realm="tidegauge", charset="UTF-8"')
_Signature = tuple[tuple[int, ...] | None, ...]
_log = logging.getLogger(__name__)


class Bucket:
    """A token bucket: full at first, a token more every `interval`."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(rate.burst)
        self._filled = clock()

    def take(self) -> bool:
        """Takes a token; False if there is none."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled) * 1000 / self._rate.interval
            self._tokens = min(float(self._rate.burst), self._tokens + gained)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


@dataclass(frozen=True, slots=True)
class _InForce:
    settings: WebSettings
    bucket: Bucket | None


class Access:
    """A web configuration file at work. Raises ConfigurationError if the file is refused at the start."""

    def __init__(self, path: Path, *, watch_seconds: float = WATCH_SECONDS) -> None:
        self._path = path
        self._watch_seconds = watch_seconds
        settings, self._signature = _load(path)
        self._force = _InForce(settings, Bucket(settings.rate) if settings.rate else None)
        self._authenticator = Authenticator()
        self._problem = ""  # of the files as they are now; empty: they are in force
        self._stopped = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="web-config", daemon=True)

    @property
    def reloaded(self) -> bool:
        """Whether what the files say now is in force."""
        return not self._problem

    @property
    def context(self) -> ssl.SSLContext | None:
        """For connections from now on; None: in the clear."""
        return self._force.settings.context

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """To be added to every answer."""
        return self._force.settings.headers

    def start(self) -> None:
        """Begins to follow the files."""
        self._watching.start()

    def stop(self) -> None:
        """Ends following; may be called without `start`, and twice."""
        self._stopped.set()
        if self._watching.is_alive():
            self._watching.join()

    def trusts(self, connection: ssl.SSLSocket) -> bool:
        """Whether the client's certificate has an allowed name; one that shows none is for the TLS context to judge."""
        allowed = self._force.settings.allowed_names
        certificate = connection.getpeercert() if allowed else None
        return not certificate or any(plain_name(name) in allowed for name in names_of(certificate))

    def refusal(self, request: Request, client: str) -> Response | None:
        """The answer to a request that may not be served; None if it may. `client` is the address it comes from."""
        force = self._force
        if force.bucket is not None and not force.bucket.take():
            return Response(HTTPStatus.TOO_MANY_REQUESTS, b"too many requests\n")
        if not force.settings.users:
            return None
        verdict = self._authenticator.check(force.settings.users, request.headers.get("authorization"), client)
        if verdict is Verdict.KNOWN:
            return None
        if verdict is Verdict.BUSY:
            busy = b"too many passwords are being checked\n"
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, busy, headers=(("Retry-After", "5"),))
        return Response(HTTPStatus.UNAUTHORIZED, b"a name and a password are needed\n", headers=(_CHALLENGE,))

    # --- following the files ------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        seen = self._signature
        retry_at = time.monotonic() + RETRY_SECONDS
        while not self._stopped.wait(self._watch_seconds):
            now = _signature(self._force.settings.files)
            at_rest, seen = now == seen, now
            due = now != self._signature or (bool(self._problem) and time.monotonic() >= retry_at)
            if at_rest and due:
                self._take(now)
                seen = self._signature
                retry_at = time.monotonic() + RETRY_SECONDS

    def _take(self, signature: _Signature) -> None:
        before = self._force.settings
        self._signature = signature
        try:
            settings, signature = _load(self._path)
            problem = _forbidden(before, settings)
        except Exception as error:  # whatever is wrong with the new files, the old ones go on
            problem = str(error) or repr(error)
        if problem:
            if problem != self._problem:
                for line in problem.splitlines():
                    _log.error("the web configuration was not reloaded; the old one stays", extra={"problem": line})
            self._problem = problem
            return
        bucket = self._force.bucket
        if settings.rate != before.rate:
            bucket = Bucket(settings.rate) if settings.rate else None
        self._force = _InForce(settings, bucket)
        self._signature = signature
        self._problem = ""
        _log.info("web configuration reloaded")


def _forbidden(before: WebSettings, after: WebSettings) -> str:
    """Why a running exporter must not change so; empty if it may. What protects it is not lost by a slip of a file."""
    if (before.context is None) != (after.context is None):
        return f"{after.path}: whether TLS is spoken cannot change while running; restart for that"
    if before.users and not after.users:
        return f"{after.path}: authentication cannot be switched off while running; restart for that"
    return ""


def _load(path: Path) -> tuple[WebSettings, _Signature]:
    """The settings and a signature of their files that is no younger: what changes from now on will be seen."""
    signature = _signature(load_web(path).files)
    return load_web(path), signature


def _signature(files: tuple[Path, ...]) -> _Signature:
    return tuple(map(_metadata, files))


def _metadata(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
