"""The pages in docs/ are true: what they show runs, loads or parses, and their links and names hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.check.logs import Place, feedback, prediction
from tests.end_to_end import logs
from tests.processes import ENVIRONMENT, Exporter, Metrics, tool
from tidegauge.config.load import load
from tidegauge.config.metrics import METRIC_NAMES
from tidegauge.join.join import RESULTS
from tidegauge.publish.catalogue import NAMED

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what is said of it after that, and its text."""

    page: str
    language: str
    about: str
    text: str


def blocks(language: str, about: str | None = None) -> list[Block]:
    found = []
    for page, text in PAGES.items():
        for match in re.finditer(r"^```(\S*) ?(.*)\n((?:.*\n)*?)^```$", text, re.M):
            block = Block(page, match[1], match[2], match[3])
            if block.language == language and about in (None, block.about):
                found.append(block)
    return found


def names(listed: list[Block]) -> list[str]:
    return [f"{block.page}-{number}" for number, block in enumerate(listed)]


# --- configurations ---------------------------------------------------------------------------------------------------

# The page on security configures other files than these and has tests of its own.
YAML = [block for block in blocks("yaml") if block.page != "security.md"]


@pytest.mark.parametrize("block", YAML, ids=names(YAML))
def test_every_yaml_block_is_accepted_by_the_program_that_reads_it(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "shown.yml"
    file.write_text(block.text)
    if "scrape_configs" in yaml.safe_load(block.text):
        done = subprocess.run([tool("promtool"), "check", "config", file], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert load(file).models


def test_the_first_line_for_editors_names_a_schema_that_is_there() -> None:
    named = re.findall(r"yaml-language-server: \$schema=(\S+)", PAGES["configuration.md"])
    assert named and all((ROOT / name).is_file() for name in named)


# --- queries ----------------------------------------------------------------------------------------------------------


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    queries = blocks("promql")
    assert len(queries) > 20
    rules = [{"record": f"shown:{number}", "expr": block.text} for number, block in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}))
    done = subprocess.run([tool("promtool"), "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_queries_ask_for_families_and_labels_that_there_are() -> None:
    for block in blocks("promql"):
        asked = re.findall(r"\b((?:model|tidegauge)_[a-z_]+?)(?:_bucket)?\b(\{[^}]*\})?", block.text)
        assert asked or "up{" in block.text, block.text
        for name, selector in asked:
            if name not in NAMED:
                continue_labels = {label for family in NAMED.values() for label in family.labels}
                assert name in continue_labels, name
                continue
            for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selector):
                assert label in NAMED[name].labels, (name, label)
                if label == "metric":
                    assert value in (*METRIC_NAMES, "overall")


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a configuration, its logs, and an exporter that runs on them."""
    directory = tmp_path_factory.mktemp("operations")
    (directory / "tidegauge.yml").write_text(logs.configuration(logs.FRAUD))
    logs.write_every_kind(directory, each=100)
    programs = directory / "programs"
    programs.mkdir()
    command = programs / "tidegauge"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tidegauge "$@"\n')
    command.chmod(0o755)
    with Exporter(directory / "tidegauge.yml") as exporter:
        exporter.wait_ready()
        (directory / "tidegauge.pid").write_text(f"{exporter.pid}\n")
        yield directory
        assert exporter.running, exporter.said()


SHELL = [block for block in blocks("sh") if block.page != "security.md"]


def test_every_shell_block_is_marked_as_run() -> None:
    assert len(SHELL) >= 4
    assert all(block.about == "runnable" for block in SHELL)


def test_every_shell_block_runs_in_the_order_of_the_page(checkout: Path) -> None:
    environment = {**os.environ, **ENVIRONMENT, "PATH": f"{checkout / 'programs'}:{os.environ['PATH']}"}
    for block in SHELL:
        done = subprocess.run(
            ["sh", "-eu", "-c", block.text], cwd=checkout, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{block.page}: {block.text}\n{done.stderr}"
    assert (checkout / "restored" / "manifest.json").is_file()


def test_every_indented_command_is_one_that_the_project_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    checked = 0
    for page, text in PAGES.items():
        for line in re.findall(r"^    ((?:make|tidegauge|python3?|pip|sh|go|java) .*)$", text, re.M):
            program, *words = line.split("  ")[0].split(" #")[0].split()
            checked += 1
            if program == "make":
                assert words[0] in targets, (page, line)
            elif program == "tidegauge":
                assert words[0] in ("run", "check", "reference", "demo", "simulate", "verdict"), (page, line)
            elif words[0] == "-m":
                assert (ROOT / (words[1].replace(".", "/") + ".py")).is_file(), (page, line)
            elif program != "pip":
                assert (ROOT / words[0]).is_file(), (page, line)
    assert checked > 5


def test_the_programs_of_the_recipes_are_there() -> None:
    shown = re.findall(r"`(?:python3|go run|java|sh) (examples/\S+) DIRECTORY`", PAGES["logging.md"])
    assert sorted(Path(name).name for name in shown) == sorted(p.name for p in (ROOT / "examples/logging").iterdir())


def test_logrotate_takes_its_configuration_and_renames(tmp_path: Path) -> None:
    program = shutil.which("logrotate") or shutil.which("logrotate", path=f"/usr/sbin:{ROOT / '.tools/usr/sbin'}")
    assert program, "logrotate is not installed; `make test` brings it"
    (block,) = blocks("text", "logrotate")
    directory = tmp_path / "fraud"
    directory.mkdir(mode=0o755)
    log = directory / "predictions.jsonl"
    log.write_text("{}\n")
    inode = log.stat().st_ino
    (tmp_path / "conf").write_text(block.text.replace("/var/log/fraud", str(directory)))
    (tmp_path / "conf").chmod(0o644)
    libraries = ":".join(str(path) for path in (ROOT / ".tools/usr/lib").glob("*-linux-gnu*"))
    done = subprocess.run(
        [program, "--force", "--state", tmp_path / "status", tmp_path / "conf"],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not log.exists()
    assert (directory / "predictions.jsonl.1").stat().st_ino == inode, "it was copied, not renamed"


# --- examples ---------------------------------------------------------------------------------------------------------


def test_the_check_that_is_shown_is_what_check_says(tmp_path: Path) -> None:
    (block,) = blocks("text", "check")
    place = Place(tmp_path)
    place.predict(lambda number: {**prediction(number, version=None), "model_version": "v7"})
    place.answer(lambda number: feedback(number, label="fraud" if number % 5 == 0 else "legitimate"))
    assert place.report().endswith(f"\n{block.text}")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Metrics:
    """What the exporter publishes of the example in concepts.md."""
    directory = tmp_path_factory.mktemp("example")
    shown = [block for language in ("yaml", "json") for block in blocks(language) if block.page == "concepts.md"]
    assert sorted(block.about for block in shown) == ["feedback.jsonl", "predictions.jsonl", "tidegauge.yml"]
    for block in shown:
        (directory / block.about).write_text(block.text)
    with Exporter(directory / "tidegauge.yml") as exporter:
        return exporter.wait_ready().wait_for(lambda page: bool(page.total("model_outcomes_total")))


def example_rows() -> list[tuple[str, dict[str, str], str]]:
    rows = re.findall(r"^\| `(model_\w+)(?:\{(.*?)\})?` \| ([\d.]+) \|", PAGES["concepts.md"], re.M)
    return [(name, dict(re.findall(r'(\w+)="(\w+)"', labels)), value) for name, labels, value in rows]


def test_the_example_has_numbers() -> None:
    assert len(example_rows()) > 15


@pytest.mark.parametrize(("name", "labels", "value"), example_rows(), ids=lambda part: str(part))
def test_every_number_of_the_example_is_published(
    name: str, labels: dict[str, str], value: str, example: Metrics
) -> None:
    place = {"model": "fraud", "version": "v1", "channel": "outcome", **labels}
    if "window" in NAMED[name].labels:
        place["window"] = "1h"
    found = example.value(name, **place)
    assert found is not None
    assert f"{found:.4f}".rstrip("0").rstrip(".") == value


# --- names and links --------------------------------------------------------------------------------------------------


def headings(text: str) -> set[str]:
    """Anchors of a page as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = DOCS / name if name else DOCS / page
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target.read_text(encoding="utf-8")), link


def test_the_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", PAGES["README.md"]))
    assert set(PAGES) - {"README.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_every_family_that_a_page_names_is_one_that_is_published(page: str) -> None:
    for name in re.findall(r"`((?:model|tidegauge)_[a-z_]+)(?:\{[^`]*\})?`", PAGES[page]):
        known = name in NAMED or name.removesuffix("_bucket") in NAMED or any(n.startswith(name) for n in NAMED)
        assert known or name in {label for family in NAMED.values() for label in family.labels}, name


def test_troubleshooting_names_every_fate_of_feedback_that_is_a_trouble() -> None:
    table = PAGES["operations.md"].split("## Troubleshooting", 1)[1]
    for result in set(RESULTS) - {"joined", "replaced", "duplicate", "superseded", "retracted"}:
        assert f"`{result}`" in table, result
