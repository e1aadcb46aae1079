"""The example unit gives the exporter what it needs and nothing else, and runs commands that exist."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tidegauge.cli import main

UNIT = Path(__file__).parents[2] / "examples" / "systemd" / "tidegauge.service"


def settings() -> dict[str, dict[str, list[str]]]:
    """The unit's values by section and name; a name may come several times."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, line
            found[section][name].append(value)
    return found


def test_the_unit_confines_the_exporter() -> None:
    service = {name: values[-1] for name, values in settings()["Service"].items()}
    expected = {
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "StateDirectory": "tidegauge",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        "MemoryDenyWriteExecute": "yes",
    }
    assert {name: service.get(name) for name in expected} == expected
    assert settings()["Service"]["SystemCallFilter"][0] == "@system-service"
    assert not set(service) & {"ReadWritePaths", "PermissionsStartOnly", "User"}


def test_the_unit_writes_where_the_exporter_keeps_its_state() -> None:
    service = settings()["Service"]
    (start,) = service["ExecStart"]
    assert f"--state.directory=/var/lib/{service['StateDirectory'][0]}" in start
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert settings()["Install"]["WantedBy"] == ["multi-user.target"]


def test_every_command_of_the_unit_is_one_that_the_exporter_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ExecStartPre", "ExecStart"):
        (command,) = settings()["Service"][name]
        program, *words = command.split()
        assert program == "/opt/tidegauge/bin/tidegauge"
        words = [re.sub(r"=/etc/tidegauge/.*", f"={tmp_path / 'none.yml'}", word) for word in words]
        assert main(words) == 2
        assert "none.yml: found a file that cannot be read" in capsys.readouterr().err
