"""The program: before and after what a command does, Ctrl-C ends it on the spot."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Entry point of ``toolkit``; see :func:`toolkit.cli.main`.

    While its modules are loaded there is nothing to keep yet, and when it is done nothing more: all that
    Ctrl-C left then was a traceback out of Python's own beginning or end.
    """
    heard = signal.getsignal(signal.SIGINT)
    _end_on_the_spot(signal.SIGINT)
    from toolkit.cli import INTERRUPTED
    from toolkit.cli import main as run

    signal.signal(signal.SIGINT, heard)
    try:
        run()
    except KeyboardInterrupt:
        # A second one, while the first was being told.
        sys.exit(INTERRUPTED)
    finally:
        _end_on_the_spot(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _end_on_the_spot(*numbers: int) -> None:
    for number in numbers:
        # Who ignores it, as what a script starts in the background does, goes on.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
