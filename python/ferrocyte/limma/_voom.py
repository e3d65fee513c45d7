"""Log-counts with precision weights: ``voom``, its kin for values that are no counts, and fits in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._containers import DGEList, EList, MArrayLM
from ._fit import blocks_of
from ._inputs import counted, design_frame, design_of, expressed, grid, labels, vector, weights_of

if TYPE_CHECKING:
    from ._inputs import CoreDesign, Held

__all__ = [
    "voom",
    "voom_duplicate_correlation",
    "voom_lm_fit",
    "voom_with_quality_weights",
    "vooma",
    "vooma_by_group",
    "vooma_lm_fit",
]


def voom(
    counts: Any,
    design: Any = None,
    *,
    lib_size: Any = None,
    offset: Any = None,
    offset_prior: Any = None,
    normalize_method: str = "none",
    block: Any = None,
    correlation: float | None = None,
    weights: Any = None,
    span: float = 0.5,
    adaptive_span: bool = True,
    save_plot: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> EList:
    """Log2 counts per million with weights from the trend of their variance.

    Parameters
    ----------
    counts
        Counts of genes × samples (data frame or array), a ``DGEList``, or an AnnData.
    design
        Design matrix, samples × coefficients; by default the groups of a ``DGEList``, else one mean.
    lib_size
        Library size of each sample, normalisation factors included; by default the total counts, or those of the
        ``DGEList``.
    offset, offset_prior
        Offsets of genes × samples on the natural logarithmic scale. What an offset differs from the mean of its gene
        scales the library for that gene; `offset_prior` has mean zero already.
    normalize_method
        How log-values are normalised between samples: ``"none"``, ``"scale"``, ``"quantile"`` or ``"cyclicloess"``.
    block, correlation
        The block of each sample, and the correlation within.
    weights
        Weights of samples or values in the fit that the trend is learnt from.
    span, adaptive_span
        Share of the genes that the curve sees at a place, or whether it depends on their number.
    save_plot
        Whether the points and the line of the trend are kept (``voom_xy``, ``voom_line``).
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    EList
        ``E``, ``weights`` (genes × samples), ``design``, ``lib_size``, ``span``.
    """
    held, model = _counts_and_design(counts, design, layer)
    out = _core.limma_voom(
        held.core(),
        model,
        _sizes(held, lib_size),
        _offset(offset, offset_prior),
        _normalization(normalize_method),
        _blocks(block, correlation, held),
        weights_of(weights, *held.values.shape),
        None if adaptive_span else float(span),
        None,
        means(n_threads, progress=progress),
    )
    values = _elist(out, held, model, save_plot=save_plot)
    if block is not None:
        values.block, values.correlation = np.asarray(block), correlation
    return values


def voom_with_quality_weights(
    counts: Any,
    design: Any = None,
    *,
    lib_size: Any = None,
    offset: Any = None,
    offset_prior: Any = None,
    normalize_method: str = "none",
    block: Any = None,
    correlation: float | None = None,
    span: float = 0.5,
    adaptive_span: bool = True,
    var_design: Any = None,
    var_group: Any = None,
    prior_n: float = 10.0,
    method: str = "genebygene",
    maxiter: int = 50,
    tol: float = 1e-5,
    save_plot: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> EList:
    """:func:`voom` with weights of samples, learnt in two rounds.

    Parameters
    ----------
    counts, design, lib_size, offset, offset_prior, normalize_method, block, correlation, span, adaptive_span, save_plot
        As in :func:`voom`.
    var_design, var_group
        What variances of samples depend on: a design, or groups; by default each sample has its own.
    prior_n
        Genes without differences between samples that the data are pooled with.
    method, maxiter, tol
        How weights of samples are estimated (:func:`array_weights`).
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    EList
        As from :func:`voom`, with ``sample_weights``; ``weights`` are times these.
    """
    held, model = _counts_and_design(counts, design, layer)
    out = _core.limma_voom(
        held.core(),
        model,
        _sizes(held, lib_size),
        _offset(offset, offset_prior),
        _normalization(normalize_method),
        _blocks(block, correlation, held),
        None,
        None if adaptive_span else float(span),
        (_variances(var_design, var_group, held), (method, float(prior_n), int(maxiter), float(tol))),
        means(n_threads, progress=progress),
    )
    values = _elist(out, held, model, save_plot=save_plot)
    values.sample_weights = out["sample_weights"]
    return values


def voom_duplicate_correlation(
    counts: Any,
    design: Any = None,
    *,
    block: Any,
    lib_size: Any = None,
    normalize_method: str = "none",
    span: float = 0.5,
    adaptive_span: bool = True,
    save_plot: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> EList:
    """:func:`voom` and the correlation within blocks, learnt in two rounds.

    The usual sequence in one call: ``voom``, ``duplicate_correlation``, ``voom`` with that correlation,
    ``duplicate_correlation`` again. Arguments are those of :func:`voom`.

    Returns
    -------
    EList
        As from :func:`voom`, with ``block`` and ``correlation``, which :func:`lm_fit` wants.
    """
    held, model = _counts_and_design(counts, design, layer)
    out = _core.limma_voom(
        held.core(),
        model,
        _sizes(held, lib_size),
        None,
        _normalization(normalize_method),
        (blocks_of(block, held.values.shape[1]), None),
        None,
        None if adaptive_span else float(span),
        None,
        means(n_threads, progress=progress),
        learn_correlation=True,
    )
    values = _elist(out, held, model, save_plot=save_plot)
    values.block, values.correlation = np.asarray(block), out["correlation"]
    return values


def voom_lm_fit(
    counts: Any,
    design: Any = None,
    *,
    block: Any = None,
    prior_weights: Any = None,
    sample_weights: bool = False,
    var_design: Any = None,
    var_group: Any = None,
    prior_n: float = 10.0,
    lib_size: Any = None,
    span: float = 0.5,
    adaptive_span: bool = True,
    keep_values: bool = True,
    keep_covariances: bool = True,
    save_plot: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> MArrayLM:
    """Voom and the weighted fit in one call, exact about counts that can only be zero: edgeR's recommended route.

    Where all samples of a group lack a gene, the zeros add degrees of freedom to its variance but no residual; here
    they do not. With blocks or weights of samples, these and the trend are learnt in two rounds.

    Parameters
    ----------
    counts, design, lib_size, span, adaptive_span, save_plot
        As in :func:`voom`.
    block
        The block of each sample: the correlation within is estimated.
    prior_weights
        Weights that those of the trend are multiplied by.
    sample_weights
        Whether weights of samples are estimated; `var_design` or `var_group` imply it.
    var_design, var_group, prior_n
        As in :func:`voom_with_quality_weights`.
    keep_values
        Whether log-values and weights are kept (``E``, ``weights``). Without them a fit of thousands of samples needs
        little memory.
    keep_covariances
        Whether the covariances of each gene are kept, for ``contrasts_fit(.., exact=True)``.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    MArrayLM
        As from :func:`lm_fit`, with ``span``, ``lib_size``, and ``sample_weights`` and ``correlation`` where they were
        estimated.
    """
    held, model = _counts_and_design(counts, design, layer)
    out = _core.limma_voom_lm_fit(
        held.core(),
        model,
        _sizes(held, lib_size),
        weights_of(prior_weights, *held.values.shape),
        _refining(block, sample_weights, var_design, var_group, prior_n, held),
        None if adaptive_span else float(span),
        (keep_values, keep_covariances),
        means(n_threads, progress=progress),
    )
    return _fit(out, held, model, block, save_plot=save_plot)


def vooma(
    y: Any,
    design: Any = None,
    *,
    block: Any = None,
    correlation: float | None = None,
    predictor: Any = None,
    span: float | None = None,
    legacy_span: bool = False,
    check_counts: bool = True,
    save_plot: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> EList:
    """Weights from the trend of the variance for log-values that are no counts.

    Parameters
    ----------
    y
        Log-values of genes × samples (data frame or array), an ``EList``, or an AnnData.
    design
        Design matrix, samples × coefficients; by default that of `y`, else one mean.
    block, correlation
        The block of each sample, and the correlation within.
    predictor
        What tells the precision of values beside their mean, such as a number of peptides: one per gene, or genes ×
        samples.
    span
        Share of the genes that the curve sees at a place; by default it depends on their number.
    legacy_span
        Whether it depends on their number as before limma 3.66.
    check_counts
        Whether values that look like counts are refused: these are for :func:`voom`.
    save_plot
        Whether the points and the line of the trend are kept (``voom_xy``, ``voom_line``).
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    EList
        ``E``, ``weights`` (genes × samples), ``design``, ``span``.
    """
    held = expressed(y, layer)
    model = design_of(design, held)
    out = _core.limma_vooma(
        held.core(),
        model,
        None,
        _blocks(block, correlation, held),
        _predicting(predictor, held),
        (span, legacy_span, check_counts),
        means(n_threads, progress=progress),
    )
    values = _elist({**out, "E": held.values}, held, model, save_plot=save_plot)
    if block is not None:
        values.block, values.correlation = np.asarray(block), correlation
    return values


def vooma_by_group(
    y: Any,
    group: Any,
    design: Any = None,
    *,
    block: Any = None,
    correlation: float | None = None,
    predictor: Any = None,
    span: float | None = None,
    legacy_span: bool = False,
    check_counts: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> EList:
    """:func:`vooma` with a trend for each group of samples; a group of one takes the trend of all.

    Returns
    -------
    EList
        As from :func:`vooma`, with ``trends``, one per group in the order of ``groups``.
    """
    held = expressed(y, layer)
    n = held.values.shape[1]
    codes, levels = labels(group, n, "group")
    if (codes < 0).any():
        message = f"sample {int(np.flatnonzero(codes < 0)[0]) + 1} has no group"
        raise BadInputError(message, place="group")
    # Groups that no sample has would be empty.
    seen, numbers = np.unique(codes, return_inverse=True)
    if design is None and held.design is None and len(seen) > 1:
        import pandas as pd

        indicators = (numbers[:, None] == np.arange(len(seen))).astype(float)
        design = pd.DataFrame(indicators, index=held.samples.index, columns=[levels[k] for k in seen])
    model = design_of(design, held)
    out = _core.limma_vooma(
        held.core(),
        model,
        [int(k) for k in numbers],
        _blocks(block, correlation, held),
        _predicting(predictor, held),
        (span, legacy_span, check_counts),
        means(n_threads, progress=progress),
    )
    values = EList(
        E=held.values,
        weights=out["weights"],
        design=design_frame(model, held),
        genes=held.genes,
        samples=held.samples,
        groups=[levels[k] for k in seen],
        trends=out["trends"],
    )
    if block is not None:
        values.block, values.correlation = np.asarray(block), correlation
    return values


def vooma_lm_fit(
    y: Any,
    design: Any = None,
    *,
    prior_weights: Any = None,
    block: Any = None,
    sample_weights: bool = False,
    var_design: Any = None,
    var_group: Any = None,
    prior_n: float = 10.0,
    predictor: Any = None,
    span: float | None = None,
    legacy_span: bool = False,
    check_counts: bool = True,
    keep_covariances: bool = True,
    save_plot: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> MArrayLM:
    """:func:`vooma` and the weighted fit in one call, with weights of samples and blocks as :func:`voom_lm_fit`.

    Arguments are those of these two.
    """
    held = expressed(y, layer)
    model = design_of(design, held)
    out = _core.limma_vooma_lm_fit(
        held.core(),
        model,
        weights_of(prior_weights, *held.values.shape),
        _refining(block, sample_weights, var_design, var_group, prior_n, held),
        _predicting(predictor, held),
        (span, legacy_span, check_counts),
        keep_covariances,
        means(n_threads, progress=progress),
    )
    return _fit(out, held, model, block, save_plot=save_plot)


def _counts_and_design(counts: Any, design: Any, layer: str | None) -> tuple[Held, CoreDesign]:
    held = counted(counts, layer)
    if design is None and isinstance(counts, DGEList) and "group" in counts.samples:
        from ._design import model_matrix

        if counts.samples["group"].nunique() > 1:
            design = model_matrix("~ group", counts.samples.assign(group=counts.samples["group"].astype("category")))
    return held, design_of(design, held)


def _sizes(held: Held, lib_size: Any) -> Any:
    return held.lib_size if lib_size is None else vector(lib_size, held.values.shape[1], "lib_size")


def _offset(offset: Any, offset_prior: Any) -> tuple[Any, bool] | None:
    if offset_prior is not None:
        return grid(offset_prior, "offset_prior"), True
    return None if offset is None else (grid(offset, "offset"), False)


def _normalization(method: str) -> tuple[Any, ...] | None:
    return None if method == "none" else (method, True, "fast", 0.7, False, 3)


def _blocks(block: Any, correlation: float | None, held: Held) -> tuple[list[int] | None, float | None]:
    if block is None:
        return None, None if correlation is None else float(correlation)
    return blocks_of(block, held.values.shape[1]), None if correlation is None else float(correlation)


def _variances(var_design: Any, var_group: Any, held: Held) -> tuple[list[int] | None, Any]:
    if var_group is not None:
        codes, _ = labels(var_group, held.values.shape[1], "var_group")
        if (codes < 0).any():
            message = f"sample {int(np.flatnonzero(codes < 0)[0]) + 1} has no group"
            raise BadInputError(message, place="var_group")
        _, numbers = np.unique(codes, return_inverse=True)
        return [int(k) for k in numbers], None
    return None, None if var_design is None else grid(var_design, "var_design")


def _refining(
    block: Any, sample_weights: Any, var_design: Any, var_group: Any, prior_n: float, held: Held
) -> tuple[Any, ...]:
    wanted = bool(sample_weights) or var_design is not None or var_group is not None
    blocks = None if block is None else blocks_of(block, held.values.shape[1])
    return blocks, wanted, _variances(var_design, var_group, held), float(prior_n)


def _predicting(predictor: Any, held: Held) -> tuple[Any, Any]:
    if predictor is None:
        return None, None
    values = np.asarray(predictor, dtype=np.float64)
    if values.ndim == 2 and 1 not in values.shape:
        return None, grid(values, "predictor")
    return vector(values, held.values.shape[0], "predictor", "gene"), None


def _trend(out: dict[str, Any], target: Any, *, save_plot: bool) -> None:
    target.span = out["span"]
    if save_plot:
        for name, pair in (("voom_xy", out["trend_points"]), ("voom_line", out["trend_line"])):
            setattr(target, name, {"x": pair[0], "y": pair[1]})


def _elist(out: dict[str, Any], held: Held, model: CoreDesign, *, save_plot: bool) -> EList:
    values = EList(
        E=out["E"],
        weights=out["weights"],
        design=design_frame(model, held),
        lib_size=out.get("lib_size"),
        genes=held.genes,
        samples=held.samples,
    )
    _trend(out, values, save_plot=save_plot)
    return values


def _fit(out: dict[str, Any], held: Held, model: CoreDesign, block: Any, *, save_plot: bool) -> MArrayLM:
    beside = {"span", "trend_points", "trend_line"}
    fields = {name: value for name, value in out.items() if name not in beside}
    fit = MArrayLM(**fields, design=design_frame(model, held), genes=held.genes, samples=held.samples, method="ls")
    _trend(out, fit, save_plot=save_plot)
    if block is not None:
        fit["block"] = np.asarray(block)
    return fit
