"""Names on figures as they are: no formula, no command, none too long to stand anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

#: Longer names lose their middle.
_LONGEST = 40

#: Rows of a legend before another column begins.
_ROWS = 26


def shown(name: object) -> str:
    """A name as it is written: dollar signs are no formula, lines do not break, a long name loses its middle."""
    text = " ".join(str(name).split())
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 14]}…{text[-12:]}"
    return text.replace("$", r"\$")


def legend(
    ax: Axes, names: Sequence[object], colours: Sequence[Any], *, title: str = "", beside: float = 1.02, **keywords: Any
) -> Any:
    """What colours mean, at the right of the axes; in columns if there are many."""
    from matplotlib.lines import Line2D

    # A legend passes over labels that begin with an underscore, so that texts are set afterwards.
    handles = [Line2D([], [], marker="o", ls="", ms=5.0, color=colour, label="a") for colour in colours]
    texts = [shown(name) for name in names]
    columns = -(-len(texts) // _ROWS)
    made = ax.legend(
        handles=handles,
        labels=["a"] * len(texts),
        title=shown(title) if title else None,
        ncols=max(columns, 1),
        **{
            "loc": "upper left", "bbox_to_anchor": (beside, 1.0), "borderaxespad": 0.0, "handletextpad": 0.2,
            "columnspacing": 0.8, "alignment": "left", "fontsize": 8.0 if columns <= 2 else 6.5, **keywords,
        },
    )  # fmt: skip
    for text, label in zip(made.get_texts(), texts, strict=True):
        text.set_text(label)
    return made


def room(names: Sequence[object]) -> float:
    """About how many inches the longest of names takes beside axes."""
    return 0.1 + 0.066 * max((len(shown(name)) for name in names), default=0)


def legend_width(names: Sequence[object]) -> float:
    """About how many inches a legend takes."""
    if not names:
        return 0.0
    columns = -(-len(names) // _ROWS)
    longest = max(len(shown(name)) for name in names)
    return columns * (0.32 + (0.066 if columns <= 2 else 0.054) * longest)
