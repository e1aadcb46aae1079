"""What each value of the `metric` label means, in words: for the reference, and for editors.

Data only, one entry a name of `metrics.METRIC_NAMES`; how a metric is computed is the business of `assess`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric in words. `formula` uses w for a row's weight; `merge` says how several exporters add up."""

    sentence: str
    formula: str
    interval: str
    merge: str
    source: str = ""


_ADD = "add numerators, add denominators, divide"
_NEVER = "never: look at each exporter"
_WILSON = "Wilson"
_MOVER = "MOVER of the classes' Wilson intervals"
_LOSS = "Student's t on the logarithm of the mean"
_NEWCOMBE = "Wilson 1927; Newcombe 1998, method 3"
_MACRO = "Multiclass: the mean over the classes that occur as label or answer."

DEFINITIONS: Mapping[str, Definition] = {
    "accuracy": Definition(
        "The share of answers that were right.", "Σw[answer = label] / Σw", _WILSON, _ADD, _NEWCOMBE
    ),
    "balanced_accuracy": Definition(
        "The mean over the classes of the share of their cases that were recognised.",
        "mean of recall over the classes that occur as labels",
        _MOVER,
        _NEVER,
        "scikit-learn balanced_accuracy_score",
    ),
    "precision": Definition(
        f"Of the positive answers, the share that was right. {_MACRO}",
        "TP / (TP + FP)",
        f"{_WILSON}; multiclass: {_MOVER}",
        f"binary: {_ADD}; multiclass: {_NEVER}",
        "scikit-learn precision_score",
    ),
    "recall": Definition(
        f"Of the positive cases, the share that was recognised. {_MACRO}",
        "TP / (TP + FN)",
        f"{_WILSON}; multiclass: {_MOVER}",
        f"binary: {_ADD}; multiclass: {_NEVER}",
        "scikit-learn recall_score",
    ),
    "f1": Definition(
        f"The harmonic mean of precision and recall. {_MACRO}",
        "2 TP / (2 TP + FP + FN)",
        "from Wilson's of TP / (TP + FP + FN); multiclass: MOVER with the variance doubled",
        f"binary: {_ADD}; multiclass: {_NEVER}",
        "scikit-learn f1_score",
    ),
    "specificity": Definition(
        "Of the negative cases, the share that was recognised. Multiclass: the mean over the classes, each against the"
        " others.",
        "TN / (TN + FP)",
        f"{_WILSON}; multiclass: {_MOVER}",
        f"binary: {_ADD}; multiclass: {_NEVER}",
    ),
    "mcc": Definition(
        "Matthews' correlation of labels and answers: 1 perfect, 0 no better than chance.",
        "cov(label, answer) / √(cov(label, label) cov(answer, answer))",
        "Wilson's form with the delta method's variance",
        _NEVER,
        "Gorodkin 2004",
    ),
    "log_loss": Definition(
        "How surprising the labels were, given the probabilities.",
        "-Σw ln p(label) / Σw, p kept 1e-15 away from 0 and 1",
        _LOSS,
        _ADD,
    ),
    "brier": Definition(
        "Mean squared error of the probabilities; over all classes in a multiclass model, so up to 2.",
        "Σw (p - y)² / Σw",
        _LOSS,
        _ADD,
        "Brier 1950",
    ),
    "roc_auc": Definition(
        "The chance that a positive case scores above a negative one, ties counting half. Multiclass: mean over the"
        " classes, each against the others.",
        "area under the ROC curve of the score histogram",
        "Newcombe 2006, method 5, with DeLong's variance; widened by what ties within a bin can hide",
        _NEVER,
        "DeLong, DeLong, Clarke-Pearson 1988",
    ),
    "pr_auc": Definition(
        "Average precision: the mean over the positive cases of the precision at their score.",
        "Σ (recall step) x precision, over the score histogram",
        "binomial (Boyd, Eng, Page 2013), widened by what ties within a bin can hide",
        _NEVER,
        "scikit-learn average_precision_score",
    ),
    "calibration_error": Definition(
        "How far the stated probabilities are from the observed shares, over 15 groups of equal width.",
        "Σ over groups of (share of rows) x |mean probability - observed share|",
        "normal, about the error of the groups' true shares; the score itself is positive by noise alone",
        _NEVER,
        "Naeini et al. 2015; the top label where multiclass",
    ),
    "mae": Definition("Mean absolute error, in the label's units.", "Σw |prediction - label| / Σw", _LOSS, _ADD),
    "rmse": Definition(
        "Root of the mean squared error, in the label's units.",
        "√(Σw (prediction - label)² / Σw)",
        "delta method on its logarithm",
        "add numerators, add denominators, divide, take the root",
    ),
    "mape": Definition(
        "Mean of the error as a share of the label, over rows whose label is not 0.",
        "Σw |prediction - label| / |label| / Σw",
        _LOSS,
        _ADD,
    ),
    "r2": Definition(
        "The share of the labels' variance that the predictions explain.",
        "1 - Σw (prediction - label)² / Σw (label - mean label)²",
        "delta method on log(1 - R²)",
        _NEVER,
        "scikit-learn r2_score",
    ),
    "mean_error": Definition(
        "Mean error, in the label's units: above 0 the model says too much.",
        "Σw (prediction - label) / Σw",
        "Student's t",
        _ADD,
    ),
    "ndcg": Definition(
        "How much of the ideal order's gain the ranking has: relevant items count less the further down they stand.",
        "mean of Σ relevant(i) / log₂(i + 1) over its best possible value, i up to k",
        "Student's t within 0 to 1; Wilson's where all rows are equal",
        _ADD,
        "Järvelin, Kekäläinen 2002, binary relevance",
    ),
    "mrr": Definition(
        "How far up the first relevant item stands.",
        "mean of 1 / place of the first relevant item, 0 where none is among the first k",
        "Student's t within 0 to 1; Wilson's where all rows are equal",
        _ADD,
        "Voorhees 1999",
    ),
    "hit_rate": Definition(
        "The share of rankings with a relevant item among the first k.", "Σw[hit] / Σw", _WILSON, _ADD, _NEWCOMBE
    ),
    "word_error_rate": Definition(
        "Words to substitute, delete and insert to turn the answer into the label, over the words of the labels.",
        "Σw edits / Σw words of the label",
        "delta method of a ratio of sums, Student's t",
        _ADD,
        "Särndal, Swensson, Wretman 1992, eq. 5.6.10",
    ),
    "character_error_rate": Definition(
        "Characters to substitute, delete and insert to turn the answer into the label, over those of the labels.",
        "Σw edits / Σw characters of the label",
        "delta method of a ratio of sums, Student's t",
        _ADD,
        "Särndal, Swensson, Wretman 1992, eq. 5.6.10",
    ),
    "reported_error_rate": Definition(
        "Predictions reported as wrong, over all mature ones. No error rate: those who report are no sample of all.",
        "reported wrong / mature predictions",
        _WILSON,
        _ADD,
    ),
    "response_rate": Definition(
        "Predictions with any feedback on the channel, over all mature ones.",
        "with feedback / mature predictions",
        _WILSON,
        _ADD,
    ),
}

EARLY_DEFINITIONS: Mapping[str, str] = {
    "error_ratio": "The share of requests that got no answer.",
    "latency_seconds": "The mean time to answer, in seconds, the slowest held at the baseline's 99.9th percentile.",
}
"""What releases are compared by besides metrics and signals."""
