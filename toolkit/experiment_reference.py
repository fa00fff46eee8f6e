"""Every setting of an experiment as a table: read from the classes that check them, so never out of date."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any

from toolkit.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class Setting:
    """One key of an experiment.

    Attributes:
        key: its name within its part.
        kind: what it may be, as Python writes types.
        default: as YAML shows it; empty where there is none.
        meaning: from the docstring of its class.
    """

    key: str
    kind: str
    default: str
    meaning: str


def parts_of(kind: Any = Experiment, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every part of an experiment: its dotted path and the class that checks it, the whole first."""
    yield path, kind
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = [c for c in _within(hints[field.name]) if dataclasses.is_dataclass(c)]
        named = ".NAME" * str(hints[field.name]).count("dict[str")
        for part in inner:
            yield from parts_of(part, f"{path}.{field.name}{named}".removeprefix("."))


def settings_of(kind: Any) -> list[Setting]:
    """The keys of one part."""
    hints, meanings = typing.get_type_hints(kind), _meanings(kind)
    return [
        Setting(field.name, _shown_type(hints[field.name]), _default(field), meanings.get(field.name, ""))
        for field in dataclasses.fields(kind)
    ]


def as_markdown() -> str:
    """A section for each part, with a table of its keys."""
    lines = []
    for path, kind in parts_of():
        first = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        lines += [f"## {f'`{path}`' if path else 'The whole'}", "", _plain(first), ""]
        lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
        for setting in settings_of(kind):
            default = f"`{setting.default}`" if setting.default else "needed"
            cells = (f"`{setting.key}`", f"`{setting.kind}`", default, setting.meaning)
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _within(hint: Any) -> Iterator[Any]:
    """The type itself, and the types it is made of."""
    yield hint
    for inner in typing.get_args(hint):
        yield from _within(inner)


def _shown_type(hint: Any) -> str:
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    text = re.sub(r"\b(typing|collections\.abc|toolkit(\.\w+)*)\.", "", str(hint))
    # A bar would end the cell of a table.
    return text.replace("NoneType", "None").replace(" | ", " or ")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return "null" if field.default is None else str(field.default) or '""'
    if field.default_factory is dataclasses.MISSING:
        return ""
    made = field.default_factory()
    return "as below" if dataclasses.is_dataclass(made) else str(made)


def _meanings(kind: Any) -> dict[str, str]:
    """What the ``Attributes`` of its docstring, and of those it inherits from, say, by name."""
    meanings: dict[str, str] = {}
    for of in reversed(kind.__mro__):
        section = inspect.cleandoc(of.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        entries = re.findall(r"(?m)^    (\w+): ((?:.+)(?:\n {8}.+)*)", section)
        meanings |= {name: _plain(re.sub(r"\s+", " ", text)) for name, text in entries}
    return meanings


def _plain(text: str) -> str:
    """Without the marks of reStructuredText that Markdown does not know."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
