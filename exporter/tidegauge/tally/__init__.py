"""Sums by series and pane of prediction time: what rows contribute, where it is kept, and when it is final."""
