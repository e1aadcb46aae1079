"""Tidegauge: is the model in production still right?"""

__version__ = "0.1.0"
