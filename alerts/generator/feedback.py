"""Whether the truth still comes in: coverage against its usual level, and feeds that have fallen silent."""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.rule import COUNT, MODEL, PERCENT, Alert, Group, Record, fill, held, labels, look

CHANNEL = (*MODEL, "channel")
WINDOW = (*CHANNEL, "window")


def group(parameters: Parameters) -> Group:
    """Records, then ModelCoverageLost and ModelFeedbackSilent."""
    p = parameters

    def filled(text: str, **more: object) -> str:
        return fill(text, p, channel=labels(CHANNEL), by=labels(WINDOW), **more)

    rules: list[Record | Alert] = [
        Record(
            "model:mature_predictions:sum",
            filled('sum by (<by>) (model_window_mature_predictions{window!="lifetime"})'),
        ),
        Record(
            "model:labeled_predictions:sum",
            filled('sum by (<by>) (model_window_labeled_predictions{window!="lifetime"})'),
        ),
        Record(
            "model:feedback_coverage:ratio",
            filled("model:labeled_predictions:sum / (model:mature_predictions:sum >= <minimum_samples>)"),
        ),
        Record(
            "model:coverage_lost:bool",
            filled("""
              (model:feedback_coverage:ratio < bool <coverage_drop> * model:feedback_coverage:usual)
            * (model:feedback_coverage:usual * model:mature_predictions:sum >= bool <coverage_expected>)
            """),
        ),
        Alert(
            "ModelCoverageLost",
            "warning",
            filled(held("ModelCoverageLost", "model:coverage_lost:bool", WINDOW)),
            p.coverage_for,
            "Much less of a model's predictions get feedback than usual.",
            filled(
                f"Model {{{{ $labels.model }}}}: {look('model:feedback_coverage:ratio', WINDOW, PERCENT)} of the "
                f"{look('model:mature_predictions:sum', WINDOW, COUNT)} predictions in the last {{{{ $labels.window "
                "}} "
                "that are old enough have feedback on channel {{ $labels.channel }}; usually it is "
                f"{look('model:feedback_coverage:usual', WINDOW, PERCENT)}. Scores rest on what is left, which may "
                "not be "
                "like the rest."
            ),
            "model",
            ("job", "model", "channel", "window"),
        ),
    ]
    for window in p.feedback_windows:
        text = "sum by (<channel>) (increase(model_feedback_received_total[<window>]))"
        own = {"window": str(window)}
        rules.append(Record("model:feedback_received:increase", filled(text, window=window), own))
    rules += [
        Record("model:feedback_silent:bool", "model:feedback_received:increase == bool 0"),
        Alert(
            "ModelFeedbackSilent",
            "warning",
            filled(
                held(
                    "ModelFeedbackSilent",
                    "model:feedback_silent:bool",
                    WINDOW,
                    condition="""\
and on (<by>) last_over_time(model:feedback_received:low[<bridge>]) >= <feedback_least>
  and on (job, model) sum by (job, model) (increase(model_predictions_total[<first>])) > 0""",
                ),
                first=p.feedback_windows[0],
            ),
            p.feedback_for,
            "No feedback on a model comes in any more, though it usually does.",
            filled(
                "Model {{ $labels.model }}: no record on channel {{ $labels.channel }} in the last {{ $labels.window "
                "}}; "
                f"usually it is at least {look('model:feedback_received:low', WINDOW, COUNT, over='max_over_time')}. "
                "Scores will cover less and "
                "less, then vanish."
            ),
            "pipeline",
            ("job", "model", "channel"),
        ),
    ]
    return Group("tidegauge-feedback", p.interval, tuple(rules))


def usual(parameters: Parameters) -> Group:
    """What is usual: medians, and for feeds what nine of ten windows exceed."""
    records = (
        Record(
            "model:feedback_coverage:usual",
            fill("quantile_over_time(0.5, model:feedback_coverage:ratio[<usual>])", parameters),
        ),
        Record(
            "model:feedback_received:low",
            fill("quantile_over_time(0.1, model:feedback_received:increase[<usual>])", parameters),
        ),
    )
    return Group("tidegauge-feedback-usual", parameters.slow_interval, records)
