"""A file that has its name only when all of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The name to write under; the file takes its place at ``path`` when the block ends well.

    A full disk or Ctrl-C leaves what was there before. A pipe, a terminal or a link, such as
    ``/dev/stdout``, is written in place.

    Raises:
        OSError: it cannot be written; its text names the file.
    """
    is_in_place = path.is_symlink() or (path.exists() and not path.is_file())
    part = path if is_in_place else path.with_name(f"{path.name}.part")
    try:
        yield part
        if part != path:
            part.replace(path)
    except OSError as error:
        # That of a full disk names none; one that does may not take another, as of PyAV.
        if error.filename is None:
            error.filename = str(path)
        raise
    finally:
        if part != path:
            part.unlink(missing_ok=True)
