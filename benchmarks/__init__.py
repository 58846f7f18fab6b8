"""Measurements against named rivals, each a ratio within one run."""
