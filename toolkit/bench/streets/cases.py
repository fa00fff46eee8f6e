"""Who takes part in ``toolkit bench live``, and in what."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.bench.cameras.film import write_street
from toolkit.bench.config import LiveBenchConfig
from toolkit.bench.rounds import Case, Contender, check_names
from toolkit.errors import ConfigError

_HERE = __package__

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("ours", "ours", f"{_HERE}.ours:Auto"),
        Contender("ours-torch", "ours", f"{_HERE}.ours:Torch"),
        Contender("decode-only", "limit", f"{_HERE}.limits:DecodeOnly"),
        Contender("model-only", "limit", f"{_HERE}.limits:ModelOnly"),
        Contender("model-only-torch", "limit", f"{_HERE}.limits:ModelOnlyTorch"),
        Contender("thread-per-camera", "peer", f"{_HERE}.by_hand:ThreadPerCamera"),
        Contender("round-robin", "peer", f"{_HERE}.by_hand:RoundRobin"),
        Contender("predecessor", "peer", f"{_HERE}.by_hand:Predecessor"),
        Contender("supervision", "peer", f"{_HERE}.supervision_peer:Generators", ("supervision",)),
        Contender("vidgear", "peer", f"{_HERE}.vidgear_peer:Gears", ("vidgear",)),
        Contender("inference", "peer", f"{_HERE}.inference_peer:Pipeline", ("inference",)),
    )
}

_IN_REAL_TIME = ("ours", "ours-torch", "thread-per-camera", "round-robin")
_FILM_S = 10.0


@contextmanager
def street_videos(config: LiveBenchConfig) -> Iterator[list[str]]:
    """The user's videos, or one made for the bench; a camera for each, over and over.

    Raises:
        ConfigError: there is no such video.
    """
    for video in config.videos:
        if not Path(video).is_file():
            raise ConfigError(f"bench.live.videos names {video}, and there is no such file")
    if config.videos:
        yield [str(Path(video).absolute()) for video in config.videos]
        return
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-film-") as folder:
        yield [str(write_street(Path(folder) / "street.mp4", _FILM_S))]


def live_cases(config: LiveBenchConfig, videos: list[str]) -> list[Case]:
    """The cases a bench asks for, with the contenders it asks for.

    Raises:
        ConfigError: there is no such case or contender.
    """
    names = tuple(name for name in CONTENDERS if name in (config.contenders or CONTENDERS))
    settings = {
        "videos": videos,
        "model": config.model,
        "size_px": config.size_px,
        "cores": config.cores,
        "warm_up_s": config.warm_up_s,
        "seconds": config.seconds,
    }
    what = f"{config.model} at {config.size_px} px, {config.cores or 'all'} cores"
    cases = {
        f"full-speed-{cameras}": Case(
            f"full-speed-{cameras}",
            f"{cameras} videos as fast as they go, {what}",
            f"{_HERE}.measure:full_speed",
            {**settings, "cameras": cameras},
            names,
            limit="ideal",
            unit="frames/s",
        )
        for cameras in (4, 16)
    }
    cases["real-time"] = Case(
        "real-time",
        f"most cameras at 25/s with p99 under 200 ms and no frame dropped, {what}",
        f"{_HERE}.measure:real_time",
        settings,
        tuple(name for name in names if name in _IN_REAL_TIME),
        limit="ideal",
        figure="cameras",
        unit="cameras",
    )
    check_names("case", config.cases, cases)
    check_names("contender", config.contenders, CONTENDERS)
    return [case for name, case in cases.items() if name in (config.cases or cases)]


def add_ideals(cases: dict[str, Any]) -> None:
    """Hold ours against what the same cores could do if nothing but decoding and the model took time.

    One core's time for a frame is the sum of the two, so the ideal rate is 1 / (1 / decode + 1 / model). Adds
    ``ideal`` and ``ideal-torch`` to the limits, ``vs_limit`` and, for torch, ``torch_vs_limit`` and
    ``torch_vs_best_peer`` to the ratios; and each ratio once more with ``_per_core`` behind its name, from
    what a contender did for each second of a core it had, which other work on the machine spoils less.
    """
    for case in cases.values():
        for figure, suffix in (("rate_per_s", ""), ("rate_per_busy_core_s", "_per_core")):
            _add_ideals(case, figure, suffix)


def _add_ideals(case: dict[str, Any], figure: str, suffix: str) -> None:
    rates = {name: c[figure] for name, c in case["contenders"].items() if figure in c}
    limits, ratios = case["limits"], case["ratios"]
    for ours, model, ideal, prefix in (
        ("ours", "model-only", "ideal", ""),
        ("ours-torch", "model-only-torch", "ideal-torch", "torch_"),
    ):
        if "decode-only" in rates and model in rates:
            limits[ideal + suffix] = round(1 / (1 / rates["decode-only"] + 1 / rates[model]), 3)
        against = {"vs_limit": limits.get(ideal + suffix), "vs_best_peer": rates.get(ratios["best_peer"])}
        for ratio, other in against.items():
            if ours in rates and other:
                ratios[prefix + ratio + suffix] = round(rates[ours] / other, 3)
                ratios["ours"] = "ours" if "ours" in rates else ours
