"""Boards without Grafana: fills in their variables, asks Prometheus, and draws what came back.

For the tests, which run every query of every panel, and for the pictures in the docs, which say what they are.
"""
