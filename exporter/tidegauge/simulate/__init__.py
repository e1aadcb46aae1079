"""Simulated traffic: the prediction and feedback logs of a scenario, as a service would write them.

A scenario is data (`scenarios.py`). Only the log format is shared with the exporter; nothing here is used to read logs.
The same seed, start and scenario write the same bytes.
"""

from tidegauge.simulate.files import CONFIGURATION, FEEDBACK, PREDICTIONS, configuration
from tidegauge.simulate.finished import simulate
from tidegauge.simulate.live import Live, follow
from tidegauge.simulate.scenario import Category, Curve, Fault, Number, Scenario, Version
from tidegauge.simulate.scenarios import BREAKS, ROLLED_BACK, SCENARIOS, find
from tidegauge.simulate.traffic import Traffic

__all__ = [
    "BREAKS",
    "CONFIGURATION",
    "FEEDBACK",
    "PREDICTIONS",
    "ROLLED_BACK",
    "SCENARIOS",
    "Category",
    "Curve",
    "Fault",
    "Live",
    "Number",
    "Scenario",
    "Traffic",
    "Version",
    "configuration",
    "find",
    "follow",
    "simulate",
]
