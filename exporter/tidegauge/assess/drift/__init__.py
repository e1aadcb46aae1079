"""Drift and data quality: what a model is given and what it answers, against a reference. Counts in, judgements out."""
