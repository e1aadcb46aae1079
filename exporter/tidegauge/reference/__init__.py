"""Reference data: what a model's inputs, answers and scores were where it was made, as a small file."""
