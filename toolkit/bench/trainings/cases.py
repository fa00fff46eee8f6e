"""Who takes part in ``toolkit bench train``, and in what."""

from __future__ import annotations

from dataclasses import asdict

from toolkit.bench.config import TrainBenchConfig
from toolkit.bench.rounds import Case, Contender, check_names

_HERE = __package__

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("ours", "ours", f"{_HERE}.ours:Loop"),
        Contender("model-only", "limit", f"{_HERE}.ours:ModelOnly"),
        Contender("model-only-torch", "limit", f"{_HERE}.limits:TorchOnly"),
        Contender("timm-parts", "peer", f"{_HERE}.timm_peer:TimmParts"),
    )
}


def train_cases(config: TrainBenchConfig) -> list[Case]:
    """The cases a bench asks for, with the contenders it asks for.

    Raises:
        ConfigError: there is no such case or contender.
    """
    names = tuple(name for name in CONTENDERS if name in (config.contenders or CONTENDERS))
    what = f"{config.backbone} at {config.image_px} px, batch {config.batch_size}, {config.threads} threads"
    cases = {
        "learn": Case(
            "learn",
            f"pictures learned from a second, JPEG to optimiser step, {what}",
            f"{_HERE}.measure:learn",
            asdict(config),
            names,
            limit="model-only",
            unit="pictures/s",
        )
    }
    check_names("case", config.cases, cases)
    check_names("contender", config.contenders, CONTENDERS)
    return [case for name, case in cases.items() if name in (config.cases or cases)]
