"""What drift is said in: statistics, references, conditions of values, states of features. For the references in docs/.

Data only; how a statistic is computed is the business of `assess`. p are the shares of the reference, q those of now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DriftDefinition:
    """One statistic in words. `noise` is what it gives by chance, `folklore` the thresholds that people know."""

    sentence: str
    formula: str
    range: str
    noise: str
    folklore: str
    same_as: str
    use: str
    source: str


_LINEAR = "about (B - 1) s: it falls as the window grows, and grows with the number of bins"
_ROOT = "falls only with the root of the window"

DRIFT_DEFINITIONS: Mapping[str, DriftDefinition] = {
    "psi": DriftDefinition(
        "Population stability index: how far the shares of the bins are apart, each by its logarithm. It heeds rare"
        " bins more than the others do.",
        "Σ (q - p) ln(q / p); where a bin is empty on one side only, each side's counts get 1/2 a bin",
        "from 0",
        _LINEAR,
        "0.1 small, 0.25 large, in ten bins. Ten bins and 100 predictions give 0.09 by noise alone",
        "the formula of Evidently, Azure, Arize and Fiddler; their bins, and what they put in empty ones, are others",
        "the default: it adds up over bins, so that it can be told which part moved, and its noise is known",
        "Siddiqi 2006; Yurdakul 2018; the symmetric divergence of Jeffreys 1946",
    ),
    "jensen_shannon": DriftDefinition(
        "Jensen-Shannon distance: the root of how much knowing the side tells of the bin, in bits.",
        "√((KL(p, m) + KL(q, m)) / 2), m = (p + q) / 2, logarithms to base 2",
        "0 to 1",
        f"about √((B - 1) s / (8 ln 2)): it {_ROOT}",
        "0.1. With ten categories and 100 predictions four in five windows without any change exceed it",
        "scipy.spatial.distance.jensenshannon(p, q, base=2); NannyML. Evidently takes base e, TFDV leaves out the root",
        "to go on with a number that you know from NannyML; where bins may be empty and a bounded number is wanted",
        "Lin 1991; Endres and Schindelin 2003",
    ),
    "hellinger": DriftDefinition(
        "Hellinger distance: the distance of the roots of the shares.",
        "√(Σ (√p - √q)² / 2)",
        "0 to 1",
        f"about √((B - 1) s / 8): it {_ROOT}",
        "0.1 (Evidently), 0.15 and 0.4 (whylogs)",
        "NannyML, Evidently, whylogs",
        "as jensen_shannon, of which it hardly differs",
        "Hellinger 1909",
    ),
    "total_variation": DriftDefinition(
        "Total variation distance: the share of predictions that would have to change their bin.",
        "Σ |q - p| / 2",
        "0 to 1",
        f"it {_ROOT}",
        "none in common use",
        "Evidently, which tests it by permutation",
        "to explain a change to anybody: 0.05 are five in a hundred that moved",
        "half the sum of what the shares differ by",
    ),
    "l_infinity": DriftDefinition(
        "L-infinity distance: by how much the share of the bin that moved most has changed.",
        "max |q - p|",
        "0 to 1",
        f"it {_ROOT}",
        "0.3 (Vertex), for categories",
        "NannyML, TFDV, Vertex",
        "categories, where one value replaces another",
        "Chebyshev's distance of the shares",
    ),
    "kolmogorov_smirnov": DriftDefinition(
        "Kolmogorov-Smirnov distance: the largest gap between the two cumulative distributions. Of ordered features"
        " only, and of their valid values only.",
        "max |F(x) - G(x)| at the edges of the bins",
        "0 to 1",
        f"it {_ROOT}",
        "a p-value of 0.05, which large windows always and many features mostly reach",
        "scipy.stats.ks_2samp, to within the largest share of a bin: gaps inside a bin are not seen",
        "numbers, to go on with what you know; it sees the middle of a distribution better than its ends",
        "Kolmogorov 1933; Smirnov 1939",
    ),
    "wasserstein": DriftDefinition(
        "Wasserstein distance, normed: how far values have moved on average, in standard deviations of the reference."
        " Of ordered features only, and of their valid values only.",
        "∫ |F - G| dx over the standard deviation of the reference, bin by bin from the sums of the values;"
        " values far outside the range learned count as 16 ranges away at most",
        "from 0",
        f"it {_ROOT}; about 1.29 √s for a bell curve",
        "0.1. A bell curve that has not changed exceeds it in 7 of 10 windows of 100 predictions",
        "scipy.stats.wasserstein_distance over the standard deviation; Evidently and Azure. NannyML's has the feature's"
        " unit",
        "numbers, to say how far: a shift by a tenth of a standard deviation is 0.1 whatever the bins are",
        "Kantorovich 1942; Vallender 1974 for the form with cumulative distributions",
    ),
    "chi_squared": DriftDefinition(
        "Pearson's statistic of two samples: how surprising the difference is. It grows with the window, so it says"
        " nothing about the size of a change.",
        "Σ (n q √(m / n) - m p √(n / m))² / (n q + m p), n and m predictions",
        "from 0",
        "about B - 1, whatever the window",
        "a p-value of 0.05: `model_drift_p_value` is its p-value, with what is said below",
        "scipy.stats.chi2_contingency(correction=False)",
        "to recompute the p-value",
        "Pearson 1900",
    ),
}
"""By the value of `statistic`. s is 1/n + 1/m, of n predictions now and m of the reference; B the number of bins."""

VECTOR_DEFINITIONS: Mapping[str, DriftDefinition] = {
    "mmd": DriftDefinition(
        "Maximum mean discrepancy, squared: how far apart the means of the vectors are after a map in which a"
        " difference of any kind is a difference of means. Of embeddings and of `@inputs` only, which have it"
        " whatever `drift.statistics` says.",
        "|mean φ(y) - mean φ(x)|², φ(x) = [cos Wx, sin Wx] / √D: D = 128 random Fourier features of the kernel"
        " exp(-|x - y|² / (2 σ²)), with 2 σ² the median squared distance of two vectors of the reference",
        "0 to 4; seldom above 1",
        "s tr(C), C the covariance of φ in the reference, whose trace is at most 1: it falls as the window grows",
        "none in common use",
        "Alibi Detect's MMDDrift: model_drift_excess is its unbiased estimate, up to the noise of the random features",
        "to compare windows of one feature; from one feature to another it depends on how the vectors are spread",
        "Gretton et al. 2012; Rahimi and Recht 2007; Yu et al. 2016 for the orthogonal features",
    ),
}
"""Of vectors: they cannot be chosen, and no other statistic is of them."""

REFERENCE_MEANINGS: Mapping[str, str] = {
    "training": "The file that `reference` names: what the model was trained or accepted with.",
    "previous_version": "The version before, over the same time: the baseline of the release.",
    "trailing": "The version's own past at the same hours of the week, up to `drift.trailing` back.",
    "first": "The first `drift.first` predictions of the model, and at least 24 hours of them, where there is no"
    " `training`.",
}

WATCHED_MEANINGS: Mapping[str, str] = {
    "@score": "The score: the probability of the positive class (binary).",
    "@prediction": "The answer: its class; of a regression the number.",
    "@label": "The label, when it has arrived: has the truth itself moved?",
    "@inputs": "All numbers together, by the maximum mean discrepancy; with `drift.multivariate` and two numbers.",
    "@reconstruction": "How badly the reference's principal components describe the numbers; with"
    " `drift.multivariate` and two numbers.",
}

CONDITION_MEANINGS: Mapping[str, str] = {
    "valid": "A value of the feature's type; of a category one that the bins know.",
    "missing": "Absent or null. It is compared as a part of the bin `none`, as invalid and non_finite values are.",
    "invalid": "Of another type: a text where a number belongs, a list where a category does.",
    "non_finite": "NaN or infinite.",
    "unseen": "A category that the bins were not learned with. It is compared as a bin of its own.",
    "out_of_range": "A number below or above all that the bins were learned from. It is valid too, and compared as a"
    " part of the bin at that end.",
}

FEATURE_STATE_MEANINGS: Mapping[str, str] = {
    "ok": "Nothing of what follows.",
    "learning": "There is nothing to compare with yet, so only the plainest faults would be noticed: that it has"
    " vanished, or is of another type.",
    "insufficient_samples": "Fewer than 30 predictions in the window.",
    "vanished": "No prediction of the window, or none of the latest, has a value, and it is not usual that so many have"
    " none.",
    "invalid": "Values of another type, NaN or infinity, surely more than in the reference: in a tenth of the"
    " predictions or more, or in most of the latest.",
    "constant": "One value only, over the whole window, which chance would not give.",
    "stuck": "It had several values in the window, and has had one only for longer than chance would give.",
    "missing": "Without a value surely more often than in the reference, or with one of no use, by more than 1 in 100.",
    "unseen": "Categories that the reference did not have, by more than 1 in 100 more than it suggests there are.",
    "out_of_range": "Numbers outside the range of the reference, by more than 1 in 100 more than in it.",
}
"""By the value of `state`. The first that holds from `insufficient_samples` on is the feature's state."""

SCHEMA_CHANGE_MEANINGS: Mapping[str, str] = {
    "appeared": "Records have a feature that is not configured and that they did not have on the model's first day."
    " Said for a day.",
    "vanished": "A configured feature is in no record any more: renamed, perhaps.",
}
