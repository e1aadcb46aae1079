"""Writes the recording and alerting rules of alerts/rules/. One subject a file; `python -m alerts.generator` runs it."""
