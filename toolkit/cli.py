"""The command line: all commands, in sections, and how each of them ends."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete
from rich.logging import RichHandler

from toolkit.cli_bench import bench
from toolkit.cli_capacity import capacity, tune
from toolkit.cli_doctor import doctor
from toolkit.cli_evaluate import evaluate
from toolkit.cli_export import export
from toolkit.cli_learn import data, sweep, train
from toolkit.cli_live import demo, live
from toolkit.cli_notebooks import notebooks
from toolkit.cli_queue import queue
from toolkit.cli_replay import replay
from toolkit.cli_runs import runs
from toolkit.cli_scene import scene
from toolkit.cli_worker import worker
from toolkit.errors import ToolkitError
from toolkit.terminal import err, plain, print_nowhere

_COMPLETIONS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it, SIGTERM or SIGHUP, of a command that had nothing to finish."""


_SECTIONS = {
    "Watch": {
        "demo": "A first live run, on what this machine has.",
        "live": "Run cameras: find, label and follow people, record the run.",
        "scene": "Made scenes with known truth, as files or cameras.",
        "replay": "Score a recorded live run again, also with other settings.",
    },
    "Models": {
        "data": "Turn labelled pictures into a pack for training, or draw one.",
        "train": "Train a model of apparent gender and age.",
        "sweep": "Train every combination of a grid, and compare them.",
        "evaluate": "Judge a model: how good, for whom, how sure.",
        "export": "A model for other programs: ONNX, OpenVINO, int8.",
    },
    "Runs": {
        "runs": "List, compare, export or draw what was recorded.",
        "notebooks": "The tutorials: list them, or run one in batch.",
    },
    "This machine": {
        "doctor": "What this machine has, and how to get what is missing.",
        "capacity": "How many cameras it can carry.",
        "tune": "The settings with which it carries most.",
        "bench": "Measure us, the limits of our parts, and others.",
    },
    "Queue": {
        "worker": "Run the tasks of a queue, here or on further hosts.",
        "queue": "See what waits and what failed; put it in again.",
    },
    "Shell": {"completion": "What makes TAB complete, for bash, zsh or fish."},
}
"""What people come for, and each command in one line."""


class Sections(click.Group):
    """A group whose help lists its commands by what people come for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands that there are, one line each; those of no section last."""
        placed = {name for lines in _SECTIONS.values() for name in lines}
        rest = {n: self.commands[n].get_short_help_str() for n in self.list_commands(ctx) if n not in placed}
        widest = max(map(len, self.commands))
        for section, lines in {**_SECTIONS, "More": rest}.items():
            # One width for all sections, so that they stand in line.
            rows = [(name.ljust(widest), line) for name, line in lines.items() if name in self.commands]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""
    \b
    Examples:
      toolkit demo                                   a first live run, on any machine
      toolkit live -c door=rtsp://door.example/1     your camera; toolkit live --help for more
      toolkit train mine.yaml                        a model of your own; evaluate tells how good
      toolkit runs list                              what was recorded; make ui shows it in a browser

    \b
    Exit codes: 0 done; 1 it could not be done, and the last line says why; 2 the command line was not
    understood; 130 interrupted before there was anything to keep.
    """,
)
@click.version_option(package_name="toolkit")
@click.option("-v", "--verbose", is_flag=True, help="Tell every step.")
def cli(verbose: bool) -> None:
    """Live multi-camera runs that researchers can trust.

    Cameras in, people found, apparent gender and age told, and every run recorded with its throughput,
    latency and accuracy. toolkit COMMAND --help tells more.
    """
    logger = logging.getLogger("toolkit")
    logger.handlers = [RichHandler(console=err, show_time=False, show_path=False)]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


@cli.command()
@click.argument("shell", type=click.Choice(list(_COMPLETIONS)))
def completion(shell: str) -> None:
    """Print what makes TAB complete commands and options in bash, zsh or fish.

    \b
      eval "$(toolkit completion bash)"      # in ~/.bashrc
      eval "$(toolkit completion zsh)"       # in ~/.zshrc
      toolkit completion fish | source       # in ~/.config/fish/config.fish
    """
    click.echo(_COMPLETIONS[shell](cli, {}, "toolkit", "_TOOLKIT_COMPLETE").source())


def main() -> None:
    """Entry point: a user's mistake ends in one line and an exit code, never in a traceback."""
    # What time limits and service managers send; its default would leave what we have started running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What a closed terminal sends; who ignores it, as nohup does, goes on.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hung_up)
    try:
        code = cli.main(standalone_mode=False)
    except (ToolkitError, OSError) as error:
        # Whichever process of several is the first to fail has to say why: torchrun ends the others unheard.
        err.quiet = False
        err.print(f"[red]error:[/red] {plain(str(error))}", highlight=False, soft_wrap=True)
        if not isinstance(error, ToolkitError):
            # A full disk, a folder that takes no files: of the machine, and not of ours.
            logging.getLogger("toolkit").info("where that was raised", exc_info=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        err.print("interrupted")
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _hung_up(number: int, frame: FrameType | None) -> None:
    """The terminal was closed, or the line to it broke: end as at Ctrl-C."""
    print_nowhere()
    raise KeyboardInterrupt


_COMMANDS = (
    bench,
    capacity,
    data,
    demo,
    doctor,
    evaluate,
    export,
    live,
    notebooks,
    queue,
    replay,
    runs,
    scene,
    sweep,
    train,
    tune,
    worker,
)

for command in _COMMANDS:
    cli.add_command(command)


if __name__ == "__main__":
    main()
