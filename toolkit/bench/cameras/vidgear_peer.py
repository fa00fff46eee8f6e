"""VidGear: CamGear with its defaults, a queue of its own behind every camera."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from vidgear.gears import CamGear

from toolkit.bench.cameras.contender import ThreadedReader


class VidGear(ThreadedReader):
    """One CamGear for each camera."""

    def pictures(self, address: str) -> Iterator[np.ndarray]:
        gear = CamGear(source=address).start()
        try:
            while (picture := gear.read()) is not None:
                yield picture
        finally:
            gear.stop()
