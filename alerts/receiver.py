"""A receiver of notifications that prints them: Alertmanager's webhooks come in, text for people goes out.

Needs the standard library alone, so that a container can run this one file. Meant for loopback or a private network.
"""

from __future__ import annotations

import argparse
import hmac
import json
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

MOST_BYTES = 1 << 20
WIDTH = 100
RULE = "─" * WIDTH
WATCHDOG = "Watchdog"


def text(notification: Mapping[str, Any], at: float) -> str:
    """What is printed of a webhook's body (version 4) that came at the time `at`, in seconds since the epoch.

    Names come from logs, so that characters which could steer a terminal are replaced. Raises KeyError, TypeError,
    ValueError or AttributeError for what is no such body.
    """
    clock = time.strftime("%H:%M:%S", time.localtime(at))
    lines = [RULE, f"{clock}  Alertmanager notifies the receiver {_clean(notification['receiver'])}"]
    for alert in notification["alerts"]:
        labels, about = alert["labels"], alert["annotations"]
        since = _moment(alert["startsAt"])
        ended = alert["status"] == "resolved"
        word = "Resolved" if ended else str(labels.get("severity", "alert")).capitalize()
        when = f"from {since} to {_moment(alert['endsAt'])}" if ended else f"since {since}"
        owner = f", owner {labels['owner']}" if "owner" in labels else ""
        lines += [
            "",
            *_wrapped(f"{word}: {about.get('summary', '')}"),
            *_wrapped(about.get("description", "")),
            _clean(f"  {labels['alertname']}, {when}{owner}"),
            *([_clean(f"  What to do: {about['runbook_url']}")] if "runbook_url" in about else []),
            *([_clean(f"  Board:      {about['dashboard_url']}")] if "dashboard_url" in about else []),
        ]
    return "\n".join([*lines, RULE])


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(_clean(sentence), WIDTH, initial_indent="  ", subsequent_indent="  ")


def _moment(stamp: str) -> str:
    return datetime.fromisoformat(stamp).astimezone().strftime("%H:%M:%S")


def _clean(line: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


class Receiver:
    """Listens while its `with` block lasts. POST takes notifications, GET shows runbooks, boards and health."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        say: Callable[[str], None],
        token: str | None = None,
        runbooks: Path | None = None,
        board: str | None = None,
    ) -> None:
        """`say` is given what is to be printed, one call at a time. With a `token`, a POST must bear it.

        `runbooks` is a directory of NAME.md, shown below /runbooks/; `board` is where addresses of boards (/d/...)
        are sent on to, for want of a Grafana. Raises OSError if the port is taken.
        """
        self._say = say
        self._token = token
        self._runbooks = {path.stem: path for path in sorted(runbooks.glob("*.md"))} if runbooks else {}
        self._board = board
        self._lock = threading.Lock()
        self._watched = False
        self._server = ThreadingHTTPServer(address, self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def take(self, authorization: str, body: bytes) -> tuple[int, str]:
        """Prints a notification; status and text of the answer."""
        if self._token is not None and not hmac.compare_digest(
            authorization.encode(), f"Bearer {self._token}".encode()
        ):
            return 401, "the token is missing or wrong\n"
        try:
            notification = json.loads(body)
            printed = text(notification, time.time())
            names = {alert["labels"]["alertname"] for alert in notification["alerts"]}
        except (KeyError, TypeError, ValueError, AttributeError):
            return 400, "this is no notification of Alertmanager's\n"
        with self._lock:
            if names != {WATCHDOG}:
                self._say(printed)
            elif not self._watched:
                self._watched = True
                self._say("The Watchdog's first notification is here: rules, Alertmanager and receiver are connected.")
        return 200, "printed\n"

    def show(self, path: str) -> tuple[int, str]:
        """Status and text of the answer to GET; of a redirection the address."""
        first, _, rest = unquote(path).strip("/").partition("/")
        if first == "healthy":
            return 200, "healthy\n"
        if first == "d" and self._board is not None:
            return 302, self._board
        if first == "runbooks" and self._runbooks:
            found = self._runbooks.get(rest.removesuffix(".md"))
            if found is not None:
                return 200, found.read_text(encoding="utf-8")
            return 200, "".join(f"{known}.md\n" for known in self._runbooks)
        return 404, "not found\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # nobody holds a thread for longer

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not (length.isascii() and length.isdigit()) or int(length) > MOST_BYTES:
                    self._answer(413, f"at most {MOST_BYTES} bytes, and their number in Content-Length\n")
                    return
                self._answer(*receiver.take(self.headers.get("Authorization", ""), self.rfile.read(int(length))))

            def do_GET(self) -> None:
                self._answer(*receiver.show(urlsplit(self.path).path))

            def _answer(self, status: int, body: str) -> None:
                content = b"" if status == 302 else body.encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                return

        return Handler

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints notifications until SIGINT or SIGTERM; the exit status."""
    parser = argparse.ArgumentParser(prog="receiver.py", description="Prints Alertmanager's notifications.")
    parser.add_argument("--listen", default="127.0.0.1:9095", metavar="HOST:PORT")
    parser.add_argument("--token.file", dest="token", type=Path, metavar="FILE", help="what a sender must bear")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        token = options.token.read_text(encoding="utf-8").strip() if options.token else None
        receiver = Receiver((host, int(port)), say=lambda line: print(line, flush=True), token=token)
    except (OSError, ValueError) as error:
        print(f"receiver: {error}", file=sys.stderr)
        return 2
    with receiver:
        print(f"Waiting for notifications on port {receiver.port}.", flush=True)
        stopping.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
