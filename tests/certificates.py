"""Certificates for tests, made by openssl: an authority, and what it issues."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVER_NAMES = "DNS:localhost,IP:127.0.0.1"


def openssl() -> str:
    """Where the program is."""
    found = shutil.which("openssl")
    assert found, "openssl is not installed; `make test` brings it"
    return found


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, both as files in PEM format."""

    file: Path
    key: Path


def authority(directory: Path, name: str = "authority") -> Certificate:
    """One that signs itself and others."""
    return _make(directory, name, ["-addext", "keyUsage=critical,keyCertSign"])


def issue(by: Certificate, name: str, *, names: str = SERVER_NAMES) -> Certificate:
    """One for a server or a client, valid for two days; `names` as openssl writes subject alternative names."""
    leaf = ["-CA", str(by.file), "-CAkey", str(by.key), "-addext", "basicConstraints=critical,CA:FALSE"]
    return _make(by.file.parent, name, [*leaf, "-addext", f"subjectAltName={names}"])


def _make(directory: Path, name: str, more: list[str]) -> Certificate:
    made = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    command = [openssl(), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(made.file), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made
