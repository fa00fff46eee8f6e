"""Evaluation: how good a model is, and for whom."""
