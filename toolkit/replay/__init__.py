"""Recorded live runs, scored again."""
