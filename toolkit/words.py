"""Numbers in sentences."""

from __future__ import annotations


def counted(count: int, one: str, several: str | None = None) -> str:
    """``1 frame``, ``2 frames``; ``several`` for words that do not just take an s."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
