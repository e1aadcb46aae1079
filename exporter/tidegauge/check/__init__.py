"""What `tidegauge check` makes of the actual logs: a bounded look, read-only, explained in plain words.

Uses the exporter's own source and decoder, so that what it says is what `tidegauge run` would do. Never touches the
state directory. `config.check` says what a configuration means; this says whether the logs fit it.
"""
