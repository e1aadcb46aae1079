"""docker-compose.yml as tests see it: its services, and what its commands are where no container runs.

Paths of a container are translated by the service's mounts, names of services and their ports by a table.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.processes import LOOPBACK, tool

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""Images whose entry point is not said here."""
OWN = ("exporter", "simulator")
"""Services whose entry point is `tidegauge`, as exporter/Dockerfile says."""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


@dataclass(frozen=True, slots=True)
class Mount:
    source: str  # a path of the checkout that begins with ./, or the name of a volume
    target: str
    writable: bool

    @property
    def host(self) -> Path | None:
        """The path in the checkout; None of a volume."""
        return ROOT / self.source if self.source.startswith(".") else None


def mounts(service: str) -> list[Mount]:
    found = []
    for text in services()[service].get("volumes", ()):
        source, target, *options = text.split(":")
        found.append(Mount(source, target, options != ["ro"]))
    return found


def secret(name: str) -> str:
    """Where a container finds a secret."""
    return f"/run/secrets/{name}"


def published(service: str) -> tuple[str, int, int]:
    """Address and port of the host, port of the container."""
    (text,) = services()[service]["ports"]
    address, outside, inside = text.split(":")
    return address, int(outside), int(inside)


@dataclass(frozen=True, slots=True)
class Here:
    """A stand-in for the engine: volumes and secrets are below `directory`, services have the `ports` of loopback."""

    directory: Path
    ports: Mapping[int, int]  # of the container, of this machine

    def volume(self, name: str) -> Path:
        path = self.directory / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def secret(self, name: str) -> Path:
        return self.directory / "secrets" / name

    def path(self, service: str, text: str) -> str:
        """A text with the paths and addresses of the service's container, for this machine."""
        for name in services()[service].get("secrets", ()):
            text = text.replace(secret(name), str(self.secret(name)))
        for mount in sorted(mounts(service), key=lambda one: -len(one.target)):
            host = self._configuration(service, mount) if mount.host else self.volume(mount.source)
            text = re.sub(rf"(?<![\w/.]){re.escape(mount.target)}(?=[/\"'\s)]|$)", str(host), text)
        names = "|".join(map(re.escape, (*services(), "127.0.0.1", "0.0.0.0")))
        return re.sub(rf"\b({names}):(\d+)\b", self._address, text)

    def command(self, service: str) -> list[str]:
        about = services()[service]
        words = [*about.get("entrypoint", ()), *about.get("command", ())]
        words = [self.path(service, word) for word in words]
        if service in OWN:
            return [sys.executable, "-m", "tidegauge", *words]
        if service in PROGRAMS:
            return [tool(PROGRAMS[service]), *words]
        return [sys.executable, *words[1:]]

    def healthy(self, service: str) -> bool:
        """Whether the service's own health check, run here, says so."""
        kind, program, *words = services()[service]["healthcheck"]["test"]
        assert kind == "CMD"
        words = [self.path(service, word) for word in words]
        for inside, outside in self.ports.items():
            words = [word.replace(f'"127.0.0.1", {inside}', f'"127.0.0.1", {outside}') for word in words]
        found = sys.executable if program == "python" else tool(program)
        return subprocess.run([found, *words], capture_output=True, timeout=30, check=False).returncode == 0

    def _configuration(self, service: str, mount: Mount) -> Path:
        """What is mounted; files of addresses and paths are copied, with those of this machine in them."""
        assert mount.host is not None
        if not mount.source.startswith("./compose/"):
            return mount.host
        copied = self.directory / "configuration" / service
        if not copied.exists():
            copied.mkdir(parents=True)
            for file in mount.host.iterdir():
                (copied / file.name).write_text(self.path(service, file.read_text()))
        return copied

    def _address(self, match: re.Match[str]) -> str:
        inside = int(match[2])
        return f"{LOOPBACK}:{self.ports[inside]}" if inside in self.ports else match[0]
