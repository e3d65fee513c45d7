"""Colours of categories: those an AnnData holds, the palette, and as many more as are needed, none twice."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from .._keys import DIALECTS, keys
from ..errors import BadInputError
from ._style import PALETTE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad

#: What has no value, and points of no interest.
MISSING = "#D4D4D4"

#: What is false and what is true.
FALSE, TRUE = "#C9C9C9", "#D55E00"

# Colours as eyes without the cones for red, or for green, see them: linear RGB (Machado, Oliveira and Fernandes 2009,
# severity 1).
_PROTAN = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
_DEUTAN = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])

# Linear RGB to the cones of OKLab, and those to lightness, green to red, blue to yellow (Ottosson 2020).
_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip

#: How light colours of categories may be, and how colourful: neither too pale to be seen, nor louder than the palette.
_LIGHTNESS, _CHROMA = (0.32, 0.86), 0.19


def category_colours(n: int) -> list[str]:
    """`n` colours for categories that lie side by side: the palette, then what is furthest from all before.

    Distances are those of OKLab, the least over ordinary sight and sight without red or green. None comes twice.
    """
    return list(_extended(max(n, len(PALETTE)))[:n])


@functools.cache
def _extended(n: int) -> tuple[str, ...]:
    from matplotlib.colors import to_hex, to_rgb

    chosen = [np.array(to_rgb(colour)) for colour in PALETTE]
    # The more colours, the finer the grid they are taken from.
    steps = 9
    while steps**3 < 8 * n:
        steps += 4
    grid = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, steps)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _lab(_linear(grid))
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    grid = grid[(lightness > _LIGHTNESS[0]) & (lightness < _LIGHTNESS[1]) & (chroma < _CHROMA)]
    seen = _seen(grid)
    nearest = np.full(len(grid), np.inf)
    for colour in chosen:
        nearest = np.minimum(nearest, _apart(seen, _seen(colour[None])))
    while len(chosen) < n:
        best = int(np.argmax(nearest))
        chosen.append(grid[best])
        nearest = np.minimum(nearest, _apart(seen, seen[:, best : best + 1]))
    return tuple(to_hex(colour).upper() for colour in chosen)


def _seen(colours: Any) -> Any:
    """OKLab of colours under three kinds of sight: 3 × n × 3."""
    linear = _linear(colours)
    return np.stack([_lab(linear), *(_lab(np.clip(linear @ sight.T, 0.0, 1.0)) for sight in (_PROTAN, _DEUTAN))])


def _apart(many: Any, one: Any) -> Any:
    """The least distance over the kinds of sight; that of ordinary sight weighs more, as most have it."""
    distances = np.sqrt(((many - one) ** 2).sum(axis=2))
    return np.minimum(distances[0], 2.0 * distances[1:].min(axis=0))


def _linear(colours: Any) -> Any:
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _lab(linear: Any) -> Any:
    return np.cbrt(linear @ _CONES.T) @ _LAB.T


def level_colours(
    adata: ad.AnnData,
    key: str,
    levels: Sequence[str],
    *,
    palette: str | Sequence[Any] | Mapping[str, Any] | None = None,
    style: str = "scanpy",
) -> dict[str, str]:
    """The colour of each level of a column of obs.

    Taken from `palette` (a list, a mapping, or the name of a map of matplotlib), from uns in either dialect, or from
    :func:`category_colours`. What was not in uns is kept there under the name of the dialect, unless the column is not
    categorical, so that its levels have no order that others know, or this is a view.
    """
    found = None if palette is not None else _kept(adata, key, len(levels), style)
    if found is None:
        found = category_colours(len(levels)) if palette is None else _of_palette(palette, levels)
        if hasattr(adata.obs.get(key), "cat") and not adata.is_view:
            adata.uns[keys(style).colours.format(key)] = found
    return dict(zip(levels, found, strict=False))


def _kept(adata: ad.AnnData, key: str, n: int, style: str) -> list[str] | None:
    """The colours that uns has for a column, if they are enough and are colours."""
    from matplotlib.colors import is_color_like, to_hex

    for dialect in dict.fromkeys((style, *DIALECTS)):
        held = adata.uns.get(keys(dialect).colours.format(key))
        if held is None or isinstance(held, (str, dict)):
            continue
        texts = [str(colour) for colour in held][:n]
        if len(texts) == n and all(is_color_like(colour) for colour in texts):
            return [to_hex(colour, keep_alpha=len(colour) == 9) for colour in texts]
    return None


def _of_palette(palette: Any, levels: Sequence[str]) -> list[str]:
    """Colours that were given; a list that is too short goes on with others than those it has."""
    import matplotlib as mpl
    from matplotlib.colors import is_color_like, to_hex

    if isinstance(palette, str):
        if palette not in mpl.colormaps:
            message = f"there is no map of colours `{palette}`"
            raise BadInputError(message, place="palette", hint="such as `tab20`, a list of colours, or a mapping")
        colours_of_map = getattr(mpl.colormaps[palette], "colors", None)
        # Maps of separate colours are lists; the others are cut into even steps.
        if colours_of_map is not None and len(colours_of_map) < 64:
            palette = list(colours_of_map)
        else:
            palette = list(mpl.colormaps[palette](np.linspace(0.0, 1.0, max(len(levels), 2))))
    given = [palette.get(level, MISSING) for level in levels] if hasattr(palette, "get") else list(palette)
    wrong = next((colour for colour in given if not is_color_like(colour)), None)
    if wrong is not None:
        message = f"`{wrong}` is no colour"
        raise BadInputError(message, place="palette")
    texts = [to_hex(colour) for colour in given][: len(levels)]
    if len(texts) < len(levels):
        others = (colour.lower() for colour in category_colours(len(levels) + len(texts)))
        texts += [colour for colour in others if colour not in texts][: len(levels) - len(texts)]
    return texts


def with_lower(cmap: Any, lower: Any) -> Any:
    """A map of colours whose first five entries are `lower`, so that what is lowest recedes."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap, is_color_like, to_rgba

    if isinstance(cmap, str) and cmap not in mpl.colormaps:
        message = f"there is no map of colours `{cmap}`"
        raise BadInputError(message, place="cmap", hint="such as `viridis`, `magma`, `cividis`")
    made = mpl.colormaps[cmap] if isinstance(cmap, str) else cmap
    if lower is not None:
        if not is_color_like(lower):
            message = f"`{lower}` is no colour"
            raise BadInputError(message, place="cmap_lower")
        steps = made(np.linspace(0.0, 1.0, 256))
        steps[:5] = to_rgba(lower)
        made = ListedColormap(steps, name=f"{made.name}_lower")
    return made.with_extremes(bad=MISSING)
