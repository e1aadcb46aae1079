"""Predictions waiting for feedback, and feedback waiting for its prediction. Nothing else knows single predictions."""
