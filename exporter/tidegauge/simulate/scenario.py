"""What a scenario is: a binary classifier in production, who asks it, and when the truth becomes known."""

from __future__ import annotations

from dataclasses import dataclass

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Points (progress of the run from 0 to 1, value), linear between them, constant outside.
Curve = tuple[tuple[float, float], ...]


def steps(*points: tuple[float, float]) -> Curve:
    """The curve that has each value from its point on, until the next."""
    curve: list[tuple[float, float]] = []
    for at, value in points:
        if curve:
            curve.append((at - 1e-9, curve[-1][1]))
        curve.append((at, value))
    return tuple(curve)


NEVER: Curve = ((0, 0.0),)


@dataclass(frozen=True, slots=True)
class Version:
    """How one version of the simulated model behaves."""

    name: str
    accuracy: Curve  # probability that the answer is right, in the mean over the day, the users and the countries
    confidence: float  # what the version believes its accuracy to be; its scores are calibrated where the two agree
    share: Curve  # weight in the traffic, relative to the other versions
    latency_ms: float  # median
    error_ratio: float  # requests that get no answer


@dataclass(frozen=True, slots=True)
class Users:
    """Who asks: each prediction is of one of `number` users, all equally busy.

    `hard` of them are answered wrongly `harder` times as often as the mean, the others so much more rarely that the
    mean stays. So predictions of a user resemble each other, and tell less than as many of different users.
    """

    number: int
    hard: float
    harder: float


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a feature on its way into the record; curves are shares of the predictions."""

    missing: Curve = NEVER  # null in its place
    frozen: Curve = NEVER  # a default in its place: 0, or the first category
    renamed: Curve = NEVER  # it stands under `new_name`
    new_name: str = ""
    version: str = ""  # only in records of this version; "": of all


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric feature: a lognormal number."""

    name: str
    median: float
    spread: float  # standard deviation of its logarithm
    moved: Curve = NEVER  # by so many of these standard deviations
    weekend: float = 0.0  # and by so many more on Saturdays and Sundays
    fault: Fault = Fault()


@dataclass(frozen=True, slots=True)
class Category:
    """A categorical feature."""

    name: str
    weights: tuple[tuple[str, Curve], ...]  # by value
    weekend: tuple[tuple[str, float], ...] = ()  # factors on the weights on Saturdays and Sundays, by value
    fault: Fault = Fault()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A binary classifier in production: who asks, which versions answer, when the truth becomes known.

    Durations in ms. `duration`, `rate` and `delay` are what it is made for; a run may be given others. The day of the
    cycle is then shortened with the run.
    """

    name: str
    description: str
    watch: str  # what is to be seen of it
    model: str
    versions: tuple[Version, ...]
    countries: tuple[tuple[str, float], ...]  # (slice value, share of the traffic)
    duration: int = HOUR
    rate: float = 50.0  # predictions a second, in the mean over the day
    delay: int = MINUTE  # mean of the feedback's exponential delay
    cycle: float = 0.0  # errors and traffic are so much more frequent in the afternoon, and rarer at night
    failing: tuple[tuple[str, Curve], ...] = ()  # (country, factor on its error rate)
    held: Curve = ((0, 0.0),)  # how much later feedback comes, by the time of its prediction; a share of `duration`
    users: Users | None = None
    features: tuple[Number | Category, ...] = ()  # besides the amount and the country, which every record has
    positive_ratio: Curve = ((0, 0.2),)  # predictions that say "1"
    weekend: float = 0.0  # on Saturdays and Sundays traffic is so much less, and "1" is said so much more often
    feedback_ratio: float = 0.9  # predictions whose truth ever becomes known
    windows: tuple[str, ...] = ("5m", "1h")
    objective: float = 0.9  # accuracy
    margin: float | None = None  # of accuracy, at a release
    references: tuple[str, ...] = ()  # what features are compared with; (): the default
    fires: tuple[str, ...] = ()  # alerts that must come; the first is the one that tells
    may_fire: tuple[str, ...] = ()  # alerts that follow from those, or that chance decides; no other alert must come
