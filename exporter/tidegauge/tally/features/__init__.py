"""What a model is given and what it answers, as counts that add."""
