"""Addresses as people may see them: without their passwords."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<userinfo>[^/?#\s]*)@")
_SECRET_QUERY = re.compile(r"(?i)(?P<key>[?&](?:password|passwd|pwd|token|key|secret|auth)=)[^&#\s]*")


def without_password(text: str) -> str:
    """``text`` with the user and password of every address in it replaced by ``***``.

    >>> without_password("rtsp://admin:12345@door.example/1")
    'rtsp://***@door.example/1'
    """
    return _SECRET_QUERY.sub(r"\g<key>***", _USERINFO.sub(r"\g<scheme>***@", text))
