"""Vectors as counts that add: random Fourier features, whose means say how far apart two sets of vectors are.

A vector x becomes phi(x) = [cos Wx, sin Wx] / sqrt(D), whose inner products approximate the kernel exp(-|x - y|**2 /
(2 sigma**2)) (Rahimi and Recht 2007, NIPS). Coordinates and W are rounded so that all arithmetic up to the sums is on
whole numbers that float64 holds exactly: neither the order of rows nor how they are batched changes a bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.special import ndtri

from tidegauge.join.rows import INVALID_NUMBER

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PAIRS: Final = 128
"""D, unless something else is asked for: as many cosines and as many sines."""
SEED: Final = 8433
LARGEST_DIMENSION: Final = 8192
VALID, MISSING, INVALID, NON_FINITE = range(4)
"""What a vector may be, and the first columns of a cell; the sums of cosines follow, then those of sines."""
CONDITIONS: Final = 4

_UNIT: Final = 2.0**20  # sums of cosines and sines are in units of 1 / _UNIT
_COORDINATE: Final = 2.0**18  # coordinates are whole multiples of sigma / _COORDINATE,
_FARTHEST: Final = 16.0  # at most so many sigma from the centre: beyond, everything is equally far
_FREQUENCY: Final = 2.0**20  # frequencies, in turns per sigma, are whole multiples of 1 / _FREQUENCY
_STEPS: Final = 1024  # to which a turn is rounded: an error of 0.002 in the angle, the same for every version
_CHUNK: Final = 1024  # rows at a time, so that their angles stay in the processor's cache
_LARGEST: Final = 1e140  # numbers of a reference are held within this, so that their squares are finite
_ALIKE: Final = 10_000  # rows at most from which is learned how alike those of a unit are
_FEWEST_PAIRS: Final = 100
_SAMPLE: Final = 1000  # rows of the reference whose distances give sigma


@dataclass(frozen=True, slots=True)
class Projection:
    """Where vectors are measured from, and what the reference's vectors look like there."""

    seed: int
    dimension: int
    pairs: int  # D
    sigma: float
    centre: tuple[float, ...]  # (dimension,): taken off first; it changes no distance, but keeps coordinates small
    rows: int  # of the reference
    mean: tuple[float, ...]  # (2 D,): of phi over the reference
    spectrum: tuple[float, ...]  # eigenvalues of the covariance C of phi over the reference, falling

    @property
    def columns(self) -> int:
        """int64 columns of a cell."""
        return CONDITIONS + 2 * self.pairs

    @property
    def trace(self) -> float:
        """tr(C): the mean squared distance of a vector's phi from the mean phi."""
        return float(sum(self.spectrum))

    @property
    def trace_of_square(self) -> float:
        """tr(C**2)."""
        return float(sum(value**2 for value in self.spectrum))

    def means(self, sums: Integers) -> Floats:
        """Mean phi (..., 2 D) of cells (..., columns); NaN where there is no valid vector."""
        rows = sums[..., VALID, None].astype(np.float64)
        total = sums[..., CONDITIONS:].astype(np.float64)
        scale = rows * (_UNIT * np.sqrt(self.pairs))
        mean: Floats = np.divide(total, scale, out=np.full(total.shape, np.nan), where=scale > 0)
        return mean

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists. The frequencies W follow from seed, dimension and pairs."""
        return {
            "seed": self.seed,
            "dimension": self.dimension,
            "pairs": self.pairs,
            "sigma": self.sigma,
            "centre": list(self.centre),
            "rows": self.rows,
            "mean": list(self.mean),
            "spectrum": list(self.spectrum),
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Projection:
        """The inverse of to_json."""
        centre, mean, spectrum = (tuple(map(float, saved[name])) for name in ("centre", "mean", "spectrum"))
        seed, dimension, pairs, rows = (int(saved[name]) for name in ("seed", "dimension", "pairs", "rows"))
        return cls(seed, dimension, pairs, float(saved["sigma"]), centre, rows, mean, spectrum)


class VectorCounter:
    """Adds vectors up by cell, as one projection sees them. Raises ValueError where that is not possible."""

    def __init__(self, projection: Projection) -> None:
        dimension, pairs = projection.dimension, projection.pairs
        if not 1 <= dimension <= LARGEST_DIMENSION:
            raise ValueError(f"vectors of {dimension} numbers; they may have 1 to {LARGEST_DIMENSION}")
        if len(projection.centre) != dimension or not projection.sigma > 0:
            raise ValueError("a projection needs a centre as long as its vectors and a positive sigma")
        self.projection = projection
        self._centre = np.array(projection.centre)
        # A coordinate times a frequency is an angle in units of 1 / (_COORDINATE * _FREQUENCY) turns; here in steps.
        turns = np.rint(frequencies(projection.seed, dimension, pairs) * _FREQUENCY)
        self._frequencies = turns * (_STEPS / (_COORDINATE * _FREQUENCY))
        angles = 2 * np.pi * np.arange(_STEPS) / _STEPS
        self._table = np.rint(np.cos(angles) * _UNIT) + 1j * np.rint(np.sin(angles) * _UNIT)

    def accumulate(self, vectors: Floats, local: Integers, cells: int, counts: Integers | None = None) -> Integers:
        """Sums (cells, columns) of vectors (n, dimension), each in the cell local (n,), counts (n,) times (default 1).

        Columns: vectors that are valid, missing, invalid, non-finite; then over the valid ones rint(cos * 2**20) and
        rint(sin * 2**20). A row of NaN is missing; INVALID_NUMBER in front means invalid.
        """
        sums = np.zeros((cells, self.projection.columns), dtype=np.int64)
        condition = conditions(vectors)
        weights = np.ones(len(vectors), dtype=np.int64) if counts is None else counts
        np.add.at(sums, (local, condition), weights)
        valid = np.flatnonzero(condition == VALID)
        if cells > 1:
            valid = valid[np.argsort(local[valid], kind="stable")]
        everything = len(valid) == len(vectors) and cells == 1
        pairs = self.projection.pairs
        for start in range(0, len(valid), _CHUNK):
            rows = valid[start : start + _CHUNK]
            chunk = vectors[start : start + _CHUNK] if everything else vectors[rows]
            circle = self._table.take(self._steps(chunk))
            if counts is not None:
                circle *= counts[rows, None]
            if cells == 1:
                into, total = np.zeros(1, dtype=np.int64), circle.sum(axis=0, keepdims=True)
            else:
                first = np.flatnonzero(np.diff(local[rows], prepend=-1))
                into, total = local[rows[first]], np.add.reduceat(circle, first, axis=0)
            sums[into, CONDITIONS : CONDITIONS + pairs] += total.real.astype(np.int64)
            sums[into, CONDITIONS + pairs :] += total.imag.astype(np.int64)
        return sums

    def phi(self, vectors: Floats) -> Floats:
        """phi (n, 2 D) of valid vectors, exactly as `accumulate` adds it."""
        circle = self._table.take(self._steps(vectors)) / (_UNIT * np.sqrt(self.projection.pairs))
        return np.concatenate([circle.real, circle.imag], axis=1)

    def _steps(self, vectors: Floats) -> NDArray[np.int32]:
        """Angles (n, D), in steps, 0 to _STEPS - 1."""
        with np.errstate(over="ignore"):  # what overflows is far away, as is said next
            coordinates = (vectors - self._centre) * (_COORDINATE / self.projection.sigma)
        np.clip(coordinates, -_FARTHEST * _COORDINATE, _FARTHEST * _COORDINATE, out=coordinates)
        angles = np.rint(coordinates, out=coordinates) @ self._frequencies
        steps: NDArray[np.int32] = np.rint(angles, out=angles).astype(np.int32)
        steps &= _STEPS - 1
        return steps


def likeness(counter: VectorCounter, vectors: Floats, units: NDArray[np.uint64]) -> float:
    """How alike vectors (n, dimension) of the same unit are, in [0, 1]: the intraclass correlation of phi.

    The mean product of two of the same unit, less the mean, over the mean square. Units are hashes, 0: none. 0 if no
    unit repeats; 1, which is on the safe side, with fewer than 100 pairs. From about 10,000 of the vectors at most.
    """
    rows = np.flatnonzero((conditions(vectors) == VALID) & (units != 0))
    _, unit, repeats = np.unique(units[rows], return_inverse=True, return_counts=True)
    rows, unit = rows[repeats[unit] > 1], unit[repeats[unit] > 1]
    # By the hashes of the units, which is by chance; a unit as a whole or not at all, but for a giant at the end.
    order = np.argsort(unit, kind="stable")[:_ALIKE]
    rows, unit = rows[order], unit[order]
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    times = np.diff(starts, append=len(rows)).astype(np.float64)
    pairs = float((times * (times - 1)).sum())
    if not pairs:
        return 0.0
    if pairs < 2 * _FEWEST_PAIRS:
        return 1.0
    away = counter.phi(vectors[rows])
    away -= away.mean(axis=0)
    squares = float(np.square(away).sum())
    together = float(np.square(np.add.reduceat(away, starts, axis=0)).sum()) - squares
    return min(1.0, max(0.0, together / pairs / (squares / len(rows)))) if squares > 0 else 0.0


def conditions(vectors: Floats) -> NDArray[np.intp]:
    """VALID, MISSING, INVALID or NON_FINITE of each vector (n, dimension)."""
    condition = np.zeros(len(vectors), dtype=np.intp)
    odd = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | (vectors[:, 0] == INVALID_NUMBER))
    strange = vectors[odd]
    kind = np.where(np.isnan(strange).all(axis=1), MISSING, NON_FINITE)
    condition[odd] = np.where(strange[:, 0] == INVALID_NUMBER, INVALID, kind)
    return condition


def frequencies(seed: int, dimension: int, pairs: int) -> Floats:
    """Frequencies (dimension, pairs) in turns per sigma; pinned by the arguments.

    Each is normal, of variance 1 / (2 pi)**2, but up to `dimension` in a row are orthogonal, which halves the noise of
    the features (Yu et al. 2016, NIPS: orthogonal random features). From the raw bits of PCG64, whose stream numpy
    promises never to change, unlike that of its normal numbers.
    """
    bits = np.random.PCG64(seed).random_raw(2 * dimension * pairs) >> np.uint64(11)
    normal = ndtri((bits.astype(np.float64) + 0.5) * 2.0**-53).reshape(2, dimension, pairs)
    waves = np.empty((dimension, pairs))
    for start in range(0, pairs, dimension):
        block = slice(start, start + dimension)
        directions, triangle = np.linalg.qr(normal[0][:, block])
        # The signs make the factorisation unique, so that it is the same whatever computes it.
        waves[:, block] = directions * np.sign(np.diag(triangle)) * np.linalg.norm(normal[1][:, block], axis=0)
    return waves / (2 * np.pi)


def learn_projection(vectors: Floats, pairs: int = PAIRS, seed: int = SEED) -> Projection:
    """What a reference's vectors (n, dimension) look like; those that are not valid are left out.

    sigma**2 is half the median squared distance of two vectors (Gretton et al. 2012, JMLR 13:723, up to their factor),
    of at most 1000 evenly spaced ones. Raises ValueError if fewer than two are valid.
    """
    valid = np.clip(vectors[conditions(vectors) == VALID], -_LARGEST, _LARGEST)
    if len(valid) < 2:
        raise ValueError(f"{len(valid)} valid vectors; a projection needs at least 2")
    centre = np.array([_rounded(value) for value in valid.mean(axis=0)])
    sample = valid[np.unique(np.linspace(0, len(valid) - 1, min(len(valid), _SAMPLE)).round().astype(np.intp))]
    squares = pdist(sample, "sqeuclidean")
    squares = squares[squares > 0]  # vectors that repeat say nothing of the scale
    sigma = _rounded(np.sqrt(np.median(squares) / 2)) if squares.size else 1.0
    bare = Projection(seed, valid.shape[1], pairs, sigma, tuple(centre.tolist()), len(valid), (), ())
    counter = VectorCounter(bare)
    local = np.zeros(len(valid), dtype=np.int64)
    mean = bare.means(counter.accumulate(valid, local, 1))[0]
    scatter = np.zeros((2 * pairs, 2 * pairs))
    for start in range(0, len(valid), _CHUNK):
        away = counter.phi(valid[start : start + _CHUNK]) - mean
        scatter += away.T @ away
    spectrum = np.linalg.eigvalsh(scatter / (len(valid) - 1))[::-1]
    return Projection(
        seed,
        bare.dimension,
        pairs,
        sigma,
        bare.centre,
        len(valid),
        tuple(round(float(value), 7) for value in mean),
        tuple(_rounded(value) for value in spectrum if value > 1e-9),
    )


def _rounded(value: float | np.float64) -> float:
    """To seven digits: what a person can read in a file, and far more than chance leaves certain."""
    return float(f"{float(value):.7g}")
