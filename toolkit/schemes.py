"""Addresses that a room above opens: the live wing asks here before it looks for a file or a camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Opener = Callable[..., Any]
"""Takes the address, and by name what ``open_source`` of the live wing takes; returns an open source."""

_OPENERS: dict[str, Opener] = {}


def register_scheme(scheme: str, opener: Opener) -> None:
    """Have addresses that begin with ``scheme:`` opened by ``opener``."""
    _OPENERS[scheme] = opener


def opener_of(address: str) -> Opener | None:
    """Who opens this address; None where nobody has registered for it."""
    scheme, colon, _ = address.partition(":")
    return _OPENERS.get(scheme) if colon else None
