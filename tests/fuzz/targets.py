"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz import configuration, decoding, following, rendering, requests, states
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (decoding, configuration, following, states, requests, rendering)
    for target in module.TARGETS
}
