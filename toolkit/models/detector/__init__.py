"""Our own face detector: one network for pictures of any size, and what reads its answers."""
