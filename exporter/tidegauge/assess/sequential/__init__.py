"""Tests that may be looked at after every block: releases compared, changes detected. Sums in, evidence out."""
