"""docs/security.md: its commands run, its file loads, and no key of the web configuration is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.end_to_end import logs
from tests.processes import ENVIRONMENT, LOOPBACK, PATIENCE, Exporter
from tidegauge.config.shapes import Section
from tidegauge.config.web_schema import WEB

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
HASH = re.compile(r"\$2[aby]\$10\$[./A-Za-z0-9]{53}")


def shell(command: str, directory: Path, given: str = "") -> str:
    """What a command prints. It has no terminal, so that it asks for passwords on standard input."""
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-euc", command],
        cwd=directory,
        env={**os.environ, **ENVIRONMENT, **path},
        input=given,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_of_the_page_protect_an_exporter(tmp_path: Path) -> None:
    make_certificate, make_hash, check = SHELL
    config = tmp_path / "tidegauge.yml"
    config.write_text(logs.configuration(logs.FRAUD))
    shell(make_certificate, tmp_path)
    assert (tmp_path / "tidegauge.key").stat().st_mode & 0o777 == 0o600
    hashed = HASH.search(shell(make_hash, tmp_path, "low tide\n"))
    assert hashed is not None
    (tmp_path / "web.yml").write_text(HASH.sub(lambda _: hashed.group(), YAML[0]))
    assert "basic authentication of prometheus" in shell(check, tmp_path)
    with Exporter(config, "--web.config.file", str(tmp_path / "web.yml")).launch().wait_listening() as exporter:
        for password, status in (("low tide", 200), ("high tide", 401)):
            answer = requests.get(
                f"https://{LOOPBACK}:{exporter.port}/metrics",
                auth=("prometheus", password),
                verify=str(tmp_path / "tidegauge.crt"),
                timeout=PATIENCE,
            )
            assert answer.status_code == status


def keys(section: Section) -> Iterator[str]:
    for key in section.keys:
        if isinstance(key.shape, Section):
            yield from keys(key.shape)
        else:
            yield key.name


@pytest.mark.parametrize("name", list(keys(WEB)))
def test_every_key_of_the_web_configuration_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE
