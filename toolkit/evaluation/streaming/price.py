"""What latency costs: the same answers, shown later and later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.evaluation.streaming.simulate import delayed
from toolkit.truth import Truth

PRICED = ("gender_accuracy", "coverage", "gender_accuracy_labelled", "age_mae_years", "detection_recall")


def price_of_latency(
    truths: Mapping[str, Truth],
    answers: Sequence[Answer],
    latencies_s: Sequence[float],
    until_s: float | Mapping[str, float],
) -> list[dict[str, Any]]:
    """The scores that these answers would have, were each finished so long after its frame.

    No clock runs: only the times change. So it tells what a quicker or slower machine would show, as long as
    it answered the same frames.

    Args:
        truths: camera to its truth.
        answers: of a recording, or made without a clock.
        latencies_s: to try.
        until_s: see :func:`score_streaming`.

    Returns:
        A row each: ``latency_ms``, ``staleness_p50_ms``, and :data:`PRICED` of all cameras together.
    """
    rows = []
    for latency_s in latencies_s:
        block = score_streaming(truths, delayed(answers, latency_s), until_s=until_s)["all"]
        row = {"latency_ms": 1000 * latency_s, "staleness_p50_ms": block["staleness_ms"]["p50"]}
        rows.append(row | {name: block[name] for name in PRICED})
    return rows
