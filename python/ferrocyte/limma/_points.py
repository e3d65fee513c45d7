"""The numbers behind the figures of limma, as data frames. :mod:`ferrocyte.pl` draws them."""

from __future__ import annotations

import difflib
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import BadInputError, MissingKeyError
from ._containers import EList, MArrayLM
from ._inputs import counted, expressed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = [
    "density_curves",
    "heatmap_values",
    "library_sizes",
    "md_points",
    "sa_points",
    "splice_points",
    "venn_counts",
    "volcano_points",
    "voom_points",
]

#: Points of a density curve.
_GRID = 512


def library_sizes(counts: Any, layer: str | None = None) -> pd.Series[Any]:
    """The total of each sample.

    Parameters
    ----------
    counts
        A DGEList, a data frame or array (genes × samples), or an AnnData.
    layer
        The layer of an AnnData.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> fe.limma.library_sizes(pd.DataFrame({"a": [1, 2], "b": [3, 4]})).to_dict()
    {'a': 3.0, 'b': 7.0}
    """
    import pandas as pd

    held = counted(counts, layer)
    return pd.Series(held.values.sum(axis=0), index=held.samples.index, name="lib_size")


def density_curves(values: Any, layer: str | None = None) -> pd.DataFrame:
    """The density of the log-values of each sample, by a Gaussian kernel with Scott's bandwidth.

    Parameters
    ----------
    values
        log2 values of genes × samples, such as ``cpm(counts, log=True)``; an EList or AnnData as well.
    layer
        The layer of an AnnData.

    Returns
    -------
    pandas.DataFrame
        A row per point (the index is the value), a column per sample.
    """
    import pandas as pd
    from scipy.stats import gaussian_kde

    held = expressed(values, layer)
    finite = np.where(np.isfinite(held.values), held.values, np.nan)
    if np.isnan(finite).all():
        message = "no value is a number"
        raise BadInputError(message, place="values")
    low, high = np.nanmin(finite), np.nanmax(finite)
    room = 0.05 * (high - low) or 1.0
    at = np.linspace(low - room, high + room, _GRID)
    curves = {}
    for name, column in zip(held.samples.index, finite.T, strict=True):
        present = column[~np.isnan(column)]
        varies = len(present) > 1 and np.ptp(present) > 0
        curves[name] = gaussian_kde(present)(at) if varies else np.full(_GRID, np.nan)
    return pd.DataFrame(curves, index=pd.Index(at, name="value"))


def voom_points(v: EList) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points and the line of voom's trend.

    Parameters
    ----------
    v
        Of ``voom(..., save_plot=True)``.

    Returns
    -------
    points, line : pandas.DataFrame
        Columns ``log2_count`` (mean log2 of count + 0.5) and ``sqrt_sd`` (square root of the residual standard
        deviation), a row per gene and a row per knot.
    """
    import pandas as pd

    if "voom_xy" not in v or "voom_line" not in v:
        message = "the trend was not kept"
        raise MissingKeyError(message, place="voom", hint="use voom(..., save_plot=True)")
    columns = ("log2_count", "sqrt_sd")
    points = pd.DataFrame(dict(zip(columns, (v.voom_xy["x"], v.voom_xy["y"]), strict=True)))
    line = pd.DataFrame(dict(zip(columns, (v.voom_line["x"], v.voom_line["y"]), strict=True)))
    return points, line


def sa_points(fit: MArrayLM) -> pd.DataFrame:
    """Residual variation against mean expression, gene by gene, with the prior.

    Parameters
    ----------
    fit
        Of ``e_bayes``, or of ``lm_fit`` (then without a prior).

    Returns
    -------
    pandas.DataFrame
        By gene: ``ave_expr``, ``sqrt_sigma``, ``sqrt_prior`` (the fourth root of the prior variance) and ``outlier``
        (whether a robust fit gave the gene fewer prior degrees of freedom than others).
    """
    import pandas as pd

    out = pd.DataFrame({"ave_expr": fit.Amean, "sqrt_sigma": np.sqrt(fit.sigma)}, index=fit.genes.index)
    if "s2_prior" in fit:
        out["sqrt_prior"] = np.broadcast_to(np.asarray(fit.s2_prior, dtype=float), len(out)) ** 0.25
        df_prior = np.asarray(fit.df_prior, dtype=float)
        out["outlier"] = df_prior < 0.99 * np.nanmax(df_prior) if df_prior.ndim else False
    return out


def md_points(fit: MArrayLM, coef: int | str = -1, calls: Any = None) -> pd.DataFrame:
    """Log fold change against mean expression, gene by gene.

    Parameters
    ----------
    fit
        Of any step from ``lm_fit`` on.
    coef
        Which coefficient or contrast, by position or name; the last one by default.
    calls
        -1, 0 and 1 of ``decide_tests``, genes × contrasts or genes; by default those at 5 % if the fit is moderated.

    Returns
    -------
    pandas.DataFrame
        By gene: ``ave_expr``, ``log_fc``, ``call``.
    """
    import pandas as pd

    column = fit.coef_index(coef)
    if calls is None:
        made = np.zeros(fit.shape[0], dtype=int)
        if "p_value" in fit:
            from . import decide_tests

            made = np.asarray(decide_tests(fit[:, [column]])).reshape(-1).astype(int)
    else:
        given: np.ndarray[Any, Any] = np.asarray(calls)
        made = given if given.ndim == 1 else given[:, column if given.shape[1] > 1 else 0]
    columns = {"ave_expr": fit.Amean, "log_fc": fit.coefficients[:, column], "call": made}
    return pd.DataFrame(columns, index=fit.genes.index)


def volcano_points(fit: MArrayLM, coef: int | str = -1, style: Literal["p-value", "B"] = "p-value") -> pd.DataFrame:
    """Log fold change against evidence, gene by gene.

    Parameters
    ----------
    fit
        Of ``e_bayes`` or ``treat``.
    coef
        Which coefficient or contrast.
    style
        Evidence: ``"p-value"`` is -log10 p, ``"B"`` the log-odds.

    Returns
    -------
    pandas.DataFrame
        By gene: ``log_fc``, ``evidence``.
    """
    import pandas as pd

    column = fit.coef_index(coef)
    if style not in ("p-value", "B"):
        message = f"there is no choice `{style}`"
        raise BadInputError(message, place="style", hint="it is one of `p-value`, `B`")
    with np.errstate(divide="ignore"):
        evidence = fit["lods"][:, column] if style == "B" else -np.log10(fit["p_value"][:, column])
    return pd.DataFrame({"log_fc": fit.coefficients[:, column], "evidence": evidence}, index=fit.genes.index)


def heatmap_values(values: Any, table: pd.DataFrame, n: int = 50, *, scale: bool = True) -> pd.DataFrame:
    """The values of the first genes of a table, ordered by their signed t.

    Parameters
    ----------
    values
        log2 values, genes × samples: an EList, a data frame, an AnnData.
    table
        Of ``top_table`` (genes in the index) or ``de`` (genes in the column ``gene``), the first genes first.
    n
        How many genes.
    scale
        Whether each gene is brought to mean 0 and standard deviation 1.

    Returns
    -------
    pandas.DataFrame
        Genes × samples, the gene with the largest t first.
    """
    import pandas as pd

    held = expressed(values)
    first = table.head(n)
    genes = first["gene"] if "gene" in first else first.index.to_series()
    genes = genes.astype(str).to_numpy()[np.argsort(-first["t"].to_numpy(), kind="stable")]
    index = held.genes.index.astype(str)
    found = index.get_indexer_for(genes)
    if (found < 0).any():
        message = f"gene `{genes[int(np.flatnonzero(found < 0)[0])]}` of the table is no row of the values"
        raise MissingKeyError(message, place="values")
    rows = held.values[found]
    if scale:
        centred = rows - np.nanmean(rows, axis=1, keepdims=True)
        spread = np.nanstd(centred, axis=1, keepdims=True, ddof=1)
        rows = centred / np.where(spread > 0, spread, 1.0)
    return pd.DataFrame(rows, index=genes, columns=held.samples.index)


def venn_counts(calls: Any, include: Literal["both", "up", "down"] = "both") -> pd.DataFrame:
    """How many genes are called in each combination of contrasts.

    Parameters
    ----------
    calls
        -1, 0, 1 of ``decide_tests``, genes × contrasts.
    include
        Calls of either sign, or of one.

    Returns
    -------
    pandas.DataFrame
        A row per combination: 0 or 1 for each contrast, and ``n``. The first row counts genes of no contrast.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> fe.limma.venn_counts(pd.DataFrame({"a": [1, 0, -1], "b": [1, 0, 0]}))["n"].tolist()
    [1, 0, 1, 1]
    """
    import pandas as pd

    called = calls if isinstance(calls, pd.DataFrame) else pd.DataFrame(np.asarray(calls))
    signs = {"both": called != 0, "up": called > 0, "down": called < 0}
    if include not in signs:
        message = f"there is no choice `{include}`"
        raise BadInputError(message, place="include", hint="it is one of `both`, `up`, `down`")
    chosen = signs[include].to_numpy()
    names: Sequence[Any] = list(called.columns)
    combinations = list(product((0, 1), repeat=len(names)))
    rows = [(chosen == np.asarray(combination, dtype=bool)).all(axis=1).sum() for combination in combinations]
    out = pd.DataFrame(combinations, columns=names)
    out["n"] = rows
    return out


def splice_points(
    fit: MArrayLM, coef: int | str = -1, gene: str | None = None, *, rank: int = 1, fdr: float = 0.05
) -> pd.DataFrame:
    """How the exons of one gene differ from its others.

    Parameters
    ----------
    fit
        Of ``diff_splice``.
    coef
        Which coefficient or contrast.
    gene
        The gene; by default that of `rank`.
    rank
        Which gene, from 1, in the order of the F tests.
    fdr
        False discovery rate, over the exons of all genes, below which an exon is significant.

    Returns
    -------
    pandas.DataFrame
        By exon, in order: ``exon`` (the identifier that ``diff_splice`` was given, else 1, 2, ...), ``log_fc`` (that of
        the exon less that of the others of the gene), ``t``, ``p_value``, ``fdr``, ``significant``. ``attrs["gene"]``
        is the gene.
    """
    import pandas as pd

    from ._splice import top_splice

    table = top_splice(fit, coef, "t", np.inf, sort_by="none")
    if gene is None:
        order = np.argsort(fit.gene_F_p_value[:, fit.coef_index(coef)], kind="stable")
        if not 1 <= rank <= len(order):
            message = f"expected a rank from 1 to {len(order)}, found {rank}"
            raise BadInputError(message, place="rank")
        chosen = fit.gene_genes.index[order[rank - 1]]
    else:
        names = fit.gene_genes.index
        found = np.flatnonzero(names.astype(str) == str(gene))
        if not len(found):
            near = difflib.get_close_matches(str(gene), [str(name) for name in names], 3)
            hint = f"did you mean {', '.join(f'`{name}`' for name in near)}?" if near else "genes of one exon have none"
            message = f"there is no gene `{gene}` with tests of its exons"
            raise MissingKeyError(message, place="gene", hint=hint)
        chosen = names[found[0]]
    rows = table[(table["gene_id"] == chosen).to_numpy()]
    out = pd.DataFrame(
        {
            "exon": rows["exon_id"].to_numpy() if "exon_id" in rows else np.arange(1, len(rows) + 1),
            **{name: rows[name].to_numpy() for name in ("log_fc", "t", "p_value", "fdr")},
        },
        index=rows.index,
    )
    out["significant"] = out["fdr"] < fdr
    out.attrs["gene"] = str(chosen)
    return out
