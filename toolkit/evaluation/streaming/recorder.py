"""Recordings of live runs as files: written while the run is on, read as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.streaming.recording import Recording, recording_of, row_of
from toolkit.records import FrameResult
from toolkit.truth import Truth, load_truths, save_truths

_FORMAT = 1


class AnswerRecorder:
    """Listens to the street and writes each answer as one line of JSON: boxes, labels and times, no picture.

    ::

        with AnswerRecorder(path, as_plain(experiment), truths) as recorder:
            report = run_live(experiment, out_dir, listeners=[recorder])
            recorder.finish(report.statistics)

    Args:
        path: of the file; its folder is made if missing.
        settings: plain values that say what ran.
        truths: camera to its truth, where it is known; kept beside the file (:func:`truth_path`).

    Raises:
        ConfigError: see :func:`check_recording_name`.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], truths: Mapping[str, Truth] | None = None
    ) -> None:
        check_recording_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if truths:
            save_truths(truth_path(path), truths)
        else:
            # That of an earlier recording of the same name would be believed.
            truth_path(path).unlink(missing_ok=True)
        self._file: IO[str] = path.open("w", encoding="utf-8")
        self._write({"format": _FORMAT, "settings": dict(settings)})

    def __call__(self, result: FrameResult) -> None:
        """Write it; some 30 microseconds for a frame with a few faces."""
        self._write(row_of(result))

    def finish(self, statistics: Mapping[str, Any]) -> None:
        """Write what the run counted: the last line."""
        self._write({"statistics": dict(statistics)})

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def __enter__(self) -> AnswerRecorder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(values, separators=(",", ":")) + "\n")


def check_recording_name(path: Path) -> None:
    """Refuse a name that would share its truth with another: ``hall.1`` and ``hall.2``.

    Raises:
        ConfigError: it does not end in ``.jsonl``.
    """
    if path.suffix != ".jsonl":
        raise ConfigError(f"the name of a recording ends in .jsonl, such as {path.name}.jsonl, got {path}")


def truth_path(path: Path) -> Path:
    """Where the truth of a recording lies: ``run.jsonl`` has ``run.truth.json`` beside it."""
    return path.with_suffix(".truth.json")


def load_recording(path: Path) -> Recording:
    """Read a recording; one that was broken off is read as far as it goes.

    Raises:
        DataError: the file is missing, or is no recording; the text names the line.
    """
    first, *rows = _lines(path)
    if first.get("format") != _FORMAT or not isinstance(first.get("settings"), dict):
        raise DataError(f"{path} is no recording of a live run; `toolkit live --record FILE` writes one")
    statistics = rows.pop()["statistics"] if rows and "statistics" in rows[-1] else {}
    truths = load_truths(truth_path(path)) if truth_path(path).is_file() else {}
    return recording_of(first["settings"], rows, statistics, truths, str(path))


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"no such recording: {path.absolute()}; check its spelling") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lines: list[dict[str, Any]] = []
    # What follows the last line break was being written when the run was broken off.
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}, is not JSON: {error}; is it a recording?") from error
        if not isinstance(values, dict):
            raise DataError(f"{path}, line {number}, is no recording of a live run")
        lines.append(values)
    if not lines:
        raise DataError(f"{path} is empty: no recording of a live run")
    return lines
