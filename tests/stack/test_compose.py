"""docker-compose.yml is valid, has no rights to lose, mounts what exists and says what the programs understand.

No container is run here: the schema, the checks of the real programs and the programs themselves stand in for that.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema.validators import validator_for

from alerts.compose import FOLDER, render
from alerts.generator.parameters import Parameters
from tests.processes import ENVIRONMENT, free_port, tool
from tests.stack.stack import OWN, PROGRAMS, ROOT, Here, compose, mounts, published, services
from tidegauge.config.load import load

EVERY = sorted(services())
SHOWN = ["alertmanager", "exporter", "grafana", "prometheus"]
DEMO = ["receiver", "simulator"]


@pytest.fixture
def here(tmp_path: Path) -> Here:
    for name in compose()["secrets"]:
        path = tmp_path / "secrets" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("t0ken")
    return Here(tmp_path, {port: free_port() for port in (8433, 9090, 9093, 9095)})


def text_of(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **ENVIRONMENT}
    )
    return done.stdout + done.stderr


def flags(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if word.startswith("--")]


def test_it_is_what_the_compose_specification_allows() -> None:
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text())
    validator = validator_for(schema)(schema)
    validator.validate(compose())
    assert not validator.is_valid({**compose(), "services": {"exporter": {"imagine": "a"}}})


def test_docker_compose_accepts_it_where_there_is_one(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    found = docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    if not docker or not found or found.returncode:
        return  # the schema above stands in for it
    done = subprocess.run(
        [docker, "compose", "--profile", "demo", "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_stack_is_what_it_says_and_only_the_demo_is_behind_a_profile() -> None:
    assert sorted([*SHOWN, *DEMO]) == EVERY
    assert [name for name in EVERY if services()[name].get("profiles") == ["demo"]] == DEMO
    assert not [name for name in SHOWN if "profiles" in services()[name]]


@pytest.mark.parametrize("name", EVERY)
def test_every_service_is_hardened_limited_and_watched(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), "by number, and not root"
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    check = service["healthcheck"]
    assert check["test"][0] == "CMD", "without a shell"
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


@pytest.mark.parametrize("name", EVERY)
def test_images_are_pinned_and_our_own_is_built(name: str) -> None:
    service = services()[name]
    if "build" in service:
        assert service["build"] == {"context": ".", "dockerfile": "exporter/Dockerfile"}
        assert service["pull_policy"] == "build", "nobody's registry is asked for it"
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    else:
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", service["image"])
    assert not service["image"].endswith(":latest")


@pytest.mark.parametrize("name", SHOWN)
def test_ports_are_open_on_this_machine_alone(name: str) -> None:
    address, outside, inside = published(name)
    assert address == "127.0.0.1"
    assert outside == inside


@pytest.mark.parametrize("name", DEMO)
def test_the_demo_opens_no_port(name: str) -> None:
    assert "ports" not in services()[name]


@pytest.mark.parametrize("name", EVERY)
def test_what_is_mounted_exists_read_only_and_data_is_in_volumes(name: str) -> None:
    for mount in mounts(name):
        if mount.host is None:
            assert mount.source in compose()["volumes"]
            assert mount.writable or (name, mount.source) == ("exporter", "logs")
        else:
            assert mount.host.exists(), mount.source
            assert not mount.writable
    assert set(services()[name].get("secrets", ())) <= compose()["secrets"].keys()
    targets = [mount.target for mount in mounts(name) if mount.host]
    for target in targets:
        # A mount point inside a read-only mount could not be made.
        assert not any(other != target and target.startswith(f"{other}/") for other in targets)


def test_every_volume_is_used() -> None:
    used = {mount.source for name in EVERY for mount in mounts(name) if mount.host is None}
    assert used == set(compose()["volumes"])


def test_own_containers_may_write_to_their_volumes() -> None:
    dockerfile = (ROOT / "exporter" / "Dockerfile").read_text()
    for name in OWN:
        for mount in mounts(name):
            if mount.host is None:
                copy = f"COPY --from=build --chown={services()[name]['user']} --chmod=0700 /state {mount.target}\n"
                assert copy in dockerfile, "a new volume takes over the owner of the image's directory"


def test_services_start_in_the_order_in_which_they_need_each_other() -> None:
    needs = {name: services()[name].get("depends_on", {}) for name in EVERY}
    for name, needed in needs.items():
        for other, about in needed.items():
            assert about["condition"] == "service_healthy"
            assert about.get("required", True) is (other not in DEMO), f"{name} must start without the demo"
    started: list[str] = []
    while len(started) < len(EVERY):
        ready = [name for name in EVERY if name not in started and set(needs[name]) <= set(started)]
        assert ready, "a circle"
        started += ready
    for first, then in (
        ("simulator", "exporter"),
        ("exporter", "prometheus"),
        ("receiver", "alertmanager"),
        ("alertmanager", "prometheus"),
        ("prometheus", "grafana"),
    ):
        assert started.index(first) < started.index(then)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_flag_is_one_of_the_real_program(name: str) -> None:
    known = text_of(tool(PROGRAMS[name]), "--help")
    used = flags(services()[name]["command"])
    assert len(used) >= 3
    for flag in used:
        assert re.search(rf"{re.escape(flag)}\b", known), flag


@pytest.mark.parametrize("name", OWN)
def test_every_flag_is_one_of_tidegauge(name: str) -> None:
    command = services()[name]["command"]
    known = text_of(sys.executable, "-m", "tidegauge", command[0], "--help")
    for flag in flags(command):
        assert re.search(rf"{re.escape(flag)}\b", known), flag


def test_every_flag_of_the_receiver_is_known() -> None:
    known = text_of(sys.executable, str(ROOT / "alerts" / "receiver.py"), "--help")
    for flag in flags(services()["receiver"]["command"]):
        assert re.search(rf"{re.escape(flag)}\b", known), flag


def test_prometheus_and_alertmanager_accept_what_is_mounted(here: Here) -> None:
    for name, checker in (
        ("prometheus", ["promtool", "check", "config"]),
        ("alertmanager", ["amtool", "check-config"]),
    ):
        (flag,) = [word for word in here.command(name) if word.startswith("--config.file=")]
        said = text_of(tool(checker[0]), *checker[1:], flag.split("=", 1)[1])
        assert "SUCCESS" in said
        assert "FAILED" not in said
        found = re.findall(r"(\d+) (?:rules? found|rule files? found|templates?)|rule files found", said)
        assert found, said


def test_their_configurations_are_those_of_alerts_with_the_addresses_of_the_stack() -> None:
    for path, text in render().items():
        assert (FOLDER / path).read_text() == text, "python -m alerts.compose"
    ours = yaml.safe_load((FOLDER / "alertmanager" / "alertmanager.yml").read_text())
    theirs = yaml.safe_load((ROOT / "alerts" / "alertmanager.yml").read_text())
    for part in ("route", "inhibit_rules"):
        assert ours[part] == theirs[part]
    assert [each["name"] for each in ours["receivers"]] == [each["name"] for each in theirs["receivers"]]


def test_the_exporter_accepts_what_is_mounted_and_reads_what_the_simulator_writes() -> None:
    settings = load(ROOT / "compose" / "exporter" / "tidegauge.yml")
    (output,) = [word for word in services()["simulator"]["command"] if word.startswith("--output=")]
    assert {str(Path(source.pattern).parent) for source in settings.sources} == {output.split("=")[1]}
    assert settings.links.dashboard and settings.links.dashboard.startswith(f"{Parameters().grafana}/d/")


def test_addresses_agree_all_over_the_stack() -> None:
    folder = ROOT / "dashboards" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "tidegauge.yml").read_text())["datasources"]
    for source in sources:
        name, port = source["url"].removeprefix("http://").split(":")
        assert published(name)[2] == int(port)
    scraped = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    assert sources[0]["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    (job,) = scraped["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"exporter:{published('exporter')[2]}"]}]
    assert Parameters().grafana == f"http://localhost:{published('grafana')[1]}"
    (provider,) = yaml.safe_load((folder / "dashboards" / "tidegauge.yml").read_text())["providers"]
    boards = {mount.target: mount.host for mount in mounts("grafana")}[provider["options"]["path"]]
    assert boards and len(list(boards.glob("*.json"))) == 6
    assert (folder / "datasources").is_dir()
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(provider["options"]["path"])
    assert (boards / Path(home).name).is_file()


def test_secrets_are_files_and_nowhere_else() -> None:
    environment = services()["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_admin_password"
    for service in services().values():
        for key in service.get("environment", {}):
            assert not re.search(r"PASSWORD$|TOKEN$|SECRET$", key)
    assert "/compose/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_make_secrets_makes_them_once_for_the_owner_of_the_checkout_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    wanted = [tmp_path / about["file"] for about in compose()["secrets"].values()]
    made = []
    for _ in range(2):
        subprocess.run(["make", "-s", "secrets"], cwd=tmp_path, check=True, capture_output=True)
        made.append([path.read_text() for path in wanted])
    assert made[0] == made[1]
    assert len(set(made[0])) == len(wanted)
    for path in wanted:
        assert re.fullmatch(r"[0-9a-f]{48}", path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == 0o444, "containers read it as another user"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, "nobody else of this machine does"
