"""The engine that follows coverage: atheris (libFuzzer) on the instrumented package. A process of its own.

It is not to be had for every Python, so it is never needed: `pip install atheris` makes it an option.
Run as: python -m tests.fuzz.coverage_guided TARGET SECONDS DIRECTORY
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tidegauge", "yaml"], enable_loader_override=False):
    import yaml  # noqa: F401

    from tests.fuzz.targets import TARGETS

from tests.fuzz.watch import ALLOWANCE, peak_memory


def main() -> None:
    name, seconds, place = sys.argv[1:]
    logging.disable()
    target, directory = TARGETS[name], Path(place)
    corpus = directory / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(data)
    dictionary = directory / "tokens"
    dictionary.write_text("".join(f'"{_quoted(token)}"\n' for token in target.tokens if len(token) <= 64))

    def check(data: bytes) -> None:
        before = peak_memory()
        target.check(data)
        grown, allowed = peak_memory() - before, ALLOWANCE + target.bytes_of_memory * len(data)
        assert grown <= allowed, f"{grown} bytes of memory for an input of {len(data)}, {allowed} allowed"

    options = [f"-max_total_time={seconds}", f"-timeout={int(target.seconds)}", "-rss_limit_mb=4096", "-max_len=65536"]
    options += [f"-dict={dictionary}", f"-artifact_prefix={directory}/failure-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *options], check)
    atheris.Fuzz()


def _quoted(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main()
