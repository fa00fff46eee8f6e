"""The rules of the house, each read from the source itself."""

from __future__ import annotations

import ast
import graphlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_PACKAGE = _ROOT / "toolkit"

# Imports point down: a room may use what stands above it in this table. Rooms of one row may use each other,
# but never in a circle, and the wings not at all: what one needs of another is passed in.
_FLOORS = {
    "ground": {
        "addresses",
        "cores",
        "crops",
        "errors",
        "machine",
        "memory",
        "pictures",
        "prometheus",
        "records",
        "resources",
        "schemes",
        "stats",
        "words",
        "truth",
        "whole_files",
    },
    "wings": {"data", "live", "models", "rtsp", "work"},
    "upper": {
        "evaluation",
        "mlflow_store",
        "run_entries",
        "run_frames",
        "tracking",
        "training",
        "unsent",
    },
    "attic": {
        "analysis",
        "bench",
        "capacity",
        "demo",
        "doctor",
        "evaluate_run",
        "experiment",
        "experiment_reference",
        "export_run",
        "learn_run",
        "live_changes",
        "live_parts",
        "live_run",
        "replay",
        "notebook_run",
        "scene_source",
        "sweep_run",
    },
    "roof": {
        "cli",
        "cli_bench",
        "cli_doctor",
        "cli_capacity",
        "cli_evaluate",
        "cli_export",
        "cli_learn",
        "cli_live",
        "cli_live_view",
        "cli_notebooks",
        "cli_queue",
        "cli_replay",
        "cli_runs",
        "cli_scene",
        "cli_worker",
        "notebook",
        "program",
        "terminal",
    },
}

_HEAVY = {"av", "cv2", "matplotlib", "mlflow", "pandas", "redis", "timm", "torch", "torchvision"}
_PICKLING = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
_LARGEST_FILE_BYTES = 1 << 20
_LARGEST_WEIGHTS_BYTES = 12_000_000
_LONGEST_FUNCTION_LINES = 60

_MODULES = sorted(_PACKAGE.rglob("*.py"))
_PACKAGES = [path for path in _MODULES if path.name == "__init__.py"]


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [path for path in _MODULES if path != _PACKAGE / "__init__.py"], ids=_name)
def test_imports_point_down_and_wings_do_not_meet(path: Path) -> None:
    room = _room(path)
    used = {_room_of_module(module) for module in _imports(_tree(path))} - {room, None}

    floors = list(_FLOORS.values())
    own = _floor(room)
    lower = set().union(*floors[:own])
    neighbours = set() if floors[own] == _FLOORS["wings"] else floors[own]
    assert used <= lower | neighbours, f"{room} imports {sorted(used - lower - neighbours)}"


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    names = {_dotted(path) for path in _MODULES}
    graph = {_dotted(path): set(_imports(_tree(path), deep=False)) & names for path in _MODULES}

    graphlib.TopologicalSorter(graph).prepare()


def test_importing_the_toolkit_is_light_and_starts_no_thread() -> None:
    code = (
        "import json, sys, threading, toolkit; print(json.dumps([threading.active_count(), [*sys.modules]]))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    threads, modules = json.loads(out)

    assert threads == 1
    assert not _HEAVY & set(modules)


@pytest.mark.parametrize("path", _PACKAGES, ids=_name)
def test_the_face_of_a_package_is_sorted_and_real(path: Path) -> None:
    package = importlib.import_module(_dotted(path))

    names = list(getattr(package, "__all__", []))

    assert names == sorted(set(names))
    assert all(hasattr(package, name) for name in names)


@pytest.mark.parametrize(
    "path", [*_MODULES, *sorted((_ROOT / "tests").rglob("*.py")), _ROOT / "run.py"], ids=_name
)
def test_a_module_begins_with_its_caption(path: Path) -> None:
    caption = (ast.get_docstring(_tree(path)) or "").partition("\n")[0]

    assert path.read_text(encoding="utf-8").startswith('"""')
    assert caption.endswith((".", "?"))


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_the_package_logs_and_never_prints(path: Path) -> None:
    calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]

    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_nothing_is_pickled(path: Path) -> None:
    tree = _tree(path)
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    unsafe = {("allow_pickle", True), ("weights_only", False)}

    assert not _PICKLING & {module.partition(".")[0] for module in _imports(tree)}
    assert not unsafe & {(k.arg, k.value.value) for k in keywords if isinstance(k.value, ast.Constant)}


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_function_fits_on_a_page(path: Path) -> None:
    functions = [n for n in ast.walk(_tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert not {f.name for f in functions if f.end_lineno - f.lineno >= _LONGEST_FUNCTION_LINES}


def test_notebooks_are_committed_without_outputs() -> None:
    for path in _tracked(".ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        kept = [cell for cell in cells if "keep" in cell["metadata"].get("tags", [])]
        left = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]

        assert [cell for cell in left if cell not in kept] == [], f"{_name(path)}: run nbstripout"
        assert len(kept) <= 1, f"{_name(path)}: one small figure may stay"


def test_no_large_file_is_committed() -> None:
    for path in _tracked():
        is_weights = path.is_relative_to(_PACKAGE / "models" / "weights")

        assert path.stat().st_size <= (_LARGEST_WEIGHTS_BYTES if is_weights else _LARGEST_FILE_BYTES), _name(
            path
        )


def _tracked(ending: str = "") -> list[Path]:
    """The files git knows, or will know with the next commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", f"*{ending}"]
    listed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    return [path for line in listed.stdout.splitlines() if (path := _ROOT / line).is_file()]


def _imports(tree: ast.Module, deep: bool = True) -> Iterator[str]:
    """Full names of all modules imported anywhere, or only when the module itself is imported."""
    for node in ast.walk(tree) if deep else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _dotted(path: Path) -> str:
    parts = path.relative_to(_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(path: Path) -> str:
    return path.relative_to(_PACKAGE).with_suffix("").parts[0]


def _room_of_module(module: str) -> str | None:
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] or None if package == "toolkit" else None


def _floor(room: str) -> int:
    for number, rooms in enumerate(_FLOORS.values()):
        if room in rooms:
            return number
    raise AssertionError(f"toolkit/{room} stands on no floor: give it a place in _FLOORS")
