"""What the figures of a run were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def machine() -> dict[str, str]:
    """What the figures of a run were measured on, as tags."""
    return {
        "machine.cpu": _cpu_name(),
        "machine.cores": str(os.cpu_count()),
        "machine.system": f"{platform.system()} {platform.machine()}",
        "machine.python": platform.python_version(),
        "git.revision": _git_revision(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git_revision() -> str:
    """Revision of this package's checkout, with ``-dirty`` if it was changed; "unknown" outside of one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
