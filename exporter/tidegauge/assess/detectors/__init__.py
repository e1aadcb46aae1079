"""What is computed from sealed blocks, in order. A new detector is a file here and a line in DETECTORS."""

from __future__ import annotations

from tidegauge.assess.detectors import lifecycle, outcomes, quality
from tidegauge.assess.detectors.detector import Detector

DETECTORS: tuple[Detector, ...] = (outcomes.DETECTOR, lifecycle.DETECTOR, quality.DETECTOR)
