"""Writes the references in docs/ from the data that the exporter runs by; `make docs` calls it, a test compares.

Pages are written by hand except between their marks (see `pages`); the JSON Schema is generated whole.
"""
