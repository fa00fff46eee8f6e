"""Cameras that can be had anywhere, and the contenders of ``toolkit bench camera`` that read them."""
