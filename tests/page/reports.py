"""Reports made up for tests of their renderings, and strategies that make up hostile ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tidegauge.publish.drift_words import drift_summary, feature_summary
from tidegauge.publish.outlook_words import change_summary, release_summary, slope_summary
from tidegauge.publish.page import render_page
from tidegauge.publish.report import (
    ChangeReport,
    ChannelReport,
    ComparisonReport,
    CoverageReport,
    DelayReport,
    DistributionReport,
    DriftReport,
    ExporterReport,
    FeatureComparisonReport,
    FeatureReport,
    ModelReport,
    ProblemReport,
    ProxyReport,
    RecordsReport,
    ReleaseReport,
    Report,
    ScoreReport,
    SliceReport,
    SlopeReport,
    SourceReport,
    TrendReport,
    VersionReport,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
EARLIER = datetime(2026, 3, 4, 5, 6, 3, tzinfo=UTC)


def page_text(shown: Report, now: datetime = NOW) -> str:
    """The page as text; a space is a space."""
    return render_page(shown, now).decode().replace("\N{NO-BREAK SPACE}", " ")


def score(**more: object) -> ScoreReport:
    """A score that surely misses its objective."""
    missed = ScoreReport(
        "outcome", "accuracy", "24h", 86400.0, "ok", 0.931, 0.924, 0.938, 4870.0, 0.95, "at_least", "missed"
    )
    return replace(missed, **more)  # type: ignore[arg-type]


def comparison(**more: object) -> ComparisonReport:
    """A measure that decides, by which a release is surely worse."""
    one = ComparisonReport(
        channel="outcome",
        metric="accuracy",
        design="concurrent",
        decides=True,
        more_is_better=True,
        proportion=True,
        verdict="roll_back",
        difference=-0.028,
        lower=-0.044,
        upper=-0.012,
        margin=0.01,
        harm_evidence=61.3,
        harm_threshold=20.0,
        non_inferiority_evidence=0.0021,
        non_inferiority_threshold=20.0,
        samples=2395.0,
        baseline_samples=40_112.0,
        samples_needed=0.0,
        clipped_ratio=None,
    )
    return replace(one, **more)  # type: ignore[arg-type]


def early(**more: object) -> ComparisonReport:
    """Latency, which does not decide."""
    usual = {"channel": "", "metric": "latency_seconds", "decides": False, "more_is_better": False}
    numbers = {"difference": 0.004, "lower": -0.001, "upper": 0.009, "margin": 0.002, "verdict": "keep_watching"}
    other = {"proportion": False, "harm_evidence": 3.2, "samples_needed": 900.0, "clipped_ratio": 0.0004}
    return comparison(**(usual | numbers | other | more))


def release(*comparisons: ComparisonReport, **more: object) -> ReleaseReport:
    """One to roll back."""
    one = ReleaseReport(
        version="v2",
        baseline="v1",
        verdict="roll_back",
        summary="",
        start_at=EARLIER - timedelta(days=1),
        end_at=EARLIER + timedelta(days=13),
        ended=False,
        comparisons=comparisons or (comparison(), early()),
    )
    shown = replace(one, **more)  # type: ignore[arg-type]
    return replace(shown, summary=release_summary(shown, several=False))


def change(**more: object) -> ChangeReport:
    """Accuracy that gets worse."""
    one = ChangeReport(
        channel="outcome",
        metric="accuracy",
        key="",
        value="",
        state="detected",
        summary="",
        learned=53_000.0,
        learning_needed=5000.0,
        learned_seconds=7 * 86400.0,
        learning_needed_seconds=7 * 86400.0,
        expected=0.9503,
        score=0.9012,
        window="24h",
        evidence=41_000.0,
        threshold=25_920.0,
        start_at=EARLIER - timedelta(days=2),
    )
    shown = replace(one, **more)  # type: ignore[arg-type]
    return replace(shown, summary=change_summary(shown, several=False))


def slope(**more: object) -> SlopeReport:
    """Accuracy that will miss its objective in five days."""
    one = SlopeReport(
        channel="outcome",
        metric="accuracy",
        summary="",
        per_day=-0.0021,
        lower=-0.003,
        upper=-0.0012,
        significant=True,
        target=0.9,
        breach_at=EARLIER + timedelta(days=5),
        breach_earliest_at=EARLIER + timedelta(days=3),
        breach_latest_at=None,
    )
    shown = replace(one, **more)  # type: ignore[arg-type]
    return replace(shown, summary=slope_summary(shown, several=False))


def against(reference: str = "training", **more: object) -> FeatureComparisonReport:
    """A feature that has moved against a reference."""
    one = FeatureComparisonReport(
        reference, 10_000.0, 0.3127, 0.00001, 1e9, 1e6, True, EARLIER - timedelta(hours=19), 0.72
    )
    return replace(one, **more)  # type: ignore[arg-type]


def same(reference: str = "training", **more: object) -> FeatureComparisonReport:
    """A feature that has not."""
    usual = {"effect": -0.0004, "p_value": 0.4, "evidence": 1.2, "detected": False, "start_at": None}
    return against(reference, **({"contribution": 0.0} | usual | more))


def feature(text: str, *comparisons: FeatureComparisonReport, **more: object) -> FeatureReport:
    """One that is well; with what it is compared with."""
    one = FeatureReport(text, "ok", False, False, "", 12_345, 12_345, 0, 0, 0, 0, 0, comparisons or (same(),))
    shown = replace(one, **({"detected": any(held.detected for held in comparisons)} | more))  # type: ignore[arg-type]
    return replace(shown, summary=feature_summary(shown))


def drift(*features: FeatureReport, **more: object) -> DriftReport:
    """A window in which something has moved."""
    found = features or (
        feature("@score"),
        feature(
            "amount",
            against(),
            distribution=DistributionReport(
                "training", ("01 (-inf, 10)", "02 [10, +inf)", "none"), (0.2, 0.8, 0.0), (0.5, 0.5, 0.0)
            ),
        ),
        feature("age", state="vanished", broken=True, valid=0, missing=12_345),
        feature("country", state="unseen", unseen=1000),
    )
    one = DriftReport("24h", 86400.0, "moved", "", 12_345, 0, 0, None, found)
    shown = replace(one, **more)  # type: ignore[arg-type]
    return replace(shown, summary=drift_summary(shown))


def version(text: str = "v2", **more: object) -> VersionReport:
    """A version with something of everything."""
    one = VersionReport(
        name=text,
        verdict="missed",
        summary="accuracy 0.931 (0.924 to 0.938), below its objective 0.95 for sure",
        headline=score(),
        dashboard="https://grafana.example/d/quality?var-version=v2",
        runbook="https://runbooks.example/ModelObjectiveMissed",
        predictions=120_345,
        errors=12,
        first_prediction_at=EARLIER,
        last_prediction_at=EARLIER,
        coverage=(CoverageReport("outcome", "24h", 86400.0, 5100, 5000, 4900.0, 0.98),),
        delays=(DelayReport("outcome", 4900, 45.0, 700.0, None, 0),),
        scores=(score(), score(metric="roc_auc", target=None, direction=None, verdict="no_objective")),
        trends=(
            TrendReport(
                "outcome",
                "accuracy",
                EARLIER,
                1800.0,
                0.95,
                (0.9, None, 0.93, 0.95),
                (0.8, None, 0.9, 0.93),
                (0.95, None, 0.96, 0.97),
            ),
        ),
        slices=(SliceReport("country", "NZ", "outcome", "accuracy", "24h", "ok", 0.7, 0.6, 0.8, 177.0, "missed"),),
        proxies=(ProxyReport("click", "24h", 0.31, 0.30, 0.32, 9000.0),),
        release=release(),
        changes=(change(),),
        failing_slices=(change(key="country", value="NZ", expected=0.94, score=0.7, window="1h"),),
        slopes=(slope(),),
        drift=(drift(), drift(feature("@score"), window="1h", window_seconds=3600.0, state="steady")),
    )
    return replace(one, **more)  # type: ignore[arg-type]


def model(text: str = "fraud", *versions: VersionReport, **more: object) -> ModelReport:
    one = ModelReport(
        name=text,
        task="binary",
        owner="payments",
        verdict="missed",
        summary="v2 worse than promised",
        dashboard="https://grafana.example/d/quality?var-model=fraud",
        channels=(ChannelReport("outcome", "complete", 3600.0, None),),
        minimum_samples=30,
        pending_predictions=100,
        waiting_feedback=3,
        versions=versions or (version(),),
        vanished_features=("age",),
        new_features=("years",),
    )
    return replace(one, **more)  # type: ignore[arg-type]


def report(*models: ModelReport, **more: object) -> Report:
    """A whole report."""
    exporter = ExporterReport(
        "0.2.0", "/etc/tidegauge.yml", True, True, "wall", EARLIER, EARLIER, 0.02, 10.0, EARLIER, 0
    )
    one = Report(
        exporter=exporter,
        problems=(
            ProblemReport(
                "no_files", "error", "feedback", "No file matches x.", "Check `path`.", None, "https://r.example/x"
            ),
        ),
        models=models or (model(),),
        sources=(SourceReport("predictions", "predictions", "/var/log/*.jsonl", 2, 1, 1234, 5, 1.5, {"rotations": 3}),),
        records=(RecordsReport("predictions", "accepted", 120_345, 17),),
    )
    return replace(one, **more)  # type: ignore[arg-type]
