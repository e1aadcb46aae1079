"""The page of a real exporter in a real browser: accessible, readable on a phone, harmless, and true.

Every state is looked at in both colour schemes, on a phone and on a desk, with everything unfolded.
"""

from __future__ import annotations

import gzip
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.page.scenes import HOSTILE_NAMES, SCENES, configuration, healthy, model_section, write
from tests.processes import Exporter, wait_until

PHONE, DESK = 360, 1280
URL, ICON = "http://127.0.0.1:8433/", "http://127.0.0.1:8433/favicon.ico"
UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"
HEADINGS = "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(one => Number(one.tagName[1]))"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exporter answered to GET /, kept to be looked at more than once."""

    body: bytes
    headers: dict[str, str]


def answer_of(exporter: Exporter) -> Answer:
    got = exporter.get("/")
    assert got.status_code == 200, got.text
    return Answer(got.content, {name: got.headers[name] for name in ("Content-Type", "Content-Security-Policy")})


Answers = Callable[[str], Answer]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The page in each state, from an exporter that is started when it is first asked for."""
    known: dict[str, Answer] = {}

    def answer(name: str) -> Answer:
        if name not in known:
            with Exporter(SCENES[name](tmp_path_factory.mktemp(name))) as exporter:
                exporter.wait_ready().settle()
                known[name] = answer_of(exporter)
        return known[name]

    return answer


def look(browser: Browser, answer: Answer, *, scheme: Any = "light", width: int = DESK) -> Page:
    """The page as the browser shows it; whatever the browser complains of fails the test."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: complaints.append(request.url) if request.url not in (URL, ICON) else None)
    page.route("**/*", lambda route: route.fulfill(status=404))
    page.route(URL, lambda route: route.fulfill(status=200, headers=answer.headers, body=answer.body))
    page.goto(URL)
    # A browser asks for an icon that is not there.
    assert [one for one in complaints if "404" not in one] == []
    return page


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(("scheme", "width"), [("light", PHONE), ("dark", DESK), ("dark", PHONE), ("light", DESK)])
@pytest.mark.parametrize("name", ["missed", "broken", "released", "drifting"])
def test_every_combination_is_accessible_and_fits_the_screen(
    browser: Browser, answers: Answers, name: str, scheme: str, width: int
) -> None:
    page = look(browser, answers(name), scheme=scheme, width=width)
    page.evaluate(UNFOLD)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


@pytest.mark.parametrize("name", ["healthy", "silent", "hostile", "many", "every_kind"])
def test_every_state_is_accessible_and_fits_the_screen(browser: Browser, answers: Answers, name: str) -> None:
    page = look(browser, answers(name), width=PHONE)
    assert violations(page) == []
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    page.set_viewport_size({"width": DESK, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == DESK
    page.close()


@pytest.mark.parametrize("name", SCENES)
def test_headings_landmarks_tables_and_pictures_have_names(browser: Browser, answers: Answers, name: str) -> None:
    page = look(browser, answers(name))
    levels = page.evaluate(HEADINGS)
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.locator("main").count() == page.locator("header").count() == page.locator("footer").count() == 1
    tables = page.locator("table").count()
    assert page.locator("table > caption").count() == tables > 0
    assert page.locator("th:not([scope])").count() == 0
    pictures = page.locator("svg").count()
    assert page.locator('svg[role="img"] > title').count() == pictures
    page.close()


@pytest.mark.parametrize("name", ["missed", "hostile"])
def test_nothing_runs_and_no_style_but_its_own_is_let_in(browser: Browser, answers: Answers, name: str) -> None:
    answer = answers(name)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    page = look(browser, answer)
    assert page.locator("script, iframe, img, form, object, embed, link, base").count() == 0
    assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"
    page.close()


def test_contrast_holds_on_paper_too(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("missed"), width=800)
    page.emulate_media(media="print", color_scheme="light")
    page.evaluate(UNFOLD)
    assert [one for one in violations(page) if one.startswith("color-contrast")] == []
    page.close()


# --- what each state says ---------------------------------------------------------------------------------------------


def said(page: Page, place: str) -> str:
    """The text of the one element there; a space is a space."""
    return page.locator(place).inner_text().replace("\N{NO-BREAK SPACE}", " ")


def first_words(page: Page) -> str:
    return said(page, ".say")


def glance(page: Page) -> str:
    return said(page, "section[aria-labelledby=glance]")


def test_a_healthy_model_is_said_to_be_so(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("healthy"))
    assert first_words(page) == "The model meets its objective."
    assert page.title() == "Objective met – Tidegauge"
    assert re.search(
        r"accuracy 0\.9\d\d \(0\.9\d\d to 0\.9\d\d\) over the last 24 h, at or above its objective 0.9", glance(page)
    )
    assert "No problems" in page.locator("main").inner_text()


def test_what_is_wrong_comes_first(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("missed"))
    assert first_words(page).startswith(
        "A release is to be rolled back. "
        "Of 3 models, 1 misses its objective, 1 makes no predictions and 1 is uncertain."
    )
    names = page.locator("section[aria-labelledby=glance] .a a").all_inner_texts()
    assert names == ["fraud", "old", "search"]
    lines = [line for line in glance(page).splitlines() if ": " in line]
    assert "v2: accuracy" in lines[0] and "below its objective 0.94 for sure" in lines[0]
    assert "v2 against v1: roll back. accuracy " in lines[1]
    (young,) = (line for line in lines if "v3-canary: " in line)
    assert "younger than 10 min, the time that labels need" in young
    card = page.locator("article", has=page.locator("h4", has_text="v2"))
    assert "worst country NZ" in card.locator("summary", has_text="Slices").inner_text()
    # By the keyboard: the link from the verdict leads to the model.
    page.locator("section[aria-labelledby=glance] .a a").first.press("Enter")
    assert page.evaluate("location.hash && document.querySelector(location.hash).innerText") == "fraud"


def test_a_release_to_roll_back_and_a_version_that_rots_are_told_first(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("released"))
    assert first_words(page).startswith("A release is to be rolled back. ")
    assert " 1 version gets worse." in first_words(page)
    assert page.title() == "Roll back – Tidegauge"
    told = said(page, "section[aria-labelledby=findings]")
    assert re.search(r"Version v2 is worse than v1: accuracy [\d.]+ points lower, surely at least \d", told)
    assert re.search(
        r"Version v1: accuracy is getting worse since \S+ \S+ UTC: expected 0\.9\d+, now 0\.\d+ over", told
    )
    card = page.locator("article", has=page.locator("h4", has_text="v2"))
    assert "accuracy: learning what is normal, 1," in card.inner_text().replace("\N{NO-BREAK SPACE}", " ")
    table = card.locator("table", has_text="fraud v2 minus v1")
    assert table.locator("tbody th").all_inner_texts()[0].endswith("accuracy")
    links = page.locator("a[rel=noreferrer]").evaluate_all("links => links.map(one => one.getAttribute('href'))")
    assert "https://runbooks.example/tidegauge/ModelReleaseRegressed.html" in links
    assert "https://runbooks.example/tidegauge/ModelDegrading.html" in links


def test_drift_and_broken_data_are_told_with_whether_they_harm(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("drifting"))
    assert first_words(page).endswith("1 version gets broken data.")
    assert page.title() == "Data is broken – Tidegauge"
    told = [line for line in said(page, "section[aria-labelledby=findings]").splitlines() if line]
    assert told[1].startswith("▲ Act now dead: Version v1: ")
    (one,) = (line for line in told if " one-input: " in line)
    assert re.search(r"1 of 3 inputs has moved since \S+ \S+ UTC compared with the reference file: amount \(", one)
    assert one.endswith(" Quality is within its objective.")
    (score,) = (line for line in told if " score: " in line)
    assert "the score and the prediction have moved since" in score
    assert score.endswith(" No labels yet, so its quality is not known.")
    assert not [line for line in told if " still: " in line or " young: " in line]
    for alert in ("ModelFeatureBroken", "ModelScoreDrift", "ModelInputDrift"):
        assert page.locator(f"a[href='https://runbooks.example/tidegauge/{alert}.html']").count() >= 1


def card(page: Page, model: str) -> str:
    page.evaluate(UNFOLD)
    return said(page, f"section.m:has(h3 bdi:text-is('{model}'))")


def test_the_card_of_each_model_says_what_has_moved_and_what_is_broken(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("drifting"))
    still = card(page, "still")
    assert "Neither answers nor any of 3 inputs have moved over the last 24 h, compared with the reference" in still
    assert "Drift, by feature" not in still
    young = card(page, "young")
    assert "Learning how answers and inputs are distributed: 300 of the first 2,000 predictions so far." in young
    dead = card(page, "dead")
    for words in (
        "age has values of the wrong type",
        "in 100 % of",
        "amount has vanished: none of",
        "country is constant: one and the same value in",
        "No record has amount any more.",
    ):
        assert words in dead, words
    assert "age is missing in 1" in card(page, "gaps") or "age is missing in 9" in card(page, "gaps")
    crowd = card(page, "crowd")
    assert re.search(r"2\d of 50 inputs have moved since .*: f00 \(1\d % of the shift\), f0", crowd)
    assert "and 9 more; see /api/v1/status." in crowd and "29 other inputs: nothing found." in crowd
    tables = page.locator("section.m:has(h3 bdi:text-is('crowd')) table", has_text="excess PSI by reference")
    names = [one.strip().removeprefix("◆") for one in tables.locator("tbody th").all_inner_texts()]
    assert names[:5] == ["score", "prediction", "label", "f00", "f01"]
    assert len(names) == 3 + 12
    assert page.locator("section.m:has(h3 bdi:text-is('crowd')) svg.d").count() == 3


def test_links_lead_to_boards_and_runbooks_with_names_filled_in(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("missed"))
    links = page.locator("a[rel=noreferrer]").evaluate_all("links => links.map(one => one.getAttribute('href'))")
    assert "https://grafana.example/d/quality?var-model=fraud&var-version=v3-canary" in links
    assert "https://runbooks.example/tidegauge/ModelObjectiveMissed.html" in links
    assert "https://runbooks.example/tidegauge/TidegaugeRejectingRecords.html" in links


def test_labels_that_stopped_coming_are_missed_before_scores_change(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("silent"))
    assert first_words(page) == "The model gets no feedback."
    assert re.search(r"no feedback for 3 h \d+ min: none of \d+ predictions since then has a label", glance(page))


def test_broken_input_is_explained(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("broken"))
    assert first_words(page) == "The model meets its objective. The exporter has 2 errors."
    told = said(page, "section[aria-labelledby=problems]")
    assert "there is no directory" in told and "nowhere" in told
    assert "No file matches" in told and "labels-*.jsonl" in told
    assert re.search(r"40 records \(0\.8\d %\) of predictions were not used: not JSON", told)
    assert "not used: no timestamp." in told
    assert "not used: more than 5 min in the future." in told


def test_models_of_every_task_are_shown_and_channels_are_named_where_there_are_several(
    browser: Browser, answers: Answers
) -> None:
    page = look(browser, answers("every_kind"))
    told = glance(page)
    assert "accuracy by audit" in told or "accuracy by outcome" in told
    assert re.search(
        r"v1: mae 0\.\d+ \(0\.\d+ to \d\.\d+\) over the last 1 h, at or below its objective 2 for sure", told
    )
    assert re.search(
        r"v1: reported error rate by reports \S+ \(\S+ to \S+\) over the last 1 h; no objective is set", told
    )
    card = page.locator("article").first
    captions = [caption.replace("\N{NO-BREAK SPACE}", " ") for caption in card.locator("figcaption").all_inner_texts()]
    assert any(one.startswith("accuracy by outcome, last 1 h by 1 min") for one in captions)
    assert any(one.startswith("accuracy by audit, last 1 h by 1 min") for one in captions)
    assert "Time is that of the logs: 2024-03-04 13:59" in said(page, "footer")


def test_hostile_names_are_shown_as_what_they_are(browser: Browser, answers: Answers) -> None:
    page = look(browser, answers("hostile"))
    assert page.title().endswith("– Tidegauge")
    names = page.locator("h4").all_inner_texts()
    assert HOSTILE_NAMES[0] in names
    assert HOSTILE_NAMES[1] in names
    assert any("safe\\u202egnp.exe\\u2066" in one for one in names)
    assert max(map(len, names)) < 250
    assert page.locator("script, img").count() == 0


def test_a_refused_reload_is_told_until_one_succeeds(browser: Browser, tmp_path: Path) -> None:
    config = healthy(tmp_path)
    good = config.read_text()
    with Exporter(config) as exporter:
        exporter.wait_ready().settle()
        for text, expected in (("nonsense: 1\n", True), (good, False)):
            config.write_text(text)
            exporter.signal(signal.SIGHUP)
            refused = "The configuration file was refused when it was last read"
            wait_until(lambda: (refused in exporter.get("/").text) is expected, what="the page to follow")  # noqa: B023


def test_before_everything_is_read_the_page_says_how_far_it_is(browser: Browser, tmp_path: Path) -> None:
    """A compressed file that is still being written holds readiness back."""
    more = "  - predictions: packed/*.gz\n"
    config = write(tmp_path, configuration([model_section("fraud")], sources=more), [("fraud", ())])
    packed = tmp_path / "packed" / "old.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(b"{}\n")[:-9])
    done = threading.Event()

    def touch() -> None:
        while not done.wait(0.5):
            os.utime(packed)

    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        with Exporter(config) as exporter:
            page = look(browser, answer_of(exporter), width=PHONE)
            assert first_words(page).startswith("Starting: the logs are being read.")
            assert "Scores are shown once everything that the logs held at the start has been read" in page.content()
            assert page.locator("section[aria-labelledby=glance]").count() == 0
            assert violations(page) == []
            status = exporter.get("/api/v1/status").json()
            assert (status["exporter"]["ready"], status["models"]) == (False, [])
            page.close()
    finally:
        done.set()
        toucher.join()
