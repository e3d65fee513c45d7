"""From cells or sums to a fit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import _core
from .._run import means
from ..errors import BadInputError
from ..lmm._fit import at_least
from ._result import Fit
from ._sums import Sums, sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

__all__ = ["fit"]


@dataclass
class HowFitted:
    """How models are fitted, as the compiled module reads it."""

    re: str
    family: str
    method: str
    moderate: bool
    min_count: int
    quad: int | None


def fit(
    data: ad.AnnData | str | os.PathLike[str] | Sums,
    formula: str | None = None,
    *,
    random: str | Sequence[str] | None = None,
    groups: str | None = None,
    offset: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    mask_var: str | Sequence[bool] | None = None,
    path: str = "auto",
    nodes: int | None = None,
    na: str = "refuse",
    aliased: str = "refuse",
    re: str = "lognormal",
    family: str = "nb",
    method: str = "ML",
    moderate: bool = True,
    min_count: int = 10,
    quad: int | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Fit:
    """Fit a negative-binomial mixed model to every gene, in every group.

    Parameters
    ----------
    data
        AnnData (in memory, a view, backed, read lazily) or the path of an .h5ad file: cells x genes, counts. Or
        :class:`Sums`, which already know formula, groups and offset.
    formula
        Fixed effects and one random intercept: ``"~ condition * cell_state + (1 | donor)"``. The random term is the
        unit that was treated: where donors pair the arms, ``"~ condition + donor + (1 | sample)"``.
    random
        The random intercept apart from the formula: ``"(1 | donor)"``.
    groups
        A column of obs, such as the cell type: each level has its own models and priors, all from one pass.
    offset
        A column of obs with positive numbers, whose logarithms enter the predictor; by default the total of the cell
        over all genes, divided by its mean over cells, for which the matrix is read twice.
    layer
        The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
    use_raw
        Whether to take the matrix of ``raw``; the same as ``layer="raw"``.
    mask_var
        Only these genes are modelled: a column of var with truth values, or one truth value per gene. Totals of cells
        still count all genes.
    path
        What stands for the cells: ``"nodes"`` of the offset for each donor and row of the design, ``"cells"``, or
        ``"auto"``: nodes where they are fewer. Changes rounding, and time.
    nodes
        Number of nodes of the offset; by default as many as its range asks for (8 to 24).
    na
        What to do with cells that lack a value which the model needs: ``"refuse"`` counts them in an error,
        ``"drop"`` leaves them out and says so.
    aliased
        What to do with fixed effects that depend on others: ``"refuse"`` names them in an error, ``"drop"`` leaves
        them out and says so.
    re
        Distribution of the donor effect on the mean: ``"lognormal"``, or ``"gamma"`` with the same mean and variance.
    family
        Counts within a donor: ``"nb"``, variance mu + tau mu squared, or ``"poisson"``.
    method
        ``"ML"`` or ``"REML"`` (coefficients integrated out with a flat prior): which likelihood gives the estimates of
        each gene alone. Moderated tests use the restricted one in any case.
    moderate
        Whether genes share knowledge of overdispersion and donor variance, where there are 20 or more. Changes
        estimates a little, and p-values where there are few donors a lot.
    min_count
        Genes with fewer counts are fitted and say so (``few_counts``), but inform no other.
    quad
        Nodes of the integral over the effect of a donor; by default 7 (gamma: 11), and 15 to 61 for the last steps.
    n_threads
        Number of threads; by default all processors. Changes time, never the answer.
    max_memory
        Bytes for buffers and sums (or ``"4GiB"``); by default 2 GiB. Changes time, never the answer.
    progress
        Whether bars are drawn; by default on a terminal.

    Returns
    -------
    Fit

    Raises
    ------
    BadInputError
        Values that are no counts, missing values, dependent columns: with names, numbers and the way out.
    UnsupportedError
        More than one random term, or a random slope: :func:`ferrocyte.lmm.fit` has these.
    MissingKeyError
        A column or layer that does not exist.
    TooLargeError
        The sums do not fit `max_memory`.

    Notes
    -----
    No gene stops the others, and every gene has a row with a status. A coefficient without a finite maximum (no count
    in one arm) is infinite, and its test is a likelihood ratio. Estimates are natural logarithms of the mean.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.nbmm.fit(small_study(), "~ condition + donor + (1 | sample)")
    >>> table = fit.contrast("condition", "stim", "ctrl")
    >>> table.loc[:1, ["gene", "status"]]
        gene                     status
    0  gene1  poisson+no_donor_variance
    1  gene2                         ok
    """
    if isinstance(data, Sums):
        given = (formula, random, groups, offset, layer, mask_var, nodes)
        if use_raw or any(option is not None for option in given):
            message = "formula, groups, offset and matrix are those of the sums"
            raise BadInputError(message, place="data", hint="give only the sums, or the AnnData")
        made = data
    else:
        if formula is None:
            message = "there is no formula"
            raise BadInputError(message, place="formula", hint="such as ~ condition + (1 | donor)")
        made = sums(
            data,
            formula,
            random=random,
            groups=groups,
            offset=offset,
            layer=layer,
            use_raw=use_raw,
            mask_var=mask_var,
            path=path,
            nodes=nodes,
            na=na,
            aliased=aliased,
            n_threads=n_threads,
            max_memory=max_memory,
            progress=progress,
        )
    how = HowFitted(re, family, method, bool(moderate), at_least(min_count), None if quad is None else int(quad))
    return Fit(_core.nbmm_fit(made._core, how, means(n_threads, max_memory, progress=progress)))
