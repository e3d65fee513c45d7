"""From cells or sums to a fit."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import _core
from .._run import means
from ..errors import BadInputError, UnsupportedError
from ._result import Fit, Study
from ._sums import Sums, matrix_name, sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

__all__ = ["fit"]


@dataclass
class HowFitted:
    """How models are fitted, as the compiled module reads it."""

    method: str
    negative: str
    moderate: bool
    min_cells: int


def at_least(min_cells: int) -> int:
    """A number of cells that may be asked for."""
    try:
        number = operator.index(min_cells)
    except TypeError:
        number = -1
    if number < 0:
        message = f"expected a whole number that is not negative, found {min_cells!r}"
        raise BadInputError(message, place="min_cells")
    return number


def fit(
    data: ad.AnnData | str | os.PathLike[str] | Sums,
    formula: str | None = None,
    *,
    random: str | Sequence[str] | None = None,
    groups: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    mask_var: str | Sequence[bool] | None = None,
    transform: str = "log1p",
    target_sum: float | None = None,
    na: str = "refuse",
    aliased: str = "refuse",
    method: str = "REML",
    negative: str = "allow",
    moderate: bool = True,
    min_cells: int = 0,
    weights: object = None,
    trust_values: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Fit:
    """Fit a linear mixed model to every gene, in every group.

    Parameters
    ----------
    data
        AnnData (in memory, a view, backed, read lazily) or the path of an .h5ad file: cells x genes, counts. Or
        :class:`Sums`, which already know formula, groups and transform.
    formula
        Fixed and random effects, R's way: ``"~ log(libsize) + donor + condition + (1 | sample)"``. The random term is
        the unit that was treated: the sample, also where donors pair the arms (then the donor is a fixed effect).
        `libsize` is the column of obs of that name, else the cell's total over all genes of the matrix.
    random
        Random effects apart from the formula: ``"(1 | sample)"``, ``"~ 0 + sample"``, or a list of these.
    groups
        A column of obs, such as the cell type: each level has its own model and variances, all from one pass.
    layer
        The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
    use_raw
        Whether to take the matrix of ``raw``; the same as ``layer="raw"``.
    mask_var
        Only these genes are modelled: a column of var with truth values, or one truth value per gene. Totals of cells
        still count all genes, so that a mask is better than a filtered AnnData.
    transform
        What is done to a count: ``"log1p"`` is ln(1 + count), ``"log2p1"`` is log2(1 + count), ``"lognorm"`` is
        ln(1 + count x `target_sum` / total of the cell), ``"none"``.
    target_sum
        The total to which ``"lognorm"`` scales; by default 10,000.
    na
        What to do with cells that lack a value which the model needs: ``"refuse"`` counts them in an error,
        ``"drop"`` leaves them out and says so.
    aliased
        What to do with fixed effects that depend on others: ``"refuse"`` names them in an error, ``"drop"`` leaves
        them out and says so.
    method
        ``"REML"`` or ``"ML"``. Changes the answer.
    negative
        Whether variance components may be below zero: ``"allow"`` (tests hold their level) or ``"zero"`` (lme4's
        singular fits). Changes the answer.
    moderate
        Whether tests share knowledge of the variance components over genes, where one component serves 20 genes or
        more. Changes p-values, not the model.
    min_cells
        Genes with a count in fewer cells (of a group) than this are not fitted there: their status is ``few_cells``,
        and they count neither in the adjustment of p-values nor in moderation.
    weights
        There are none: cells weigh the same, and anything else is refused with what to do instead.
    trust_values
        Whether values that are not whole numbers may be transformed as if they were counts.
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
        Missing values, dependent columns, values that are no counts: with names, numbers and the way out.
    MissingKeyError
        A column or layer that does not exist.
    TooLargeError
        The sums do not fit `max_memory`.
    KeyboardInterrupt
        Ctrl-C stops the work within a second.

    Notes
    -----
    A gene that cannot be fitted is a row with a status and a reason; it stops no other. Estimates are differences of
    ln(1 + count) (the unit of the transform), not log2 fold changes. Tests between samples hold their level because
    their degrees of freedom are those of the samples, not of the cells.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> adata = small_study()
    >>> fit = fe.lmm.fit(adata, "~ log(libsize) + donor + condition + (1 | sample)")
    >>> table = fit.contrast("condition", "stim", "ctrl")
    >>> table.loc[:3, ["gene", "estimate", "se", "adj_p_value", "status"]].round(3)
        gene  estimate     se  adj_p_value status
    0  gene1     0.909  0.107        0.000     ok
    1  gene2     0.690  0.112        0.000     ok
    2  gene3    -0.256  0.081        0.025     ok
    3  gene36   -0.221  0.108        0.458     ok
    """
    if weights is not None:
        message = "cells have no weights here"
        hint = (
            "cells of low quality: leave them out or give their quality as a covariate; samples that differ in size: "
            "the random term weighs them already"
        )
        raise UnsupportedError(message, place="weights", hint=hint)
    if isinstance(data, Sums):
        decided = (formula, random, groups, layer, mask_var)
        if use_raw or any(option is not None for option in decided):
            message = "formula, random, groups, layer and mask_var are those of the sums"
            raise BadInputError(message, place="data", hint="give only the sums, or the AnnData")
        made, study = data, None
    else:
        if formula is None:
            message = "there is no formula"
            raise BadInputError(message, place="formula", hint="such as ~ condition + (1 | sample)")
        layer = matrix_name(layer, use_raw=use_raw)
        study = Study(data, layer)
        made = sums(
            data,
            formula,
            random=random,
            groups=groups,
            layer=layer,
            mask_var=mask_var,
            transform=transform,
            target_sum=target_sum,
            na=na,
            aliased=aliased,
            trust_values=trust_values,
            n_threads=n_threads,
            max_memory=max_memory,
            progress=progress,
        )
    resources = means(n_threads, max_memory, progress=progress)
    return Fit(
        _core.lmm_fit(made._core, HowFitted(method, negative, bool(moderate), at_least(min_cells)), resources), study
    )
