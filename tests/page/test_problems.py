"""What is wrong with the exporter is told in plain words, while it is wrong and a little longer."""

from __future__ import annotations

from dataclasses import replace

from tests.page.reports import model, version
from tidegauge.assess.verdicts import VERDICTS
from tidegauge.config.settings import Channel, Links, Model, Objective
from tidegauge.pipeline.about import SelfView, SourceView
from tidegauge.pipeline.problems import Growth, problem_reports
from tidegauge.pipeline.proxy_status import proxy_reports
from tidegauge.pipeline.recent import Recent
from tidegauge.pipeline.runbooks import alert
from tidegauge.pipeline.status import headline_pairs, judge_version
from tidegauge.publish.report import CoverageReport, DelayReport, ProblemReport, ScoreReport
from tidegauge.publish.samples import Family, Samples
from tidegauge.publish.summaries import model_summary

FINE = SelfView(
    ready=True,
    clock=1_700_000_000_000,
    reloaded=True,
    web_reloaded=None,
    refused={},
    records={("predictions", "accepted"): 1000},
    sources=[SourceView("predictions", 10_000, 0, 0.0, 1, 0, {})],
    pending={"fraud": 10},
    waiting={"fraud": 0},
    sampling={"fraud": 1.0},
    folded={},
    series={"fraud": 200},
    dropped={"fraud": 400},  # once, long ago
    probabilities={},
    contents={},
    refreshed=1_700_000_000_000,
    refresh_seconds=0.1,
    saved=1_700_000_000_000,
    save_seconds=0.1,
    save_bytes=100,
    save_failures=3,
)
QUIET = Growth({("predictions", "accepted"): 100}, {("predictions", "rotations"): 1}, {("fraud", "slice"): 0})
LINKS = Links(runbook="https://wiki.example/{alert}")


def problems(
    state: SelfView = FINE, growth: Growth = QUIET, troubles: tuple[str, ...] = (), dropped: int = 0
) -> list[ProblemReport]:
    return list(problem_reports(state, growth, {"predictions": troubles}, {"fraud": dropped}, LINKS))


def only(found: list[ProblemReport]) -> ProblemReport:
    (one,) = found
    assert one.message.endswith(".") and one.advice.endswith(".")
    expected = alert(one.code)
    assert one.runbook == (None if expected is None else f"https://wiki.example/{expected}")
    return one


def test_what_went_wrong_long_ago_is_no_problem_now() -> None:
    assert problems() == []


def test_a_failed_save_is_an_error_with_its_reason() -> None:
    one = only(problems(replace(FINE, save_failed="No space left on device")))
    assert (one.code, one.severity, one.count) == ("save_failed", "error", 3)
    assert "No space left on device" in one.message


def test_globs_permissions_and_other_troubles_are_told_apart() -> None:
    expected = {
        "no file matches /logs/*.jsonl: there is no directory /logs": "no_files",
        "no file matches /logs/*.jsonl: cannot list /logs: Permission denied": "permission_denied",
        "cannot read /logs/a.jsonl: Permission denied": "permission_denied",
        "/logs/a.jsonl is mounted as a single file, so its rotation cannot be seen: mount its directory": "unreadable",
    }
    for trouble, code in expected.items():
        one = only(problems(troubles=(trouble,)))
        assert (one.code, one.severity, one.subject) == (code, "error", "predictions")
        assert trouble.partition(" ")[2] in one.message


def test_lag_is_a_problem_once_it_lasts_a_minute_and_the_start_is_over() -> None:
    behind = replace(FINE, sources=[SourceView("predictions", 10_000, 5_000_000, 3600.0, 1, 0, {})])
    one = only(problems(behind))
    assert (one.code, one.message) == ("lag", "Reading is 1 h and 5.0 MB behind the logs.")
    assert problems(replace(behind, ready=False)) == []
    assert problems(replace(FINE, sources=[SourceView("predictions", 10_000, 5_000_000, 3.0, 1, 0, {})])) == []


def test_lost_data_and_refused_records_are_counted_by_what_is_recent() -> None:
    events = Growth({}, {("predictions", "deleted_unread"): 2}, {})
    assert only(problems(growth=events)).message == "In the last 15 min, 2 files were deleted before they were read."
    records = Growth({("feedback", "accepted"): 90, ("feedback", "missing_label"): 10}, {}, {})
    one = only(problems(growth=records))
    assert one.message == "In the last 15 min, 10 records (10 %) of feedback were not used: no label."
    assert (one.code, one.count) == ("records_missing_label", 10)
    novel = only(problems(growth=Growth({("feedback", "quite_new"): 1}, {}, {})))
    assert "1 record (100 %) of feedback was not used: quite new." in novel.message


def test_caps_that_are_reached_are_warnings() -> None:
    assert only(problems(dropped=17)).code == "series_dropped"
    sampled = only(problems(replace(FINE, sampling={"fraud": 0.25})))
    assert sampled.code == "sampling" and "25 % of the ids" in sampled.message
    folded = only(problems(growth=Growth({}, {}, {("fraud", "slice"): 1234})))
    assert '1,234 records counted as "other": there are too many slice values' in folded.message


def test_errors_come_before_warnings() -> None:
    found = problems(replace(FINE, reloaded=False, sampling={"fraud": 0.5}), troubles=("no file matches x",), dropped=1)
    assert [one.severity for one in found] == ["error", "error", "warning", "warning"]


def test_growth_forgets_after_a_quarter_of_an_hour() -> None:
    recent: Recent[str] = Recent()
    minute = 60_000
    assert recent.growth(0, {"a": 100}) == {"a": 0}
    assert recent.growth(30_000, {"a": 107, "b": 1}) == {"a": 7, "b": 1}
    for at in range(1, 15):
        assert recent.growth(at * minute, {"a": 107, "b": 1})["a"] == 7
    assert recent.growth(20 * minute, {"a": 107, "b": 1}) == {"a": 0, "b": 0}
    assert recent.growth(21 * minute, {"a": 5, "b": 1}) == {"a": 5, "b": 0}, "a counter that began anew counts whole"


# --- which score a version is judged by -------------------------------------------------------------------------------

FRAUD = Model(
    name="fraud",
    task="binary",
    channels=(Channel("outcome"), Channel("reports", "mistakes")),
    objectives=(Objective("accuracy", 0.9, "at_least"), Objective("log_loss", 0.3, "at_most")),
)


def judged(metric: str, window: str, verdict: str, channel: str = "outcome") -> ScoreReport:
    seconds = {"1h": 3600.0, "24h": 86400.0}[window]
    state = "no_feedback" if verdict == "unknown" else "ok"
    return ScoreReport(channel, metric, window, seconds, state, None, None, None, 0.0, 0.9, "at_least", verdict)


def verdict_of(*scores: ScoreReport, silent: int = 0, made: int = 100) -> tuple[str, str]:
    coverage = [
        CoverageReport("outcome", "1h", 3600.0, made, made, 50.0, 0.5),
        CoverageReport("outcome", "lifetime", None, None, made, 50.0, 0.5),
    ]
    delay = DelayReport("outcome", 50, 1.0, 2.0, 100.0 if silent else None, silent)
    verdict, headline = judge_version(FRAUD, scores, coverage, [delay], headline_pairs(FRAUD))
    return verdict, f"{headline.metric} {headline.window}" if headline else ""


def test_the_longest_window_speaks_unless_a_shorter_one_has_surely_missed() -> None:
    long_met, short_met = judged("accuracy", "24h", "met"), judged("accuracy", "1h", "met")
    short_maybe, short_missed = judged("accuracy", "1h", "uncertain"), judged("accuracy", "1h", "missed")
    assert verdict_of(short_met, long_met) == ("met", "accuracy 24h")
    assert verdict_of(short_maybe, long_met) == ("met", "accuracy 24h")
    assert verdict_of(short_missed, long_met) == ("missed", "accuracy 1h")
    assert verdict_of(short_met, judged("accuracy", "24h", "missed")) == ("missed", "accuracy 24h")


def test_the_worst_objective_counts() -> None:
    met, loss = judged("accuracy", "24h", "met"), judged("log_loss", "24h", "uncertain")
    assert verdict_of(met, loss) == ("uncertain", "log_loss 24h")


def test_silence_outranks_everything_but_a_sure_miss() -> None:
    met, missed = judged("accuracy", "24h", "met"), judged("accuracy", "24h", "missed")
    assert verdict_of(met, silent=30) == ("silent", "accuracy 24h")
    assert verdict_of(met, silent=15) == ("met", "accuracy 24h"), "half of them usually have no label"
    assert verdict_of(missed, silent=30) == ("missed", "accuracy 24h")
    assert verdict_of(judged("accuracy", "24h", "unknown")) == ("unknown", "accuracy 24h")


def test_a_version_without_predictions_idles() -> None:
    assert verdict_of(judged("accuracy", "24h", "unknown"), made=0) == ("idle", "")


def test_without_objectives_a_version_is_headed_by_a_leading_metric() -> None:
    assert headline_pairs(FRAUD) == [(0, "accuracy"), (0, "log_loss")]
    assert headline_pairs(replace(FRAUD, objectives=())) == [(0, "accuracy")]
    reports = Channel("reports", "mistakes")
    assert headline_pairs(replace(FRAUD, objectives=(), channels=(reports,))) == [(0, "reported_error_rate")]
    assert headline_pairs(replace(FRAUD, task="regression", objectives=())) == [(0, "rmse")]


def test_a_model_is_told_by_its_versions() -> None:
    assert model_summary(model("m", version("v2"), version("v1", verdict="met"))) == (
        "v2 worse than promised; v1 as good as promised"
    )
    crowd = [version(f"v{number}", verdict="met") for number in range(4)]
    assert model_summary(model("m", *crowd)) == "4 versions as good as promised"
    assert {model_summary(model("m", version("v", verdict=verdict))) for verdict in VERDICTS} > {"v uncertain"}


def test_proxies_are_read_from_the_published_families() -> None:
    labels = ("model", "version", "signal", "window")
    rows = [("m", "v1", "click", "1h"), ("m", "v2", "click", "1h")]

    def samples(field: str, values: list[float]) -> Samples:
        return Samples(Family(f"model_proxy_{field}", "gauge", "Help.", labels), rows, values)

    other = Samples(Family("model_quality_score", "gauge", "Help.", labels), rows, [9.0, 9.0])
    parts = [
        samples("score", [0.5, 0.6]),
        samples("score_lower", [0.4, 0.5]),
        samples("score_upper", [0.6, 0.7]),
        samples("numerator", [50, 60]),
        samples("samples", [100, 110]),
        other,
    ]
    found = proxy_reports(parts)
    assert found.keys() == {"v1", "v2"}
    (click,) = found["v2"]
    assert (click.signal, click.window) == ("click", "1h")
    assert (click.score, click.lower, click.upper, click.samples) == (0.6, 0.5, 0.7, 110)
    assert proxy_reports([other]) == {}
