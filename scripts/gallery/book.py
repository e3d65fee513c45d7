"""Figures of the gallery: what draws them, from what, and the page that shows them."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ferrocyte as fe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Pixels per inch of the pictures.
DPI = 70


@dataclass(frozen=True)
class Figure:
    """A figure: a function that draws it from what other functions make."""

    draw: Callable[..., Any]
    sources: tuple[Callable[[], Any], ...]

    @property
    def name(self) -> str:
        """The function of `fe.pl` that is shown."""
        return self.draw.__name__

    def save(self, path: Path) -> None:
        """Draw it into a file."""
        from matplotlib import pyplot as plt

        drawn = self.draw(*(source() for source in self.sources))
        fe.pl.save(drawn, path, dpi=DPI, metadata={"Software": None})
        plt.close("all")


@dataclass(frozen=True)
class Section:
    """Figures of one kind of data."""

    title: str
    text: str
    sources: tuple[Callable[[], Any], ...]
    figures: tuple[Figure, ...]


def figure(*sources: Callable[[], Any]) -> Callable[[Callable[..., Any]], Figure]:
    """Make a function a figure; what its arguments are comes from these sources."""
    return lambda draw: Figure(draw, sources)


def source(make: Callable[[], Any]) -> Callable[[], Any]:
    """Make data once, whoever asks for it."""
    return functools.cache(make)


def section(names: dict[str, Any]) -> Section:
    """The section of a module: its docstring (title, text), sources and figures, in their order."""
    title, _, text = names["__doc__"].partition("\n\n")
    sources = tuple(value for value in names.values() if hasattr(value, "cache_info"))
    figures = tuple(value for value in names.values() if isinstance(value, Figure))
    return Section(title.rstrip("."), text.strip(), sources, figures)


def body(function: Callable[..., Any]) -> str:
    """The statements of a function, as they are shown: its docstring is told apart."""
    function = inspect.unwrap(function)
    lines = inspect.getsource(function).splitlines()
    start = next(place for place, line in enumerate(lines) if line.rstrip().endswith('"""'))
    return textwrap.dedent("\n".join(lines[start + 1 :])).strip()


def shown(function: Callable[..., Any], result: str, names: list[str]) -> str:
    """A code block of a function; what it returns is called `result`, or stands for itself."""
    head, _, last = body(function).rpartition("return ")
    # The statement that returns one name needs no other name for it.
    last = head.rstrip() if last == result else head + (f"{result} = {last}" if result else last)
    # Sources are functions here, so that each is made once; on the page they are what they make.
    last = re.sub(rf"\b({'|'.join(names)})\(\)", r"\1", textwrap.dedent(last)) if names else textwrap.dedent(last)
    return f"```python\n{last}\n```\n"


def page(sections: list[Section]) -> str:
    """The page, in Markdown."""
    parts = []
    for part in sections:
        parts.append(f"## {part.title}\n\n{part.text}\n")
        names = [make.__name__ for make in part.sources]
        parts += [shown(make, make.__name__, names) for make in part.sources]
        for drawn in part.figures:
            title = f"### {drawn.name}\n\n{inspect.getdoc(drawn.draw)}\n"
            parts.append(f"{title}\n![{drawn.name}](gallery/{drawn.name}.png)\n\n{shown(drawn.draw, '', names)}")
    return "\n".join(parts)
