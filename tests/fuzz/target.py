"""What a fuzz target is: bytes in, and a claim about the product that must hold for all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True, slots=True)
class Target:
    """`check` raises if its claim does not hold for the input; any exception is a finding."""

    name: str
    claim: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    tokens: Sequence[bytes]  # what is worth being put somewhere
    grammar: st.SearchStrategy[bytes] | None = None  # inputs that get further than mutated seeds do
    quick: int = 600  # inputs of the short run
    bytes_of_memory: int = 64  # for each byte of input, over a fixed allowance
    seconds: float = 10.0  # for one input

    def inputs(self) -> st.SearchStrategy[bytes]:
        """Inputs for hypothesis: seeds, changed in a few places, and what the grammar makes."""
        mutants = st.builds(mutated, st.sampled_from(self.seeds), st.lists(_edits(self), max_size=6))
        return mutants if self.grammar is None else st.one_of(mutants, self.grammar)

    def random_input(self, chance: random.Random) -> bytes:
        """An input without hypothesis, thousands of times cheaper: seeds with up to a dozen changes."""
        data = chance.choice(self.seeds)
        for _ in range(chance.choice((0, 1, 1, 2, 3, 6, 12))):
            data = edited(data, _random_edit(chance, self))
        return data


Edit = tuple[str, int, int, bytes]


def mutated(seed: bytes, edits: Sequence[Edit]) -> bytes:
    """The seed after these edits."""
    for edit in edits:
        seed = edited(seed, edit)
    return seed


def edited(data: bytes, edit: Edit) -> bytes:
    """The data with one place changed: `edit` is (how, where, how much, with what)."""
    how, where, size, piece = edit
    at = where % (len(data) + 1)
    match how:
        case "insert":
            return data[:at] + piece + data[at:]
        case "replace":
            return data[:at] + piece + data[at + len(piece) :]
        case "flip":
            return data[:at] + bytes([data[at] ^ 1 << size % 8]) + data[at + 1 :] if at < len(data) else data
        case "cut":
            return data[:at] + data[at + size :]
        case "repeat":
            return data[: at + size] + data[at:]
        case _:
            return data[:at]


_HOW = ("insert", "insert", "replace", "replace", "flip", "cut", "repeat", "stop")


def _edits(target: Target) -> st.SearchStrategy[Edit]:
    pieces = st.one_of(st.sampled_from(target.tokens), st.binary(min_size=1, max_size=4), st.sampled_from(target.seeds))
    return st.tuples(st.sampled_from(_HOW), st.integers(0, 1 << 16), st.integers(1, 40), pieces)


def _random_edit(chance: random.Random, target: Target) -> Edit:
    kind = chance.random()
    if kind < 0.6:
        piece = chance.choice(target.tokens)
    elif kind < 0.8:
        piece = chance.randbytes(chance.randint(1, 4))
    else:
        other = chance.choice(target.seeds)
        start = chance.randrange(len(other) + 1)
        piece = other[start : start + chance.choice((4, 16, 64, 256))]
    return chance.choice(_HOW), chance.randrange(1 << 20), chance.randint(1, 40), piece
