"""Writes the recording and alerting rules of alerts/rules/. One subject a file; run by `make alerts`."""
