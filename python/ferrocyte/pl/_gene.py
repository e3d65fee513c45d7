"""One gene by condition: samples, donors, cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError, MissingKeyError
from ._style import FAINT, INK, MANY, axes, colours, styled, tidy

if TYPE_CHECKING:
    import os

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes

    from ..lmm import Fit

#: More donors than this are not named.
_NAMED = 10


@styled
def plot_gene(
    data: ad.AnnData | str | os.PathLike[str] | Fit,
    gene: str,
    condition: str,
    *,
    unit: str | None = None,
    sample: str | None = None,
    groupby: str | None = None,
    group: str | None = None,
    layer: str | None = None,
    transform: str = "log1p",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a gene's expression by condition: a point per sample, a line per donor, the cells faint behind.

    Parameters
    ----------
    data
        AnnData or path of an .h5ad file, cells x genes, counts; or a fit that still knows its study.
    gene
        Name of the gene.
    condition
        Factor on the x axis, a column of obs.
    unit
        Factor whose levels are joined by lines: the donor, where donors have samples in several conditions.
    sample
        Factor whose levels are points; by default the combinations of `unit` and `condition`.
    groupby, group
        Only the cells whose column `groupby` is `group`.
    layer
        The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
    transform
        ``"log1p"`` draws means of ln(1 + count), as the model sees them; ``"none"`` of the values as they are.
    title
        By default the gene, and the group.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingKeyError
        No such gene or column.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.plot_gene(small_study(), "gene1", "condition", unit="donor")
    >>> ax.get_ylabel()
    'mean of ln(1 + count)'
    """
    from ..lmm import Fit

    if isinstance(data, Fit):
        return plot_gene_of_fit(
            data, gene, condition=condition, unit=unit, group=group, data=None, ax=ax, sample=sample, title=title
        )
    if transform not in ("log1p", "none"):
        message = f"there is no choice `{transform}`"
        raise BadInputError(message, place="transform", hint="it is one of `log1p`, `none`")
    cells = _cells(data, gene, layer, [name for name in (condition, unit, sample, groupby) if name is not None])
    if groupby is not None and group is not None:
        present = list(cells[groupby].cat.categories)
        if group not in present:
            message = f"there is no `{group}` in `{groupby}`"
            raise MissingKeyError(message, place=f"obs column `{groupby}`", hint=f"there are {', '.join(present[:20])}")
        cells = cells[cells[groupby] == group]
    if transform == "log1p":
        cells["value"] = np.log1p(cells["value"])
    keys = list(dict.fromkeys(key for key in (condition, unit, sample) if key is not None))
    cells = cells.dropna(subset=keys)
    if cells.empty:
        message = "there is no cell to draw"
        raise BadInputError(message, place="obs")
    name = "ln(1 + count)" if transform == "log1p" else "value"
    words = f"{gene}, {group}" if group else gene
    return _draw(cells, condition, unit, keys, words if title is None else title, name, axes(ax, (3.4, 3.4)))


def _cells(data: Any, gene: str, layer: str | None, columns: list[str]) -> pd.DataFrame:
    """The values of a gene and columns of obs, a row per cell."""
    import difflib

    import pandas as pd

    from .._sources import open_source

    source = open_source(data, layer)
    if gene not in source.genes:
        near = difflib.get_close_matches(gene, source.genes, 3)
        message = f"there is no gene `{gene}`"
        hint = f"did you mean {', '.join(f'`{name}`' for name in near)}?" if near else None
        raise MissingKeyError(message, place="var", hint=hint)
    found = source.columns(columns, [])
    absent = [name for name in columns if name not in found]
    if absent:
        message = f"there is no column `{absent[0]}`"
        raise MissingKeyError(message, place="obs")
    values = _core.gene_values(source.matrix, source.genes.index(gene), means(progress=False))
    out = pd.DataFrame({"value": values})
    for name in columns:
        column = found[name]
        if not isinstance(column, tuple):
            column = (np.unique(column, return_inverse=True)[1], [f"{level:g}" for level in np.unique(column)])
        codes, levels = column
        out[name] = pd.Categorical.from_codes(codes, categories=list(levels))
    return out


def _draw(
    cells: pd.DataFrame, condition: str, unit: str | None, keys: list[str], title: str, name: str, ax: Axes
) -> Axes:
    levels = [level for level in cells[condition].cat.categories if (cells[condition] == level).any()]
    position = {level: i for i, level in enumerate(levels)}
    x = cells[condition].map(position).to_numpy(dtype=float)
    spread = np.random.default_rng(0).uniform(-0.24, 0.24, len(cells))
    ax.scatter(
        x + spread, cells["value"], s=3, color=FAINT, alpha=0.45, linewidths=0, rasterized=len(cells) > MANY, zorder=1
    )

    samples = cells.groupby(keys, observed=True)["value"].mean().reset_index()
    samples["x"] = samples[condition].map(position).astype(float)
    if unit is None or unit == condition:
        ax.scatter(samples["x"], samples["value"], s=26, color=INK, zorder=3)
    else:
        units = [level for level in cells[unit].cat.categories if (samples[unit] == level).any()]
        for level, colour in zip(units, colours(len(units)), strict=True):
            part = samples[samples[unit] == level].sort_values("x")
            line = part.groupby("x")["value"].mean()
            ax.plot(line.index, line, color=colour, lw=1.2, zorder=2)
            ax.scatter(
                part["x"], part["value"], s=26, color=colour, edgecolor="white", linewidths=0.6, zorder=3, label=level
            )
        if len(units) <= _NAMED:
            ax.legend(title=unit, title_fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.1)
    middle = samples.groupby("x")["value"].mean()
    ax.hlines(middle, middle.index - 0.3, middle.index + 0.3, color=INK, lw=1.6, zorder=4)
    ax.set_xticks(range(len(levels)), levels)
    ax.set_xlim(-0.5, len(levels) - 0.5)
    ax.set_ylim(bottom=min(0.0, float(cells["value"].min())))
    return tidy(ax, title=title, xlabel=condition, ylabel=f"mean of {name}")


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
    """A gene of a fit: condition, donor and sample are read from the model where they are not given."""
    study = data if data is not None else fit._study.data() if fit._study is not None else None
    if study is None:
        message = "the fit does not hold the cells"
        raise BadInputError(message, place="data", hint="give the AnnData or the path: fit.plot_gene(gene, data=adata)")
    layer = fit._study.layer if fit._study is not None else None
    model = _Model(fit, study, layer)
    condition = condition or fit._last_contrast or model.last_factor()
    sample = keywords.pop("sample", None) or model.sample
    unit = unit or model.joined(condition)
    grouped = fit._core.groups_by or None
    options = {"layer": layer, "sample": sample, "groupby": grouped, "group": group, **keywords}
    return plot_gene(study, gene, condition, unit=unit, ax=ax, **options)


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
