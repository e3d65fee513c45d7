"""Differential splicing: exons whose contrasts differ from the rest of their gene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._messages import warn
from .._run import means
from ..errors import BadInputError
from ._containers import MArrayLM
from ._fit import core_fit
from ._gene_sets import identifiers_of

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = ["diff_splice", "top_splice"]


def diff_splice(
    fit: MArrayLM,
    geneid: Any,
    exonid: Any = None,
    *,
    robust: bool = False,
    legacy: bool = False,
    n_threads: int | None = None,
) -> MArrayLM:
    """Test whether coefficients differ between the exons of a gene.

    Parameters
    ----------
    fit
        A fit whose rows are exons (or transcripts), of :func:`lm_fit` or :func:`contrasts_fit`.
    geneid
        The gene of each row: a column of the annotation of the fit, or one per row. Rows without a gene are left out.
    exonid
        The exon of each row, by which the rows of a gene are ordered: a column of the annotation, or one per row.
    robust
        Whether genes with outlying variances get less prior information.
    legacy
        Whether the prior is fitted by moments, as limma did before 3.62.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    MArrayLM
        Of the exons of genes with several: ``coefficients`` (difference from the other exons of the gene), ``t``,
        ``p_value``, and their annotation ``genes``. Of these genes: ``gene_F``, ``gene_F_p_value``,
        ``gene_simes_p_value`` (genes × coefficients), ``gene_df_residual``, ``gene_df_prior``, ``gene_df_total``,
        ``gene_s2_prior``, ``gene_s2_post``, ``gene_n_exons``, and their annotation ``gene_genes``. See
        :func:`top_splice`.
    """
    genes = identifiers_of(geneid, fit.genes)
    codes, names, order = _ordered(genes, None if exonid is None else identifiers_of(exonid, fit.genes), len(fit.genes))
    starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
    out = _core.limma_diff_splice(
        core_fit(fit),
        np.ascontiguousarray(order, dtype=np.int64),
        [int(start) for start in starts],
        robust,
        legacy,
        means(n_threads, progress=False),
    )
    exons, tested, n_exons = out.pop("exons"), out.pop("genes"), out.pop("n_exons")
    if len(out["gene_df_prior"]) == 1:
        out["gene_df_prior"] = float(out["gene_df_prior"][0])
    annotation = fit.genes.iloc[exons].copy()
    if exonid is not None:
        annotation["exon_id"] = np.asarray(identifiers_of(exonid, fit.genes))[exons]
    annotation["gene_id"] = [names[g] for g in codes[exons]]
    return MArrayLM(
        **out,
        gene_n_exons=n_exons,
        genes=annotation,
        gene_genes=_of_genes(annotation, n_exons, [names[g] for g in tested]),
        coef_names=list(fit.coef_names),
        design=fit.get("design"),
        contrasts=fit.get("contrasts"),
    )


def top_splice(
    fit: MArrayLM,
    coef: Any = -1,
    test: str = "F",
    number: float = 10,
    *,
    fdr: float = 1.0,
    sort_by: str = "p",
) -> pd.DataFrame:
    """The first genes or exons of a fit of :func:`diff_splice`.

    Parameters
    ----------
    fit
        From :func:`diff_splice`.
    coef
        The coefficient, by name or position.
    test
        ``"F"``: genes any of whose exons differ; ``"simes"``: the same, for few exons that differ strongly; ``"t"``:
        single exons.
    number
        Number of rows; may be infinite.
    fdr
        Largest adjusted p-value of a row.
    sort_by
        ``"p"``; ``"logFC"`` (for ``test="t"``); ``"n_exons"`` (for genes); ``"none"``.

    Returns
    -------
    pandas.DataFrame
        The annotation, then ``log_fc`` and ``t`` of exons or ``n_exons`` (and ``F``) of genes, ``p_value`` and ``fdr``
        (Benjamini-Hochberg).
    """
    if "gene_F" not in fit:
        message = "there are no tests of splicing in the fit"
        raise BadInputError(message, place="fit", hint="diff_splice(fit, geneid) gives them")
    choices = {"t": ("p", "logFC", "none"), "F": ("p", "n_exons", "NExons", "none")}
    choices["simes"] = choices["F"]
    if test not in choices:
        message = f"there is no choice `{test}`"
        raise BadInputError(message, place="test", hint="it is one of F, simes, t")
    if sort_by not in choices[test]:
        message = f"there is no choice `{sort_by}` for {test}"
        raise BadInputError(message, place="sort_by", hint=f"it is one of {', '.join(choices[test])}")
    j = fit.coef_index(coef)
    if test == "t":
        table = fit.genes.copy()
        table["log_fc"], table["t"] = fit.coefficients[:, j], fit.t[:, j]
        p_value = fit.p_value[:, j]
    else:
        table = fit.gene_genes.copy()
        if test == "F":
            table["F"] = fit.gene_F[:, j]
        p_value = (fit.gene_F_p_value if test == "F" else fit.gene_simes_p_value)[:, j]
    table["p_value"] = p_value
    table["fdr"] = _core.limma_p_adjust(np.ascontiguousarray(p_value), "BH")
    keys = {"p": table["p_value"], "logFC": -table["log_fc"].abs() if test == "t" else None}
    keys["n_exons"] = keys["NExons"] = -table["n_exons"] if test != "t" else None
    if sort_by != "none":
        table = table.iloc[np.argsort(np.asarray(keys[sort_by], dtype=float), kind="stable")]
    if fdr < 1:
        table = table[table["fdr"] <= fdr]
    return table.iloc[: int(min(number, len(table)))]


def _ordered(genes: Any, exons: Any, n: int) -> tuple[Array, list[Any], Array]:
    """Codes and names of genes, sorted, and the rows ordered by gene and exon."""
    import pandas as pd

    codes, names = pd.factorize(pd.Series(np.asarray(genes)), sort=True)
    keys = np.arange(n) if exons is None else pd.factorize(pd.Series(np.asarray(exons)), sort=True)[0]
    order = np.lexsort((keys, codes))
    missing = int((codes < 0).sum())
    if missing:
        warn(f"{missing} rows without a gene are left out")
        order = order[codes[order] >= 0]
    return codes, list(names), order


def _of_genes(exons: pd.DataFrame, n_exons: Array, names: list[Any]) -> pd.DataFrame:
    """What the annotation of the exons says of their genes: columns that do not vary within any."""
    ends = np.cumsum(n_exons)
    first, gene = ends - n_exons, np.repeat(np.arange(len(n_exons)), n_exons)
    table = exons.iloc[first].copy()
    for name in exons.columns:
        if name == "exon_id":
            del table[name]
        elif name != "gene_id":
            values = exons[name].to_numpy(dtype=object)
            same = values == values[first][gene]
            if not np.all(same | exons[name].isna().to_numpy()):
                del table[name]
    table.index = names
    table["n_exons"] = n_exons
    return table
