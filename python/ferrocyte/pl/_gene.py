"""One gene by condition: samples, donors, cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._style import FAINT, INK, MANY, PALETTE, axes, styled, tidy
from ._tables import missing

if TYPE_CHECKING:
    import os

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes

    from ..lmm import Fit

#: What can be done to a count with nothing but the gene's own column, and the name of the outcome.
_TRANSFORMS = {"log1p": "ln(1 + count)", "log2p1": "log2(1 + count)", "none": "value"}

#: A mean of fewer cells than this is drawn hollow.
_FEW = 5


@styled
def plot_gene(
    data: ad.AnnData | str | os.PathLike[str],
    gene: str,
    *,
    condition: str,
    unit: str | None = None,
    sample: str | None = None,
    groups: str | None = None,
    group: str | None = None,
    transform: str = "log1p",
    layer: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a gene's expression by condition: a point per sample, a line per donor, the cells faint behind.

    Bars are means of the samples, which are what a test between conditions compares; the number of cells stands under
    each condition, and a sample of fewer than 5 cells is hollow.

    Parameters
    ----------
    data
        AnnData (in memory, a view, backed) or the path of an .h5ad file, cells x genes, counts. Only the gene's column
        is read.
    gene
        Name of the gene.
    condition
        Factor on the x axis, a column of obs.
    unit
        Factor whose levels are joined by lines: the donor, where donors have samples in several conditions.
    sample
        Factor whose levels are points; by default the combinations of `unit` and `condition`.
    groups, group
        Only the cells whose column `groups` is `group`. Without `groups`, the one factor that has this level.
    transform
        ``"log1p"`` draws ln(1 + count), as the model sees it; ``"log2p1"`` log2(1 + count); ``"none"`` the values.
    layer
        The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
    title
        By default gene and group.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingKeyError
        No such gene, column or level; the nearest names are listed.
    BadInputError
        No cell is left, or several factors have a level `group`.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.plot_gene(small_study(), "gene1", condition="condition", unit="donor", group="B")
    >>> ax.get_title(loc="left"), ax.get_ylabel()
    ('gene1, B', 'ln(1 + count)')
    """
    if transform not in _TRANSFORMS:
        missing("transform", transform, _TRANSFORMS, "transform")
    keys = list(dict.fromkeys(key for key in (condition, unit, sample) if key is not None))
    cells = _cells(data, gene, layer, keys, groups, group)
    cells["value"] = _transformed(cells["value"].to_numpy(), transform)
    levels = [str(level) for level in cells[condition].cat.categories if (cells[condition] == level).any()]
    ax = axes(ax, (1.3 + 0.95 * len(levels) + (0.8 if unit else 0.0), 3.6))
    few = _draw(ax, cells, condition, levels, unit, keys)
    words = f"{gene}, {group}" if group else gene
    note = f"points: means of {'samples' if len(keys) > 1 else 'all cells'}"
    note += f", hollow: fewer than {_FEW} cells" if few else ""
    return tidy(ax, title=words if title is None else title, xlabel=condition, ylabel=_TRANSFORMS[transform], note=note)


def _transformed(counts: np.ndarray[Any, Any], transform: str) -> np.ndarray[Any, Any]:
    if transform == "none":
        return counts
    return np.log1p(counts) if transform == "log1p" else np.log1p(counts) / np.log(2.0)


def _cells(
    data: Any, gene: str, layer: str | None, keys: list[str], groups: str | None, group: str | None
) -> pd.DataFrame:
    """The values of a gene and its columns of obs, a row per cell of the group."""
    import pandas as pd

    from .._sources import open_source

    source = open_source(data, layer)
    if gene not in source.genes:
        missing("gene", gene, source.genes, "var")
    wanted = [*keys, *([groups] if groups else [])]
    factors = {name: _factor(column) for name, column in source.columns(wanted, []).items()}
    for name in wanted:
        if name not in factors:
            missing("column", name, factors, "obs")
    kept = _of_group(factors, groups, group, source.n_cells)
    values = _core.gene_values(source.matrix, source.genes.index(gene), means(progress=False))
    columns = {name: pd.Categorical.from_codes(factors[name][0], categories=factors[name][1]) for name in keys}
    cells = pd.DataFrame({"value": values, **columns})[kept].dropna(subset=keys)
    if cells.empty:
        message = "there is no cell to draw"
        raise BadInputError(message, place="obs", hint="are the columns missing for these cells?")
    return cells


def _factor(column: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Codes and levels, of numbers too."""
    if isinstance(column, tuple):
        return column[0], list(column[1])
    present = np.isfinite(column)
    numbers, codes = np.unique(column[present], return_inverse=True)
    out = np.full(len(column), -1, dtype=np.int64)
    out[present] = codes
    return out, [f"{number:g}" for number in numbers]


def _of_group(factors: dict[str, Any], groups: str | None, group: str | None, n: int) -> np.ndarray[Any, Any]:
    """Which cells belong to the group."""
    if group is None:
        return np.ones(n, dtype=bool)
    if groups is None:
        having = [name for name, (_, levels) in factors.items() if group in levels]
        if len(having) > 1:
            message = f"several columns have the level `{group}`"
            raise BadInputError(message, place="group", hint=f"name one by `groups=`: {', '.join(having)}")
        if not having:
            missing("level", group, (level for _, levels in factors.values() for level in levels), "obs")
        groups = having[0]
    codes, levels = factors[groups]
    if group not in levels:
        missing("level", group, levels, f"obs column `{groups}`")
    return np.asarray(codes == levels.index(group))


def _draw(ax: Axes, cells: pd.DataFrame, condition: str, levels: list[str], unit: str | None, keys: list[str]) -> bool:
    """Cells, then lines and samples, then means, from back to front; whether some sample has few cells."""
    x = cells[condition].astype(str).map({level: i for i, level in enumerate(levels)}).to_numpy(dtype=float)
    spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(cells))
    ax.scatter(
        x + spread, cells["value"], s=4, color=FAINT, alpha=0.5, linewidths=0, rasterized=len(cells) > MANY, zorder=1
    )
    samples = cells.assign(x=x).groupby([*keys, "x"], observed=True)["value"].agg(["mean", "size"]).reset_index()
    if unit is None or unit == condition:
        _samples(ax, samples, INK)
    else:
        _units(ax, samples, unit)
    middle = samples.groupby("x")["mean"].mean()
    ax.hlines(middle, middle.index - 0.3, middle.index + 0.3, color=INK, lw=1.4, zorder=4)
    _ticks(ax, levels, samples.groupby("x")["size"].sum().to_list())
    low, high = min(0.0, float(cells["value"].min())), float(cells["value"].max())
    ax.set_ylim(low - 0.02 * ((high - low) or 1.0))
    return bool((samples["size"] < _FEW).any())


def _ticks(ax: Axes, levels: list[str], n_cells: list[int]) -> None:
    """The conditions with their numbers of cells; long names and many are written aslant."""
    if len(levels) <= 4 and max(map(len, levels)) <= 12:
        words = [f"{level}\n{n:,} cells" for level, n in zip(levels, n_cells, strict=True)]
        ax.set_xticks(range(len(levels)), words)
    else:
        words = [f"{level} ({n:,} cells)" for level, n in zip(levels, n_cells, strict=True)]
        ax.set_xticks(range(len(levels)), words, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, len(levels) - 0.5)


def _units(ax: Axes, samples: pd.DataFrame, unit: str) -> None:
    """A line per unit through its samples; in colour and named as long as the palette lasts."""
    present = [level for level in samples[unit].cat.categories if (samples[unit] == level).any()]
    named = len(present) <= len(PALETTE)
    for i, level in enumerate(present):
        part = samples[samples[unit] == level]
        colour = PALETTE[i] if named else "#5A5A5A"
        line = part.groupby("x")["mean"].mean()
        ax.plot(line.index, line, color=colour, lw=1.1 if named else 0.6, zorder=2)
        _samples(ax, part, colour, str(level) if named else "")
    if named:
        ax.legend(title=unit, loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.1, borderpad=0)


def _samples(ax: Axes, samples: pd.DataFrame, colour: str, label: str = "") -> None:
    """Points; hollow where few cells stand behind them."""
    few = (samples["size"] < _FEW).to_numpy()
    for chosen, inside in ((few, "white"), (~few, colour)):
        part = samples[chosen]
        ax.scatter(part["x"], part["mean"], s=22, color=inside, edgecolors=colour, linewidths=0.9, zorder=3)
    if label:
        ax.scatter([], [], color=colour, s=22, label=label)


def plot_gene_of_fit(
    fit: Fit,
    gene: str,
    *,
    condition: str | None,
    unit: str | None,
    group: str | None,
    data: Any,
    ax: Axes | None,
    **keywords: Any,
) -> Axes:
    """A gene of a fit: condition, donor, sample and transform are read from the model where they are not given."""
    study = data if data is not None else fit._study.data() if fit._study is not None else None
    if study is None:
        message = "the fit does not hold the cells"
        raise BadInputError(message, place="data", hint="give the AnnData or the path: fit.plot_gene(gene, data=adata)")
    layer = keywords.pop("layer", fit._study.layer if fit._study is not None else None)
    model = _Model(fit, study, layer)
    condition = condition or fit._last_contrast or model.last_factor()
    transform = fit.provenance["options"]["transform"]
    options = {
        "sample": model.sample,
        "groups": fit._core.groups_by or None,
        # Totals of cells would take a pass over the matrix, for a figure.
        "transform": transform if transform in _TRANSFORMS else "log1p",
        **keywords,
    }
    unit = unit or model.joined(condition)
    return plot_gene(study, gene, condition=condition, unit=unit, group=group, layer=layer, ax=ax, **options)


class _Model:
    """The factors of a model: which is the sample, which joins conditions."""

    def __init__(self, fit: Fit, study: Any, layer: str | None) -> None:
        from .._sources import open_source

        names = _core.lmm_variables(fit.formula.split(";")[0], [])
        self.random = [name for group in fit._groups for name, _, _ in group["components"]]
        found = open_source(study, layer).columns([name for name in names if name != "libsize"], [])
        self.factors = {name: found[name] for name in names if isinstance(found.get(name), tuple)}
        self.sample = next((name for name in self.random if name in self.factors), None)

    def last_factor(self) -> str:
        """The fixed factor that the formula names last."""
        fixed = [name for name in self.factors if name not in self.random]
        if not fixed:
            message = "the model has no fixed factor to draw by"
            raise BadInputError(message, place="condition", hint="name a column of obs")
        return fixed[-1]

    def joined(self, condition: str) -> str | None:
        """A factor with a level that occurs in several conditions, the fixed ones first."""
        if condition not in self.factors:
            return None
        codes = self.factors[condition][0]
        fixed = [name for name in self.factors if name not in self.random and name != condition]
        for name in [*fixed, *(name for name in self.random if name in self.factors)]:
            pairs = np.unique(np.column_stack([self.factors[name][0], codes]), axis=0)
            if len(pairs) > len(np.unique(pairs[:, 0])):
                return name
        return None
