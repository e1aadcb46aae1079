"""`tidegauge verdict` says what Prometheus knows of a release, and nothing it does not know."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import certificates
from tests.deployment.pages import STRANGE, VERDICTS, Reply, Site
from tests.processes import ENVIRONMENT, LOOPBACK, PATIENCE, free_port, tidegauge_command, wait_until
from tidegauge.verdict import KEEP_WATCHING, PROMOTE, Answer, NoAnswer, Prometheus, ask, quoted, wait


def command(url: str, *more: str, model: str = "fraud", version: str = "v2") -> subprocess.CompletedProcess[str]:
    return tidegauge_command("verdict", "--model", model, "--version", version, "--prometheus", url, *more)


def vector(*series: tuple[str, dict[str, str], float | str], **more: Any) -> Reply:
    """An answer of Prometheus' query API."""
    common = {"model": "fraud", "version": "v2"}
    result = [
        {"metric": common | {"__name__": name} | labels, "value": [1.7e9, str(value)]} for name, labels, value in series
    ]
    data = {"status": "success", "data": {"resultType": "vector", "result": result}, **more}
    return Reply(json.dumps(data), kind="application/json")


def overall(verdict: str, **labels: str) -> list[tuple[str, dict[str, str], float | str]]:
    common = {"baseline_version": "v1", "metric": "overall", **labels}
    return [("model_release_verdict", {**common, "verdict": name}, float(name == verdict)) for name in VERDICTS]


# --- against the real Prometheus --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "status"), [("promote", 0), ("roll_back", 1), ("keep_watching", 2)])
def test_the_status_is_the_verdict(prometheus: str, verdict: str, status: int) -> None:
    done = command(prometheus, model=f"{verdict}-alone")
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout.startswith(f"{verdict}-alone v2: {verdict.replace('_', ' ')}, ")


def test_the_numbers_behind_it_are_shown(prometheus: str) -> None:
    done = command(prometheus, model="roll_back-alone")
    assert done.stdout.splitlines()[0] == "roll_back-alone v2: roll back, it is worse in accuracy"
    assert "against v1 (instance=127.0.0.1:" in done.stdout
    (row,) = (line.split("  ") for line in done.stdout.splitlines() if line.startswith("  accuracy"))
    assert [cell.strip() for cell in row if cell.strip()] == [
        *("accuracy", "outcome", "roll back", "-0.024", "-0.034 to -0.014", "0.01", "154 of 20", "0.0004 of 20"),
        *("2,160 / 41,040", "0"),
    ]


def test_json_has_the_same_numbers(prometheus: str) -> None:
    done = command(prometheus, "--format", "json", model="roll_back-alone")
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert (answer["model"], answer["version"], answer["verdict"]) == ("roll_back-alone", "v2", "roll_back")
    (comparison,) = answer["comparisons"]
    assert comparison["exporter"]["job"] == "tidegauge"
    assert (comparison["baseline_version"], comparison["verdict"]) == ("v1", "roll_back")
    latency, accuracy = comparison["measures"]
    assert (latency["metric"], latency["verdict"], latency["difference"]) == ("latency_seconds", "keep_watching", None)
    assert accuracy == {
        "channel": "outcome",
        "metric": "accuracy",
        "design": "concurrent",
        "verdict": "roll_back",
        "difference": -0.024,
        "lower": -0.034,
        "upper": -0.014,
        "margin": 0.01,
        "evidence": {
            "harm": {"value": 154, "threshold": 20},
            "non_inferiority": {"value": 0.0004, "threshold": 20},
        },
        "samples": {"candidate": 2160, "baseline": 41040},
        "samples_needed": 0,
    }


@pytest.mark.parametrize("one", VERDICTS)
@pytest.mark.parametrize("other", VERDICTS)
def test_of_several_exporters_one_rolls_back_and_all_promote(prometheus: str, one: str, other: str) -> None:
    expected = "roll_back" if "roll_back" in (one, other) else "promote" if one == other == "promote" else KEEP_WATCHING
    answer = ask(Prometheus(prometheus), f"{one}-{other}", "v2")
    assert answer.verdict == expected
    assert sorted(comparison.verdict for comparison in answer.comparisons) == sorted((one, other))


def test_names_with_any_characters_are_found(prometheus: str) -> None:
    assert command(prometheus, model=STRANGE, version=STRANGE).returncode == 0
    done = command(prometheus, model='x"} or vector(1) or model_version_info{model="fraud')
    assert done.returncode == 2
    assert "knows no model" in done.stdout


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [
        ("none", "v2", 'Prometheus knows no model "none"'),
        ("new", "v7", '"new" has no version "v7"; there are: v1, v2'),
        ("new", "v1", 'version "v1" is compared with no other'),
        ("new", "v2", 'version "v2" is not compared with "v1" yet, or no longer'),
    ],
)
def test_what_is_not_there_is_keep_watching_and_why(prometheus: str, model: str, version: str, said: str) -> None:
    done = command(prometheus, model=model, version=version)
    assert (done.returncode, done.stdout) == (2, f"{model} {version}: keep watching, {said}\n")


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_waiting_ends_with_the_first_verdict() -> None:
    replies = [vector(), vector(), vector(*overall("keep_watching")), vector(*overall("promote"))]
    with Site(replies) as site:
        began = time.monotonic()
        done = command(site.url, "--wait", "60s", "--interval", "1s")
        assert time.monotonic() - began < 30
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        'tidegauge: keep watching: Prometheus knows no model "fraud"',
        "tidegauge: keep watching: the evidence does not decide yet",
    ]


def test_waiting_gives_up_in_time_and_survives_silence() -> None:
    now, told = [0.0], list[str]()

    def look() -> Answer:
        if 100 <= now[0] < 200:
            raise NoAnswer("down")
        return Answer(KEEP_WATCHING, "not yet")

    def sleep(seconds: float) -> None:
        now[0] += seconds

    answer = wait(look, seconds=310, interval=60, tell=told.append, sleep=sleep, clock=lambda: now[0])
    assert (answer.verdict, answer.reason) == (KEEP_WATCHING, "not yet")
    assert now[0] == 310
    assert told == ["keep watching: not yet", "keep watching: down", "keep watching: not yet"]


def test_without_waiting_it_looks_once() -> None:
    looks = list[int]()

    def look() -> Answer:
        looks.append(1)
        return Answer(PROMOTE if len(looks) > 1 else KEEP_WATCHING, "")

    def never(seconds: float) -> None:
        raise AssertionError("it slept")

    assert wait(look, seconds=0, interval=30, sleep=never).verdict == KEEP_WATCHING


def test_a_signal_ends_it_with_a_status_that_is_no_verdict() -> None:
    with Site([vector()]) as site:
        words = ["verdict", "--model", "m", "--version", "v", "--prometheus", site.url, "--wait", "1h"]
        for number, statuses in ((signal.SIGINT, (130,)), (signal.SIGTERM, (-signal.SIGTERM,))):
            with subprocess.Popen(
                [sys.executable, "-m", "tidegauge", *words],
                env={**os.environ, **ENVIRONMENT},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                asked = len(site.queries)
                wait_until(lambda asked=asked: len(site.queries) > asked + 1, what="a question")  # type: ignore[misc]
                time.sleep(0.2)
                process.send_signal(number)
                assert process.wait(PATIENCE) in statuses


# --- what can go wrong ------------------------------------------------------------------------------------------------


def test_prometheus_that_is_not_there_is_keep_watching() -> None:
    done = command(f"http://user:secret@{LOOPBACK}:{free_port()}")
    assert done.returncode == 2
    assert "keep watching, no answer from http://127.0.0.1:" in done.stdout
    assert "Connection refused" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_prometheus_that_does_not_answer_is_keep_watching() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        done = command(f"http://{LOOPBACK}:{silent.getsockname()[1]}", "--timeout", "1s")
    assert done.returncode == 2
    assert "it took too long" in done.stdout


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply("<html>log in</html>"), "answered 200, not as Prometheus does"),
        (Reply("unauthorized", status=401), "answered 401, not as Prometheus does"),
        (Reply("[]"), "not as Prometheus does"),
        (Reply('{"status":"success","data":{"result":[{"metric":{}}]}}'), "not as Prometheus does"),
        (Reply('{"status":"success","data":{"result":[{"metric":[],"value":[0,"x"]}]}}'), "not as Prometheus does"),
        (Reply('{"status":"error","error":"query \\u001b timed out"}', status=503), "query \\x1b timed out"),
        (vector(*overall("promote"), warnings=["a store is down"]), "may be partial: a store is down"),
        (vector(*overall("promote"), ("model_release_verdict", {}, 1)), None),
        (vector(*overall("none")), "the evidence does not decide yet"),
        (vector(*overall("promote"), *overall("roll_back")), "the evidence does not decide yet"),
        (vector(("model_release_difference", {"metric": "accuracy"}, "NaN")), "knows no model"),
    ],
)
def test_answers_that_make_no_sense_are_no_verdict(reply: Reply, said: str | None) -> None:
    with Site([reply, vector()]) as site:
        done = command(site.url)
    assert (done.returncode, done.stderr) == (0 if said is None else 2, "")
    if said is not None:
        assert said in done.stdout


def test_numbers_that_are_none_are_unknown() -> None:
    labels = {"baseline_version": "v1", "channel": "outcome", "metric": "accuracy", "design": "before_after"}
    numbers = [("model_release_difference", labels, "NaN"), ("model_release_samples_needed", labels, "+Inf")]
    with Site([vector(*overall("promote"), *numbers)]) as site:
        shown = command(site.url, "--format", "json")
        text = command(site.url).stdout
    (measure,) = json.loads(shown.stdout)["comparisons"][0]["measures"]
    assert (measure["difference"], measure["samples_needed"], measure["verdict"]) == (None, None, None)
    assert "accuracy (before/after)" in text


def test_what_comes_from_elsewhere_cannot_command_the_terminal() -> None:
    with Site([vector(*overall("promote", instance="\x1b[2Jx", baseline_version="v\r1"))]) as site:
        done = command(site.url)
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert "\\x1b[2Jx" in done.stdout


def test_the_token_is_read_for_every_request_and_paths_are_kept(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    with Site([vector(*overall("promote"))]) as site:
        prometheus = Prometheus(f"{site.url}/prefix/", bearer_token_file=token)
        ask(prometheus, "fraud", "v2")
        token.write_text("two\n")
        ask(prometheus, "fraud", "v2")
        assert site.authorizations == ["Bearer one", "Bearer two"]
        assert site.paths == ["/prefix/api/v1/query"] * 2
        token.unlink()
        with pytest.raises(NoAnswer, match="No such file"):
            ask(prometheus, "fraud", "v2")


def test_a_token_does_not_follow_a_redirection_to_another_host(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    with Site([vector(*overall("promote"))]) as other:
        place = other.url.replace(LOOPBACK, "localhost") + "/api/v1/query"
        with Site([Reply("", status=302, location=place)]) as site:
            ask(Prometheus(site.url, bearer_token_file=tmp_path / "token"), "fraud", "v2")
    assert (site.authorizations, other.authorizations) == (["Bearer one"], [None])


def test_the_certificate_must_be_of_the_authority_that_is_named(tmp_path: Path) -> None:
    authority = certificates.authority(tmp_path)
    with Site([vector(*overall("promote"))], certificates.issue(authority, "server")) as site:
        assert command(site.url, "--ca-file", str(authority.file)).returncode == 0
        stranger = command(site.url)
    assert stranger.returncode == 2
    assert "TLS failed" in stranger.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--model", "m", "--version", "v"),
        ("--model", "m", "--version", "v", "--prometheus", "prometheus:9090"),
        ("--model", "m", "--version", "v", "--prometheus", "http://p", "--wait", "soon"),
        ("--model", "m", "--version", "v", "--prometheus", "http://p", "--interval", "0s"),
        ("--model", "m", "--version", "v", "--prometheus", "http://p", "--bearer-token-file", "/none"),
        ("--model", "m", "--version", "v", "--prometheus", "http://p", "--ca-file", "/none"),
        ("--model", "m", "--version", "v", "--prometheus", "http://p", "--no-such-option"),
        ("--model", "m", "--version", "v", "--prometheus", "http://p", "--format", "xml"),
    ],
)
def test_wrong_usage_is_none_of_the_three(words: tuple[str, ...]) -> None:
    done = tidegauge_command("verdict", *words)
    assert done.returncode == 64
    assert done.stderr and "Traceback" not in done.stderr


def test_wrong_usage_of_other_commands_is_as_before() -> None:
    assert tidegauge_command("simulate", "--no-such-option").returncode == 2


def test_a_fault_of_the_program_is_none_of_the_three() -> None:
    program = "import sys, tidegauge.verdict, tidegauge.cli; del tidegauge.verdict.run; sys.exit(tidegauge.cli.main())"
    words = ["verdict", "--model", "m", "--version", "v", "--prometheus", "http://p"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True
    )
    assert done.returncode == 70
    assert "Traceback" in done.stderr


def test_strings_of_promql() -> None:
    assert quoted('a"b\\c\nd') == '"a\\"b\\\\c\\nd"'
