"""One function call in a process group of its own, which is gone afterwards whatever happened."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError

_SAID_LINES = 4


class MeasurementFailed(ToolkitError):
    """A measurement raised, or was not over in time; the text ends with what it said last."""


def call_apart(
    function: str,
    settings: dict[str, Any],
    folder: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Call ``function(settings)`` in a new process; its whole group is killed when it has ended.

    Args:
        function: "module:attribute".
        settings: plain data, handed over as JSON, as the answer comes back.
        folder: what the process says goes into ``said.log`` there.
        timeout_s: the longest it may take.
        environment: what stands in the new process's, besides what stands in this one's.

    Raises:
        MeasurementFailed: it raised, or took too long.
    """
    answer, said = folder / "answer.json", folder / "said.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "toolkit.bench.apart", function, json.dumps(settings), str(answer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_s)
            what = f"ended with code {code}"
        except subprocess.TimeoutExpired:
            what = f"was not over after {timeout_s:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if answer.exists():
        return json.loads(answer.read_text(encoding="utf-8"))
    last = said.read_text(encoding="utf-8", errors="replace").split("\n")[-_SAID_LINES:]
    raise MeasurementFailed(f"{function} {what}: {' '.join(filter(None, map(str.strip, last))) or 'no word'}")


def main() -> None:
    """The other end: make the call, and leave the answer whole or not at all."""
    function, settings, answer = sys.argv[1:]
    module, _, attribute = function.partition(":")
    result = getattr(importlib.import_module(module), attribute)(json.loads(settings))
    half = Path(answer).with_suffix(".half")
    half.write_text(json.dumps(result), encoding="utf-8")
    half.rename(answer)


if __name__ == "__main__":
    main()
