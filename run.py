"""One command from a bare machine to a running toolkit: needs Python 3.11 or newer and nothing else."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

USAGE = """\
python3 run.py COMMAND [ARGUMENTS ...]

  demo    a live run of several cameras, on videos any machine has
  test    the tests, on up to 4 cores; arguments go to pytest, such as: test -k queue
  lint    style, types and spelling
  check   lint, then test: what to run before a commit
  lab     JupyterLab with the notebooks
  docs    the pages of the documentation, into build/docs
  ui      the MLflow pages of the recorded runs, at http://127.0.0.1:5000
  setup   only make .venv and fill it, as every command does first
  lock    renew requirements.lock from pyproject.toml; lock --upgrade takes newer versions
"""

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
# Each loads torch, OpenVINO and MLflow: about 2 GB.
MOST_TESTING = 4
PYTHON = BIN / f"python{EXE}"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "set-up.txt"
DATA_BESIDE = ROOT.parent / "shared" / "data"

OLDEST, TOO_NEW = (3, 11), (3, 14)
EXTRAS = "notebooks,test,dev,docs"

# torch names exactly these itself, where they belong. In the lock they would come with a CPU-only torch too.
LEFT_TO_TORCH = re.compile(r"(nvidia-(?!ml-py)|triton|cuda-)")

Command = list[str]


def main(arguments: list[str]) -> int:
    """Set up if needed, run the command, and hand its exit code on."""
    name, *rest = arguments or ["help"]
    if name in ("help", "-h", "--help"):
        print(USAGE, end="")
        return 0
    if name not in {"demo", "test", "lint", "check", "lab", "docs", "ui", "setup", "lock"}:
        print(f"run.py: no command {name!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    try:
        set_up()
        if name == "lock":
            return renew_lock(rest)
        point_to_data()
        return run_all(commands(name, rest))
    except SetUpError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def commands(name: str, rest: list[str]) -> list[Command]:
    """What ``name`` stands for, as command lines of the environment."""
    python = str(PYTHON)
    test = [python, "-m", "pytest"]
    # A file of tests stays in one process: what its tests share is made once.
    side_by_side = ["-n", str(min(usable_cores(), MOST_TESTING)), "--dist", "loadfile"]
    tests = [[*test, *(rest or side_by_side)]]
    lint = [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy"],
        [python, "-m", "codespell_lib"],
    ]
    docs = [python, "-m", "mkdocs", "build", "--quiet", "--strict", *(rest if name == "docs" else [])]
    if name == "lab":
        # A kernel runs in notebooks/; its runs belong into the store that `ui` opens.
        os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{ROOT / 'runs' / 'mlflow.db'}")
    if name == "ui":
        (ROOT / "runs").mkdir(exist_ok=True)
        # One worker and no job runner: half a gigabyte instead of two, for one reader on this machine.
        os.environ.update(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true")
    # Where runs go if nothing else is said; an address of a server has pages of its own.
    uri = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///runs/mlflow.db")
    if name == "ui" and uri.startswith(("http://", "https://")):
        sys.exit("run.py: MLFLOW_TRACKING_URI names a server: open its address in a browser")
    store = ["--backend-store-uri", uri, "--artifacts-destination", "runs/artifacts"]
    ui = [python, "-m", "mlflow", "server", *store, "--host", "127.0.0.1", "--workers", "1", *rest]
    return {
        "setup": [],
        "demo": [[str(BIN / f"toolkit{EXE}"), "demo", *rest]],
        "test": tests,
        "lint": [*lint, docs],
        "check": [*lint, docs, *tests],
        "docs": [docs],
        "lab": [[python, "-m", "jupyterlab", "notebooks", *rest]],
        "ui": [ui],
    }[name]


def usable_cores() -> int:
    """How many cores this process may use; a container or taskset may leave fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def point_to_data() -> None:
    """Real data beside the checkout is used without being named."""
    if not os.environ.get("TOOLKIT_DATA") and DATA_BESIDE.is_dir():
        os.environ["TOOLKIT_DATA"] = str(DATA_BESIDE)
        say(f"real data: {DATA_BESIDE}")


def run_all(command_lines: list[Command]) -> int:
    """Run one after the other, all of them even if one fails; the first failure's exit code, else 0."""
    codes = []
    for command in command_lines:
        if len(command_lines) > 1:
            say(" ".join(part if part != str(PYTHON) else "python" for part in command))
        codes.append(run(command))
    return next((code for code in codes if code), 0)


# --- The environment ---


class SetUpError(Exception):
    """The environment cannot be made; the text says what is missing and how to get it."""


def set_up() -> None:
    """Make ``.venv`` and install into it what the lock names; at once when that was done before."""
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        here = ".".join(map(str, sys.version_info[:3]))
        raise SetUpError(
            f"needs Python 3.11, 3.12 or 3.13, this is {here}: start it as python3.12 run.py ..."
        )
    place = f"{ROOT} {sys.version_info[0]}.{sys.version_info[1]}"
    content = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() else []
    if stamp == [place, content] and PYTHON.exists():
        return
    started_at = time.monotonic()
    if not PYTHON.exists() or (stamp and stamp[0] != place):
        # Scripts of an environment carry its path: one moved, or made for another Python, is of no use.
        make_environment()
    install()
    STAMP.write_text(f"{place}\n{content}\n", encoding="utf-8")
    say(f"set up in {time.monotonic() - started_at:.0f} s; the next start is instant")


def make_environment() -> None:
    """Make an empty ``.venv``."""
    if VENV.is_symlink():
        # It would be emptied where it is, under whoever else uses it.
        raise SetUpError(f"{VENV} is a link to an environment that is not this checkout's: remove the link")
    say(f"making {VENV}")
    if importlib.util.find_spec("ensurepip"):
        made = run([sys.executable, "-m", "venv", "--clear", str(VENV)]) == 0
    else:
        # Debian and Ubuntu keep ensurepip in a package of its own; uv or the system's pip can do without it.
        can_install = shutil.which("uv") or importlib.util.find_spec("pip")
        bare = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]
        made = bool(can_install) and run(bare) == 0
    if not made:
        raise SetUpError(
            f"cannot make {VENV}: on Debian or Ubuntu, apt-get install python3-venv; then try again"
        )


def install() -> None:
    """Install this project, at the lock's versions, with uv where it can be had, else with pip."""
    # The lock says which version, the extras say what: it names packages of other extras too.
    what = ["-c", str(LOCK), "-e", f".[{EXTRAS}]"]
    uv = find_uv()
    if uv:
        say("installing the packages of requirements.lock with uv: minutes and some 7 GB the first time")
        if run([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *what]) == 0:
            return
    say("installing the packages of requirements.lock with pip, which takes longer than uv")
    if run([*pip(), "install", "--quiet", *what]) != 0:
        raise SetUpError("the packages cannot be installed; the lines above say why. Is the network up?")


def find_uv() -> str | None:
    """A uv to install with: the environment's own, the machine's, or one that pip brings."""
    own = BIN / f"uv{EXE}"
    if not own.exists():
        on_path = shutil.which("uv")
        if on_path:
            return on_path
        say("fetching uv")
        run([*pip(), "install", "--quiet", "uv"])
    return str(own) if own.exists() else None


def pip() -> Command:
    """Command of a pip that installs into the environment."""
    quiet = ["--disable-pip-version-check"]
    if list(VENV.glob("[Ll]ib*/**/site-packages/pip")):
        return [str(PYTHON), "-m", "pip", *quiet]
    return [sys.executable, "-m", "pip", "--python", str(PYTHON), *quiet]


def renew_lock(rest: list[str]) -> int:
    """Resolve pyproject.toml for every supported Python and system, and keep the pins alone."""
    uv = find_uv()
    if uv is None:
        raise SetUpError("the lock needs uv, which cannot be installed here")
    resolve = [uv, "pip", "compile", "pyproject.toml", "--output-file", LOCK.name, "--quiet", *rest]
    scope = ["--all-extras", "--universal", "--python-version", "3.11"]
    code = run([*resolve, *scope, "--no-emit-index-url", "--no-header", "--no-annotate"])
    lines = LOCK.read_text(encoding="utf-8").splitlines(keepends=True)
    LOCK.write_text("".join(line for line in lines if not LEFT_TO_TORCH.match(line)), encoding="utf-8")
    return code


# --- Small things ---


def say(text: str) -> None:
    """One line about what happens now."""
    print(f"run.py: {text}", flush=True)


def run(command: Command) -> int:
    """Run a command in the project's folder and wait for it; its exit code as a shell would tell it."""
    try:
        child = subprocess.Popen(command, cwd=ROOT)
    except OSError as error:
        raise SetUpError(f"cannot start {command[0]}: {error.strerror}; python3 run.py setup") from error
    with child:
        while True:
            try:
                code = child.wait()
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt:
                # Ctrl-C reached the child as well; it stops in its own good time.
                continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
