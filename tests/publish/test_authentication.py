"""Passwords are checked as bcrypt does and remembered; guessing tells no names and does not take the machine."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable

import bcrypt
import pytest

from tests.processes import wait_until
from tidegauge.publish import authentication
from tidegauge.publish.authentication import Authenticator, Verdict

KNOWN, UNKNOWN, BUSY = Verdict.KNOWN, Verdict.UNKNOWN, Verdict.BUSY
HERE = "192.0.2.1"


def hashed(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))


USERS = {"alice": hashed("sesame"), "böb": hashed("tide")}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """The passwords and hashes that bcrypt was asked about."""
    asked: list[tuple[bytes, bytes]] = []
    real: Callable[[bytes, bytes], bool] = bcrypt.checkpw

    def check(password: bytes, stored: bytes) -> bool:
        asked.append((password, stored))
        return real(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", check)
    return asked


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        (basic("alice", "sesame"), KNOWN),
        (basic("böb", "tide"), KNOWN),
        (basic("alice", "sesame").replace("Basic", "bASIC"), KNOWN),
        (basic("alice", "tide"), UNKNOWN),
        (basic("böb", "sesame"), UNKNOWN),
        (basic("carol", "sesame"), UNKNOWN),
        (basic("", ""), UNKNOWN),
        (basic("alice", ""), UNKNOWN),
        (basic("alice", "sesame\0"), UNKNOWN),
        (basic("alice", "x" * 5_000), UNKNOWN),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("Basic", UNKNOWN),
        ("Basic !!!!", UNKNOWN),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), UNKNOWN),
        ("Basic " + base64.b64encode(b"alice").decode(), UNKNOWN),
        ("Bearer " + base64.b64encode(b"alice:sesame").decode(), UNKNOWN),
    ],
)
def test_only_a_user_with_the_right_password_is_known(header: str | None, verdict: Verdict) -> None:
    authenticator = Authenticator()
    assert [authenticator.check(USERS, header, HERE) for _ in range(2)] == [verdict, verdict]


def test_a_verdict_is_remembered_so_that_a_scrape_costs_no_bcrypt(checked: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator()
    for password in ("sesame", "wrong") * 3:
        authenticator.check(USERS, basic("alice", password), HERE)
    assert len(checked) == 2


def test_a_changed_hash_forgets_the_old_password(checked: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator()
    assert authenticator.check(USERS, basic("alice", "sesame"), HERE) is KNOWN
    after = {"alice": hashed("opened"), "böb": USERS["böb"]}
    assert authenticator.check(after, basic("alice", "sesame"), HERE) is UNKNOWN
    assert authenticator.check(after, basic("alice", "opened"), HERE) is KNOWN
    assert authenticator.check({"böb": USERS["böb"]}, basic("alice", "sesame"), HERE) is UNKNOWN


def test_an_unknown_name_costs_a_check_like_a_known_one_and_always_the_same(checked: list[tuple[bytes, bytes]]) -> None:
    authenticator = Authenticator()
    for password in ("sesame", "tide", "x"):
        assert authenticator.check(USERS, basic("carol", password), HERE) is UNKNOWN
    assert [password for password, _ in checked] == [b"sesame", b"tide", b"x"]
    (stand_in,) = {stored for _, stored in checked}
    assert stand_in in USERS.values()


def test_guesses_do_not_push_out_what_is_right(
    checked: list[tuple[bytes, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "REMEMBERED", 5)
    authenticator = Authenticator()
    assert authenticator.check(USERS, basic("alice", "sesame"), HERE) is KNOWN
    for number in range(20):
        assert authenticator.check(USERS, basic("alice", str(number)), HERE) is UNKNOWN
    before = len(checked)
    assert authenticator.check(USERS, basic("alice", "sesame"), HERE) is KNOWN
    assert len(checked) == before


class SlowBcrypt:
    """Checks that last until they are let go, and how many ran at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running = self.most = 0

    def check(self, password: bytes, stored: bytes) -> bool:
        self.running += 1
        self.most = max(self.most, self.running)
        self.go.wait(10)
        self.running -= 1
        return password == b"right"


def test_few_checks_wait_fewer_of_one_client_and_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowBcrypt()
    monkeypatch.setattr(bcrypt, "checkpw", slow.check)
    authenticator = Authenticator()
    assert authenticator.check(USERS, None, HERE) is UNKNOWN
    verdicts: list[Verdict] = []

    def guess(number: int, client: str) -> None:
        verdicts.append(authenticator.check(USERS, basic("alice", f"guess {number}"), client))

    threads = [threading.Thread(target=guess, args=(n, f"192.0.2.{n % 2}")) for n in range(30)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(verdicts) == 30 - 2 * authentication.MAX_WAITING_PER_CLIENT, what="all others being refused")
    assert set(verdicts) == {BUSY}
    # Another client still has its place.
    other = threading.Thread(
        target=lambda: verdicts.append(authenticator.check(USERS, basic("alice", "right"), "192.0.2.99"))
    )
    other.start()
    slow.go.set()
    for thread in (*threads, other):
        thread.join()
    assert slow.most == 1
    assert (verdicts.count(UNKNOWN), verdicts.count(KNOWN)) == (2 * authentication.MAX_WAITING_PER_CLIENT, 1)


def test_wrong_guesses_take_a_quarter_of_a_core_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = 0.0

    def check(password: bytes, stored: bytes) -> bool:
        nonlocal busy
        time.sleep(0.02)
        busy += 0.02
        return False

    monkeypatch.setattr(bcrypt, "checkpw", check)
    authenticator = Authenticator()
    began = time.monotonic()
    for number in range(10):
        authenticator.check(USERS, basic("alice", str(number)), HERE)
    assert busy / (time.monotonic() - began) < 0.3
