"""What MkDocs cannot do by itself: pages made of the README, notebooks, cards, commands and settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import nbformat
from mkdocs.structure.files import File, Files

from toolkit.cli import cli
from toolkit.experiment_reference import as_markdown
from toolkit.notebook_run import title_of

ROOT = Path(__file__).parents[1]

# Those that other programs use; what is below them is ours to change.
PUBLIC = {
    "Cameras and streets": [
        "live.source",
        "live.camera_pool",
        "live.pipeline",
        "live.pipeline_config",
        "live_run",
    ],
    "Batches": ["live.batch", "live.batch_async", "live.batch_frames"],
    "Queue and workers": ["work.task_queue", "work.worker_pool", "work.redis_server"],
    "Models": ["models.predictor", "models.runtime", "models.checkpoint", "models.export"],
    "Data": ["data.prepare", "data.faces", "data.drawn"],
    "Training and evaluation": ["learn_run", "sweep_run", "evaluate_run", "evaluation.scores"],
    "Records": ["records", "stats", "errors"],
    "Runs": ["experiment", "tracking", "run_frames", "unsent", "notebook_run"],
    "Notebooks": ["notebook.dashboard", "notebook.figures", "notebook.run_figures", "notebook.runs"],
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from other files."""
    pages = {}
    pages["index.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
    pages["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for card in [*ROOT.glob("datasets/*/README.md"), *ROOT.glob("toolkit/models/weights/*.md")]:
        pages[str(card.relative_to(ROOT))] = card.read_text(encoding="utf-8")
    for notebook in sorted(ROOT.glob("notebooks/*.ipynb")):
        pages[f"notebooks/{notebook.stem}.md"] = _notebook(notebook)
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put in what is made from the code; links written for the repository lead to the pages made of it."""
    for mark, make in _MADE.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    depth = page.file.src_uri.count("/")
    known = set(files.src_uris)

    def rewritten(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        folder = Path(page.file.src_uri).parent
        inside = [target.removeprefix("docs/"), re.sub(r"^(\.\./)+", "", target), str(folder / target)]
        names = [name.replace(".ipynb", ".md") for name in inside]
        found = next((name for name in names if name in known), None)
        # What is no page, such as a YAML, is named and not linked.
        return f"[{text}]({'../' * depth}{found}{anchor})" if found else text

    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?://|#)([^)#\s]+)(#[^)]*)?\)", rewritten, markdown).replace(
        "](docs/", "](" if depth == 0 else "](../"
    )


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """The roles of reStructuredText in docstrings are for editors; a page needs the name alone."""
    return re.sub(r":\w+:<code>~?", "<code>", html)


def _commands() -> str:
    lines = []
    for name, command in sorted(cli.commands.items()):
        lines += _command(f"toolkit {name}", command)
    return "\n".join(lines)


def _command(name: str, command: click.Command) -> list[str]:
    told = click.Context(command, info_name=name, max_content_width=100, **cli.context_settings)
    text = command.get_help(told)
    lines = [f"## {name}", "", "```text", text, "```", ""]
    for inner, of_group in sorted(getattr(command, "commands", {}).items()):
        lines += _command(f"{name} {inner}", of_group)
    return lines


def _reference() -> str:
    lines = []
    for title, modules in PUBLIC.items():
        lines += [f"## {title}", "", *(f"::: toolkit.{module}\n" for module in modules)]
    return "\n".join(lines)


def _notebook(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    shown = [c.source if c.cell_type == "markdown" else f"```python\n{c.source}\n```" for c in cells]
    how = f"*Run it: `make lab` opens it, `toolkit notebooks run {path.stem[:2]}` executes it in batch.*"
    return "\n\n".join([shown[0], how, *shown[1:]]) + "\n"


def _tutorials() -> str:
    paths = sorted(ROOT.glob("notebooks/*.ipynb"))
    return "\n".join(f"- [{p.stem[:2]}: {title_of(p)}](notebooks/{p.stem}.md)" for p in paths)


_MADE = {
    "<!-- commands -->": _commands,
    "<!-- settings -->": as_markdown,
    "<!-- reference -->": _reference,
    "<!-- tutorials -->": _tutorials,
}
