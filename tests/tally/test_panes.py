"""The ladder of panes: windows are whole panes, whatever the windows and maturities are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.config.settings import DAY, HOUR, MINUTE, Channel, Model
from tidegauge.tally.panes import FOREVER, ladder_of

WINDOWS = st.lists(
    st.sampled_from([MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY]),
    min_size=1,
    max_size=4,
    unique=True,
)
MATURITIES = st.lists(st.sampled_from([0, MINUTE, HOUR, DAY, 30 * DAY]), min_size=1, max_size=3)


def model(windows: list[int], maturities: list[int]) -> Model:
    channels = tuple(Channel(f"c{number}", maturity=maturity) for number, maturity in enumerate(maturities))
    return Model("m", "binary", channels, windows=tuple(sorted(windows)))


@given(WINDOWS, MATURITIES)
def test_every_width_divides_the_next_and_its_window(windows: list[int], maturities: list[int]) -> None:
    ladder = ladder_of(model(windows, maturities))
    for fine, coarse in zip(ladder.widths, ladder.widths[1:], strict=False):
        assert coarse % fine == 0 and coarse > fine
    for window in ladder.windows:
        assert window.width % window.pane == 0 and window.width // window.pane >= 6
    assert ladder.block % ladder.widths[0] == 0
    assert list(ladder.depths) == sorted(ladder.depths)


@given(WINDOWS, MATURITIES, st.integers(10**12, 2 * 10**12), st.data())
def test_no_pane_lies_across_the_edge_of_a_window(
    windows: list[int], maturities: list[int], clock: int, data: st.DataObject
) -> None:
    ladder = ladder_of(model(windows, maturities))
    edges = ladder.edges(clock, clock)
    reach = max(windows) + max(maturities)
    times = np.array(data.draw(st.lists(st.integers(clock - 2 * reach, clock), min_size=1, max_size=50)))
    pane, level = ladder.place(times, edges)
    for window in ladder.windows:
        for maturity in maturities:
            start, end = window.bounds(clock, maturity)
            assert ((pane >= start) & (pane < end)).tolist() == ((times >= start) & (times < end)).tolist()
    timed = pane != FOREVER
    widths = np.array([*ladder.widths, 0])[level[timed]]
    assert (pane[timed] <= times[timed]).all() and (times[timed] < pane[timed] + widths).all()
