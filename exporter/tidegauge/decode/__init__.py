"""Blocks of bytes to columns. Knows records and their faults; knows nothing of files, joins or metrics."""

from tidegauge.decode.columns import (
    REASONS,
    Categorical,
    Decoded,
    FeedbackColumns,
    PredictionColumns,
    Rejection,
)
from tidegauge.decode.feedback import FeedbackDecoder
from tidegauge.decode.predictions import PredictionDecoder

__all__ = [
    "REASONS",
    "Categorical",
    "Decoded",
    "FeedbackColumns",
    "FeedbackDecoder",
    "PredictionColumns",
    "PredictionDecoder",
    "Rejection",
]
