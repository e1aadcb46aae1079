"""Basic authentication (RFC 7617) against bcrypt hashes, such that guessing costs the guesser more than the exporter.

bcrypt is slow on purpose, so a verdict is remembered, as a keyed digest of what was asked and never as the password.
Checks run one at a time, few wait, and after a wrong password the next check waits a while.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from enum import Enum

import bcrypt

MAX_WAITING = 8
MAX_WAITING_PER_CLIENT = 2
REMEMBERED = 1_000
"""Verdicts of each kind. Wrong ones are kept apart, so that guessing does not push out what is right."""
REST = 3.0
"""After a wrong password no check begins for so many times as long as it took: guessing costs a quarter of a core."""
_BCRYPT_BYTES = 72  # bcrypt looks at no more of a password


class Verdict(Enum):
    """What became of a request's credentials."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    BUSY = "busy"  # too many are being checked


class Authenticator:
    """Checks Authorization headers; called from many threads at once."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._lock = threading.Lock()  # of the three above; never held for long
        self._checking = threading.Lock()
        self._rest_until = 0.0  # monotonic; under _checking

    def check(self, users: Mapping[str, bytes], authorization: str | None, client: str) -> Verdict:
        """Whether the header names a user with the right password. `users` are bcrypt hashes by name, not empty.

        A name that nobody has is checked like any other, against somebody's hash, so that time tells nothing.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return Verdict.UNKNOWN
        name, password = credentials
        known = users.get(name)
        hashed = known if known is not None else self._stand_in(users, name)
        asked = self._digest(name.encode(), hashed, password, b"known" if known is not None else b"")
        with self._lock:
            for verdicts, verdict in ((self._right, Verdict.KNOWN), (self._wrong, Verdict.UNKNOWN)):
                if asked in verdicts:
                    verdicts.move_to_end(asked)
                    return verdict
            waiting = self._waiting
            if waiting.total() >= MAX_WAITING or waiting[client] >= MAX_WAITING_PER_CLIENT:
                return Verdict.BUSY
            waiting[client] += 1
        try:
            right = self._compare(password, hashed) and known is not None
        finally:
            with self._lock:
                waiting[client] -= 1
                if not waiting[client]:
                    del waiting[client]
        with self._lock:
            verdicts = self._right if right else self._wrong
            verdicts[asked] = None
            if len(verdicts) > REMEMBERED:
                verdicts.popitem(last=False)
        return Verdict.KNOWN if right else Verdict.UNKNOWN

    def _compare(self, password: bytes, hashed: bytes) -> bool:
        with self._checking:
            time.sleep(max(0.0, self._rest_until - time.monotonic()))
            started = time.monotonic()
            try:
                right = bcrypt.checkpw(password, hashed)
            except ValueError:  # a NUL in the password, to some versions of the library
                right = False
            finished = time.monotonic()
            if not right:
                self._rest_until = finished + REST * (finished - started)
            return right

    def _stand_in(self, users: Mapping[str, bytes], name: str) -> bytes:
        """One of the users' hashes, always the same for a name: as slow as a user's own would be."""
        hashes = list(users.values())
        return hashes[int.from_bytes(self._digest(name.encode())[:8]) % len(hashes)]

    def _digest(self, *parts: bytes) -> bytes:
        together = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(self._key, together, "sha256")


def _credentials(authorization: str | None) -> tuple[str, bytes] | None:
    """Name and password of a Basic header; None for any other."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password[:_BCRYPT_BYTES]) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
