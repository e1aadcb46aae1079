"""The two logs of a scenario, step by step: arrays first, then lines. Owned by one thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegauge.simulate.features import Inputs
from tidegauge.simulate.scenario import DAY, HOUR, Scenario, Users
from tidegauge.simulate.shares import at, choose

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PEAK = 15 * HOUR  # UTC; the busiest hour of the day, and the one with the most errors


class Traffic:
    """The scenario's two logs as streams of bytes, produced step by step. Owned by one thread."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int,
        start: int,
        duration: int,
        rate: float,
        delay: int,
        repeating: bool = False,
    ) -> None:
        """`start`, `duration` (over which the curves run) and `delay` in ms; `rate` in predictions a second.

        After `duration` the curves hold their last value or, if `repeating`, begin again.
        """
        self.scenario = scenario
        self.now = start
        self._start = start
        self._duration = duration
        self._rate = rate
        self._repeating = repeating
        self._delay = delay
        self._day = max(1.0, DAY * duration / scenario.duration)  # shorter by as much as the run is
        self._random = np.random.default_rng(seed)
        self._users = None if scenario.users is None else _Crowd(scenario.users, seed)
        self._inputs = Inputs(scenario.features, seed)
        self._count = 0
        self._due: Integers = np.empty(0, np.int64)
        self._due_number: Integers = np.empty(0, np.int64)
        self._due_label: Integers = np.empty(0, np.int64)

    def step(self, until: int) -> tuple[bytes, bytes]:
        """Lines of the prediction log and of the feedback log between the last step and `until` (ms, exclusive)."""
        predictions = self._predict(until) if until > self.now else b""
        self.now = max(self.now, until)
        return predictions, self._feed_back()

    def _predict(self, until: int) -> bytes:
        random, scenario = self._random, self.scenario
        times = self._arrive(until)
        n = len(times)
        progress = (times - self._start) / self._duration
        if self._repeating:
            progress %= 1
        weekend = self._is_weekend(times)
        # A user stays with a version for as long as the shares allow.
        user = None if self._users is None else random.integers(0, len(self._users.place), n)
        place = random.random(n) if user is None or self._users is None else self._users.place[user]
        version = choose(place, np.stack([at(v.share, progress) for v in scenario.versions], axis=1))
        shares = np.array([share for _, share in scenario.countries])
        country = choose(random.random(n), np.broadcast_to(shares, (n, len(shares))))

        # What is hard the version knows to be hard, but it does not know of the countries that fail.
        hardness = self._cycle(times)
        if user is not None and self._users is not None:
            hardness = hardness * self._users.hardness[user]
        worse = hardness * self._failing(country, progress)
        accuracy = np.stack([at(v.accuracy, progress) for v in scenario.versions], axis=1)[np.arange(n), version]
        accuracy = 1 - (1 - accuracy) * worse
        believed = 1 - (1 - np.array([v.confidence for v in scenario.versions])[version]) * hardness
        confidence = 0.5 + 0.5 * random.beta(6 * (2 * believed - 1), 6 * (2 - 2 * believed))
        right = random.random(n) < accuracy + confidence - believed
        positive = at(scenario.positive_ratio, progress) * (1 + scenario.weekend * weekend)
        answer = (random.random(n) < positive).astype(np.int64)
        score = np.where(answer == 1, confidence, 1 - confidence)
        label = np.where(right, answer, 1 - answer)
        failed = random.random(n) < np.array([v.error_ratio for v in scenario.versions])[version]
        latency = np.array([v.latency_ms for v in scenario.versions])[version] * random.lognormal(0, 0.5, n)
        amount = random.lognormal(3 + 0.8 * answer, 0.9)

        numbers = np.arange(self._count, self._count + n)
        self._count += n
        known = ~failed & (random.random(n) < scenario.feedback_ratio)
        held = at(scenario.held, progress) * self._duration
        due = times + (held + random.exponential(self._delay, n)).astype(np.int64)
        self._due = np.concatenate([self._due, due[known]])
        self._due_number = np.concatenate([self._due_number, numbers[known]])
        self._due_label = np.concatenate([self._due_label, label[known]])

        names = [v.name for v in scenario.versions]
        countries = [name for name, _ in scenario.countries]
        others = self._inputs.written(names, version, progress, weekend)
        who = [""] * n if user is None else [f'"unit_id":"u{number}",' for number in user.tolist()]
        columns = (numbers, version, amount, country, answer, score, latency, failed)
        head = f'{{"prediction_id":"{self._start:x}-%d","timestamp":"%s","model":"{scenario.model}","version":"%s",%s'
        head += '"features":{"amount":%.2f,"country":"%s"%s},'
        lines = [
            head % (number, when, names[v], whose, spent, countries[c], rest)
            + ('"error":"timeout",' if lost else f'"prediction":"{said}","score":{sure:.6f},')
            + f'"latency_ms":{took:.3f}}}\n'
            for when, whose, rest, number, v, spent, c, said, sure, took, lost in zip(
                _iso(times), who, others, *(column.tolist() for column in columns), strict=True
            )
        ]
        return "".join(lines).encode()

    def _arrive(self, until: int) -> Integers:
        """Times of predictions from now on, in order: a Poisson process, thinned at night and on weekends."""
        random, cycle = self._random, self.scenario.cycle
        n = int(random.poisson(self._rate * (1 + cycle) * (until - self.now) / 1000))
        times = np.sort(random.integers(self.now, until, n))
        if not cycle and not self.scenario.weekend:
            return times
        expected = self._cycle(times) * (1 - self.scenario.weekend * self._is_weekend(times))
        return times[random.random(n) * (1 + cycle) < expected]

    def _cycle(self, times: Integers) -> Floats:
        """What the time of day multiplies traffic and errors by; 1 in the mean."""
        return 1 + self.scenario.cycle * np.cos(2 * np.pi * (times / self._day - _PEAK / DAY))

    def _is_weekend(self, times: Integers) -> NDArray[np.bool_]:
        return np.isin(times // self._day % 7, (2, 3))  # the epoch began on a Thursday

    def _failing(self, country: Integers, progress: Floats) -> Floats:
        factor = np.ones(len(country))
        for name, curve in self.scenario.failing:
            here = country == [known for known, _ in self.scenario.countries].index(name)
            factor[here] = at(curve, progress[here])
        return factor

    def _feed_back(self) -> bytes:
        ripe = np.flatnonzero(self._due < self.now)
        ripe = ripe[np.argsort(self._due[ripe], kind="stable")]
        line = f'{{"prediction_id":"{self._start:x}-%d","timestamp":"%s","label":"%d"}}\n'
        rows = zip(self._due_number[ripe].tolist(), _iso(self._due[ripe]), self._due_label[ripe].tolist(), strict=True)
        text = "".join([line % row for row in rows])
        self._due, self._due_number, self._due_label = (
            np.delete(column, ripe) for column in (self._due, self._due_number, self._due_label)
        )
        return text.encode()


class _Crowd:
    """The users: where each stands between the versions (0 to 1), and how much harder than the mean it is."""

    def __init__(self, users: Users, seed: int) -> None:
        random = np.random.default_rng([seed, users.number])
        self.place: Floats = random.permutation((np.arange(users.number) + 0.5) / users.number)
        hard = random.permutation(users.number) < round(users.hard * users.number)
        others = (1 - users.harder * hard.mean()) / (1 - hard.mean())
        self.hardness: Floats = np.where(hard, users.harder, others)


def _iso(times: Integers) -> list[str]:
    text: list[str] = np.datetime_as_string(times.astype("datetime64[ms]"), timezone="UTC").tolist()
    return text
