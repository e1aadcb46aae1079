"""The receiver that prints: what comes out is for people, and nothing that comes in can harm it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests

from alerts.generator.trial import HERE
from alerts.receiver import MOST_BYTES, Receiver, text
from tests.processes import LOOPBACK, PATIENCE

GOLDEN = Path(__file__).parent / "golden"
BOARD = f"http://{LOOPBACK}:1/"


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return found


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def url(said: list[str]) -> Iterator[str]:
    with Receiver((LOOPBACK, 0), say=said.append, token="t0ken", runbooks=HERE / "runbooks", board=BOARD) as receiver:
        yield f"http://{LOOPBACK}:{receiver.port}"


def post(url: str, body: bytes, token: str = "t0ken") -> int:
    header = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{url}/pager", data=body, headers=header, timeout=PATIENCE).status_code


def test_what_fired_says_how_bad_what_since_when_and_where_to_look() -> None:
    printed = text(golden("webhook-fired.json"), 0.0)
    for words in (
        "notifies the receiver payments-pager",
        "Critical: A model misses its quality objective, beyond what chance explains.",
        "Model fraud, version v2: accuracy is 0.85",
        "ModelObjectiveMissed, since ",
        "owner payments",
        "What to do: https://github.com/tidegauge/tidegauge/blob/main/alerts/runbooks/ModelObjectiveMissed.md",
        "Board:      http://localhost:3000/d/tidegauge-model?",
    ):
        assert words in printed
    assert all(len(line) <= 100 or "http" in line for line in printed.splitlines())


def test_what_resolved_says_from_when_to_when() -> None:
    printed = text(golden("webhook-resolved.json"), 0.0)
    assert "Resolved: A model misses" in printed
    assert " from " in printed and " to " in printed


def test_a_name_from_the_logs_cannot_steer_the_terminal() -> None:
    body = golden("webhook-fired.json")
    body["alerts"][0]["annotations"]["description"] = "Model \x1b[2Jfraud\u202e"
    body["alerts"][0]["labels"]["owner"] = "a\nb\x07"
    printed = text(body, 0.0)
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert "a\N{REPLACEMENT CHARACTER}b" in printed


def test_a_notification_is_printed_and_the_watchdog_only_once(url: str, said: list[str]) -> None:
    body = golden("webhook-fired.json")
    assert post(url, json.dumps(body).encode()) == 200
    assert len(said) == 1 and "ModelObjectiveMissed" in said[0]
    body["alerts"][0]["labels"] = {"alertname": "Watchdog"}
    assert [post(url, json.dumps(body).encode()) for _ in range(3)] == [200, 200, 200]
    assert len(said) == 2 and "Watchdog" in said[1]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"alerts": 3, "receiver": "a"}', b"\xff", b'{"alerts": [{}]}'])
def test_what_is_no_notification_is_refused(url: str, said: list[str], body: bytes) -> None:
    assert post(url, body) == 400
    assert not said


def test_without_the_token_and_beyond_the_limit_nothing_is_printed(url: str, said: list[str]) -> None:
    body = json.dumps(golden("webhook-fired.json")).encode()
    assert post(url, body, token="wrong") == 401
    connection = HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
    connection.request("POST", "/pager", headers={"Content-Length": str(MOST_BYTES + 1)})
    assert connection.getresponse().status == 413
    connection.close()
    assert not said


def test_runbooks_can_be_read_and_boards_lead_on(url: str) -> None:
    def get(path: str) -> requests.Response:
        return requests.get(f"{url}{path}", timeout=PATIENCE, allow_redirects=False)

    runbook = (HERE / "runbooks" / "ModelObjectiveMissed.md").read_text()
    assert get("/runbooks/ModelObjectiveMissed.md").text == runbook
    assert get("/runbooks/ModelObjectiveMissed").text == runbook
    listed = get("/runbooks/../../README.md").text
    assert "ModelObjectiveMissed.md\n" in get("/runbooks/Unheard").text
    assert "Tidegauge does" not in listed, "nothing but runbooks"
    assert get("/d/tidegauge-model?var-model=fraud").headers["Location"] == BOARD
    assert get("/healthy").status_code == 200
    assert get("/else").status_code == 404
