"""Releases: which version is compared with which, on what, and what the comparisons say together."""
