"""Who takes part in ``toolkit bench model``, and in what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from toolkit.bench.config import ModelBenchConfig
from toolkit.bench.models.names import FLOATS, FOLDED, INT8, PLAIN
from toolkit.bench.rounds import Case, Contender, check_names

_HERE = __package__

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("torch", "ours", f"{_HERE}.in_torch:eager"),
        Contender("torch-bf16", "ours", f"{_HERE}.in_torch:half"),
        Contender("onnxruntime", "ours", f"{_HERE}.from_files:onnxruntime"),
        Contender("openvino", "ours", f"{_HERE}.from_files:openvino"),
        Contender("openvino-bf16", "ours", f"{_HERE}.from_files:openvino_bf16"),
        Contender("openvino-int8", "ours", f"{_HERE}.from_files:openvino_int8"),
        Contender("network-alone", "limit", f"{_HERE}.from_files:network_alone"),
        Contender("torch-plain", "peer", f"{_HERE}.in_torch:plain"),
        Contender("onnxruntime-plain", "peer", f"{_HERE}.from_files:onnxruntime_plain"),
        Contender("openvino-plain", "peer", f"{_HERE}.from_files:openvino_plain"),
        # Only when asked for by name: it compiles for a minute.
        Contender("torch-compiled", "ours", f"{_HERE}.in_torch:compiled"),
    )
}
_READS = {
    "onnxruntime": FOLDED,
    "openvino": FOLDED,
    "openvino-bf16": FOLDED,
    "openvino-int8": INT8,
    "network-alone": FLOATS,
    "onnxruntime-plain": PLAIN,
    "openvino-plain": PLAIN,
}
_UNASKED = tuple(name for name in CONTENDERS if name != "torch-compiled")


def model_contenders(config: ModelBenchConfig) -> tuple[str, ...]:
    """The names of those a bench asks for.

    Raises:
        ConfigError: there is no such contender.
    """
    check_names("contender", config.contenders, CONTENDERS)
    return tuple(name for name in CONTENDERS if name in (config.contenders or _UNASKED))


def files_needed(contenders: Iterable[str]) -> set[str]:
    """The files these read, by the names of :mod:`toolkit.bench.models.names`."""
    return {_READS[name] for name in contenders if name in _READS}


def model_cases(config: ModelBenchConfig, sizes_px: Mapping[str, int], files: Path) -> list[Case]:
    """The cases a bench asks for.

    Args:
        config: of the bench.
        sizes_px: side of the pictures of each network.
        files: where the networks lie.

    Raises:
        ConfigError: there is no such case or contender.
    """
    cases = {case.name: case for case in _cases(config, sizes_px, files)}
    check_names("case", config.cases, cases)
    return [case for name, case in cases.items() if name in (config.cases or cases)]


def _cases(config: ModelBenchConfig, sizes_px: Mapping[str, int], files: Path) -> Iterator[Case]:
    for model in config.models:
        for threads in config.threads:
            for batch in config.batches:
                plural = "s" if threads > 1 else ""
                yield Case(
                    f"{model}-batch-{batch}-threads-{threads}",
                    f"{model} at {sizes_px[model]} px, batch {batch}, {threads} thread{plural}, pictures/s",
                    f"{_HERE}.measure:rate",
                    {
                        "files": str(files),
                        "model": model,
                        "size_px": sizes_px[model],
                        "batch": batch,
                        "threads": threads,
                        "seconds": config.seconds,
                    },
                    model_contenders(config),
                    limit="network-alone",
                    unit="pictures/s",
                )
