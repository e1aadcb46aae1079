"""The examples for Argo Rollouts, Flagger and pipelines fit those tools, and do what the verdict says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deployment.pages import VERDICTS
from tests.processes import ENVIRONMENT, LOOPBACK, PrometheusServer, free_port, tidegauge_command

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "deployment"
SCHEMAS = yaml.safe_load(Path(__file__).with_name("schemas.yml").read_text())
DOCUMENTS = {
    f"{path.name}-{document['kind']}": document
    for path in sorted(EXAMPLES.glob("*.yml"))
    for document in yaml.safe_load_all(path.read_text())
}
# What Prometheus may know of a release: model and version, and the verdict over its exporters (None: nothing).
CASES: list[tuple[str, str, str | None]] = [(f"{verdict}-alone", "v2", verdict) for verdict in VERDICTS]
CASES += [
    (f"{one}-{other}", "v2", "roll_back" if "roll_back" in (one, other) else one if one == other else "keep_watching")
    for one in VERDICTS
    for other in VERDICTS
]
CASES += [("new", "v2", None), ("new", "v7", None), ("none", "v2", None)]


def filled(text: str, values: dict[str, str]) -> str:
    """A template of Argo Rollouts or Flagger with its values."""
    text = re.sub(r"\{\{ ?(?:args|variables)\.([a-z]+) ?\}\}", lambda match: values[match[1]], text)
    assert "{{" not in text
    return text


# --- schemas ----------------------------------------------------------------------------------------------------------


def test_there_are_examples_of_every_kind() -> None:
    assert {document["kind"] for document in DOCUMENTS.values()} == set(SCHEMAS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_example_fits_the_schema_of_its_tool(name: str) -> None:
    document = DOCUMENTS[name]
    Draft202012Validator.check_schema(SCHEMAS[document["kind"]])
    errors = Draft202012Validator(SCHEMAS[document["kind"]]).iter_errors(document)
    assert [f"{list(error.path)}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_schemas_refuse_a_misspelt_field_wherever_it_is(name: str) -> None:
    schema = Draft202012Validator(SCHEMAS[DOCUMENTS[name]["kind"]])
    # Below these, any name is allowed.
    free = re.compile(
        r"metadata|labels|matchLabels|templateVariables|requests|limits|args/valueFrom|valueFrom|traffic.*/"
    )
    checked = 0
    for path in places(DOCUMENTS[name]):
        if free.search("/".join(map(str, path[:-1]))) or path[0] == "metadata":
            continue
        broken = deepcopy(DOCUMENTS[name])
        parent: Any = broken
        for step in path[:-1]:
            parent = parent[step]
        parent[f"{path[-1]}x"] = parent.pop(path[-1])
        assert not schema.is_valid(broken), path
        checked += 1
    assert checked > 5


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every field of every object."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in [(*path, key), *places(inner, (*path, key))]]
    if isinstance(value, list):
        return [found for number, inner in enumerate(value) for found in places(inner, (*path, number))]
    return []


# --- Argo Rollouts ----------------------------------------------------------------------------------------------------


def metric(name: str) -> dict[str, Any]:
    (found,) = DOCUMENTS[f"{name}-AnalysisTemplate"]["spec"]["metrics"]
    assert isinstance(found, dict)
    return found


def holds(condition: str, result: list[float]) -> bool:
    """A condition in Argo's expression language; the little that is used of it reads as Python."""
    assert re.fullmatch(r"[\w\s()\[\]=<>&|.-]+", condition)
    return bool(eval(condition.replace("&&", "and"), {"len": len, "result": result}))


@pytest.mark.parametrize(("model", "version", "verdict"), CASES)
def test_argo_promotes_aborts_or_finds_it_inconclusive(
    server: PrometheusServer, model: str, version: str, verdict: str | None
) -> None:
    asked = metric("argo-analysis-query.yml")
    query = filled(asked["provider"]["prometheus"]["query"], {"model": model, "version": version})
    result = list(server.query(query).values())
    assert len(result) == (verdict is not None)
    success, failure = (holds(asked[name], result) for name in ("successCondition", "failureCondition"))
    # Argo Rollouts: neither of the two holds, and the measurement is inconclusive.
    assert (success, failure) == (verdict == "promote", verdict == "roll_back")


def test_argo_gives_one_verdict_weight_and_silence_none() -> None:
    asked = metric("argo-analysis-query.yml")
    assert (asked["consecutiveSuccessLimit"], asked["failureLimit"]) == (1, 0)
    assert asked["inconclusiveLimit"] == asked["consecutiveErrorLimit"] == 24 * 60 // 5
    assert asked["interval"] == "5m"
    assert "count" not in asked


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_job_of_argo_runs_the_command_and_knows_its_status(prometheus: str, verdict: str) -> None:
    template = DOCUMENTS["argo-analysis-job.yml-AnalysisTemplate"]["spec"]
    job = template["metrics"][0]["provider"]["job"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    values = {"model": f"{verdict}-alone", "version": "v2", "prometheus": prometheus}
    assert {arg["name"] for arg in template["args"]} == {*values, "image"}
    program, *command = container["command"]
    assert program == "tidegauge"
    done = tidegauge_command(*command, *(filled(word, values) for word in container["args"]), "--wait=0s")
    ignored = [rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert ignored == [{"containerName": container["name"], "operator": "In", "values": [2]}]
    assert (done.returncode in ignored[0]["values"]) == (verdict == "keep_watching")
    assert (done.returncode == 0) == (verdict == "promote")
    assert job["template"]["spec"]["restartPolicy"] == "Never", "a policy of failures needs it"


def test_the_rollout_uses_a_template_that_is_there_with_all_of_its_arguments() -> None:
    canary = DOCUMENTS["argo-rollout.yml-Rollout"]["spec"]["strategy"]["canary"]
    template = DOCUMENTS["argo-analysis-query.yml-AnalysisTemplate"]
    needed = {arg["name"] for arg in template["spec"]["args"] if "value" not in arg}
    for analysis in (canary["analysis"], canary["steps"][-1]["analysis"]):
        assert analysis["templates"] == [{"templateName": template["metadata"]["name"]}]
        assert {arg["name"] for arg in analysis["args"]} == needed


# --- Flagger ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "version", "verdict"), CASES)
def test_flagger_fails_the_check_on_roll_back_alone(
    server: PrometheusServer, model: str, version: str, verdict: str | None
) -> None:
    check = DOCUMENTS["flagger.yml-Canary"]["spec"]["analysis"]["metrics"][0]
    template = DOCUMENTS["flagger.yml-MetricTemplate"]
    assert check["templateRef"]["name"] == template["metadata"]["name"]
    assert set(check["templateVariables"]) == {"model", "version"}
    query = filled(template["spec"]["query"], {"model": model, "version": version})
    (value,) = server.query(query).values()  # Flagger counts no value as a failed check
    assert (value > check["thresholdRange"]["max"]) == (verdict == "roll_back")
    assert "min" not in check["thresholdRange"]


def test_flagger_promotes_through_a_gate_that_every_release_finds_closed() -> None:
    hooks = {hook["type"]: hook["url"] for hook in DOCUMENTS["flagger.yml-Canary"]["spec"]["analysis"]["webhooks"]}
    assert set(hooks) == {"pre-rollout", "confirm-promotion"}
    assert hooks["pre-rollout"].endswith("/gate/close")
    assert hooks["confirm-promotion"].endswith("/gate/check")


# --- a pipeline -------------------------------------------------------------------------------------------------------


def step(directory: Path, url: str, model: str, **more: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Runs the step; what it says, and which of the two commands were run."""
    program = directory / "tidegauge"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tidegauge "$@"\n')
    program.chmod(0o755)
    commands = {name: f"touch '{directory / name}'" for name in ("PROMOTE", "ROLL_BACK")}
    settings = {"PATH": f"{directory}:{os.environ['PATH']}", "PROMETHEUS": url, "WAIT": "0s", **commands, **more}
    done = subprocess.run(
        ["sh", EXAMPLES / "pipeline.sh", model, "v2"],
        env={**os.environ, **ENVIRONMENT, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, {path.name for path in directory.iterdir()} - {"tidegauge"}


@pytest.mark.parametrize(
    ("model", "status", "run"),
    [
        ("promote-alone", 0, {"PROMOTE"}),
        ("roll_back-alone", 1, {"ROLL_BACK"}),
        ("keep_watching-alone", 2, set[str]()),
        ("none", 2, set[str]()),
    ],
)
def test_the_step_of_a_pipeline_does_what_the_verdict_says(
    prometheus: str, tmp_path: Path, model: str, status: int, run: set[str]
) -> None:
    done, ran = step(tmp_path, prometheus, model)
    assert (done.returncode, ran) == (status, run), done.stderr


def test_the_step_does_nothing_without_a_verdict(prometheus: str, tmp_path: Path) -> None:
    done, ran = step(tmp_path, f"http://{LOOPBACK}:{free_port()}", "promote-alone")
    assert (done.returncode, ran) == (2, set()), done.stderr
    done, ran = step(tmp_path, prometheus, "promote-alone", WAIT="for ever")
    assert (done.returncode, ran) == (70, set()), done.stderr


@pytest.mark.parametrize(("model", "command"), [("promote-alone", "PROMOTE"), ("roll_back-alone", "ROLL_BACK")])
def test_a_command_of_the_step_that_fails_is_a_fault(prometheus: str, tmp_path: Path, model: str, command: str) -> None:
    done, ran = step(tmp_path, prometheus, model, **{command: "exit 1"})
    assert (done.returncode, ran) == (70, set()), done.stderr
