"""pylimma's verbs: its names and argument names, its dictionaries, and its way of writing into an AnnData.

``import pylimma`` becomes ``from ferrocyte.compat import pylimma``; the rest of a script stays. The numbers are those
of :mod:`ferrocyte.limma`, hence R's, and differ from pylimma 0.2.0 where that differs from R:

* ``duplicate_correlation`` goes on for as many steps as R's; genes that do not converge differ by up to 0.05.
* curves (``voom``, ``loess_fit``, trends by maximum likelihood) are R's to the last digits, ties included.
* ``cov_coefficients`` holds only coefficients that can be estimated, in the order of ``pivot``.
* ``zscore_t`` is finite in the far tails; ``e_bayes(trend=True)`` needs no matrix of genes × genes.
* ``top_table_f(coef_idx=)`` tests the chosen coefficients, not all.
* formulas are R's; coefficients of an AnnData's formula have patsy's names, as scripts expect.

It also refuses what pylimma lets through: counts in ``lm_fit`` (``check_counts=False`` overrides), designs whose rows
are named in another order, samples without counts. An AnnData with ``voom_E`` is fitted on that layer, not on the
counts in X. Names of genes of a data frame are kept by ``voom``. What is not named here is :mod:`ferrocyte.limma`'s.
"""
# ruff: noqa: FBT001, FBT002 -- positions of arguments are those that scripts rely on

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import limma
from ..limma import (
    aver_arrays,
    choose_lowess_span,
    convest,
    fit_f_dist,
    fit_f_dist_unequal_df1,
    fit_gamma_intercept,
    is_fullrank,
    prop_true_null,
    squeeze_var,
    zscore_t,
)
from ._pylimma_forms import (
    EList,
    MArrayLM,
    counts_of,
    fields_of,
    fit_out,
    is_anndata,
    named_design,
    native_fit,
    put_fit,
    put_layer,
    values_of,
    values_out,
)
from ._pylimma_names import patsy_names
from ._pylimma_tables import classify_tests_f, decide_tests, top_table, top_table_f, top_treat, venn_counts

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = [
    "EList",
    "MArrayLM",
    "array_weights",
    "array_weights_quick",
    "ave_dups",
    "aver_arrays",
    "avereps",
    "choose_lowess_span",
    "classify_tests_f",
    "contrast_as_coef",
    "contrasts_fit",
    "convest",
    "decide_tests",
    "duplicate_correlation",
    "e_bayes",
    "fit_f_dist",
    "fit_f_dist_robustly",
    "fit_f_dist_unequal_df1",
    "fit_gamma_intercept",
    "genas",
    "get_fit",
    "gls_series",
    "is_fullrank",
    "lm_fit",
    "lm_series",
    "loess_fit",
    "make_contrasts",
    "model_matrix",
    "mrlm",
    "non_estimable",
    "normalize_between_arrays",
    "normalize_cyclic_loess",
    "normalize_median_values",
    "normalize_quantiles",
    "pred_fcm",
    "prop_true_null",
    "remove_batch_effect",
    "squeeze_var",
    "top_table",
    "top_table_f",
    "top_treat",
    "treat",
    "trigamma_inverse",
    "venn_counts",
    "voom",
    "voom_with_quality_weights",
    "vooma",
    "vooma_by_group",
    "vooma_lm_fit",
    "weighted_lowess",
    "wsva",
    "zscore_t",
]


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and hasattr(limma, name):
        return getattr(limma, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


# ---- designs and contrasts


def model_matrix(formula: str, data: pd.DataFrame) -> Array:
    """Design matrix of a formula as a plain array; :func:`ferrocyte.limma.model_matrix` gives names too."""
    return limma.model_matrix(formula, data).to_numpy()


def make_contrasts(*expressions: str, contrasts: Any = None, levels: Any, **named: str) -> pd.DataFrame:
    """Contrast matrix of expressions, ``make_contrasts("B-A", mean="(A+B)/2", levels=["A", "B"])``."""
    given = {text: text for text in expressions}
    if contrasts is not None:
        given |= contrasts if isinstance(contrasts, dict) else {text: text for text in contrasts}
    return limma.make_contrasts(contrasts={**given, **named}, levels=levels)


def contrast_as_coef(design: Any, contrast: Any = None, first: bool = True) -> dict[str, Any]:
    """Rotate a design so that contrasts become coefficients: ``design`` and ``coef`` (their positions)."""
    rotated, positions = limma.contrast_as_coef(design, contrast, first=first)
    return {"design": rotated, "coef": positions}


def non_estimable(x: Any, coef_names: list[str] | None = None) -> list[str] | None:
    """Names of columns that depend on others, counted from 1 where they have none; ``None`` if there are none."""
    import pandas as pd

    if not isinstance(x, pd.DataFrame):
        matrix = np.asarray(x, dtype=np.float64)
        x = pd.DataFrame(matrix, columns=coef_names or [str(k + 1) for k in range(matrix.shape[1])])
    return limma.non_estimable(x) or None


# ---- fits


def lm_fit(
    data: Any,
    design: Any = None,
    ndups: int | None = None,
    spacing: int | None = None,
    block: Any = None,
    correlation: float | None = None,
    weights: Any = None,
    method: str = "ls",
    key: str = "pylimma",
    layer: str | None = None,
    weights_layer: str | None = None,
    **options: Any,
) -> MArrayLM | None:
    """Fit a linear model to every gene (:func:`ferrocyte.limma.lm_fit`).

    Parameters
    ----------
    data
        Log-values of genes × samples: array, data frame, dictionary with ``E``; or an AnnData, whose fit goes into
        ``uns[key]`` and which returns nothing.
    design
        Samples × coefficients; of an AnnData also a formula over obs.
    ndups, spacing, block, correlation, weights, method
        As in :func:`ferrocyte.limma.lm_fit`.
    key
        Where in ``uns``.
    layer, weights_layer
        Layers of an AnnData with values and weights; ``NAME_E`` brings ``NAME_weights``, and ``voom_E`` is the default
        where it exists.
    **options
        Of :func:`ferrocyte.limma.lm_fit`: ``check_counts``, ``n_threads``.
    """
    if weights is None and weights_layer is not None:
        weights = np.asarray(data.layers[weights_layer]).T
    fit = limma.lm_fit(
        values_of(data),
        _design(data, design, layer),
        ndups=1 if ndups is None else ndups,
        spacing=1 if spacing is None else spacing,
        block=block,
        correlation=correlation,
        weights=weights,
        method=method,
        layer=layer,
        **options,
    )
    return put_fit(data, key, fit)


def lm_series(M: Any, design: Any, weights: Any = None) -> dict[str, Any]:
    """Least squares of every gene; :func:`lm_fit` without annotation."""
    return _series(limma.lm_fit(np.asarray(M), named_design(design), weights=weights))


def gls_series(
    M: Any,
    design: Any = None,
    ndups: int = 2,
    spacing: int = 1,
    block: Any = None,
    correlation: float | None = None,
    weights: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Generalised least squares of every gene, with correlated blocks or duplicates."""
    values = np.asarray(M)
    if block is not None:
        ndups = spacing = 1
    if correlation is None:
        found = limma.duplicate_correlation(
            values, _named(design), ndups=ndups, spacing=spacing, block=block, weights=weights
        )
        correlation = found.consensus_correlation
    fit = limma.lm_fit(
        values,
        _named(design),
        ndups=ndups,
        spacing=spacing,
        block=block,
        correlation=correlation,
        weights=weights,
        **options,
    )
    return {
        **_series(fit),
        "ndups": ndups,
        "spacing": spacing,
        "block": None if block is None else np.asarray(block),
        "correlation": correlation,
    }


def mrlm(M: Any, design: Any = None, ndups: int = 1, spacing: int = 1, weights: Any = None) -> dict[str, Any]:
    """Robust regression of every gene (Huber, k = 1.345, at most 20 steps)."""
    fit = limma.lm_fit(
        np.asarray(M), _named(design), ndups=ndups, spacing=spacing, weights=weights, method="robust", correlation=None
    )
    return _series(fit)


def contrasts_fit(data: Any, contrasts: Any = None, coefficients: Any = None, key: str = "pylimma") -> MArrayLM | None:
    """Contrasts of a fit, or of the one in ``uns[key]``, which they replace (:func:`ferrocyte.limma.contrasts_fit`)."""
    import pandas as pd

    fields = fields_of(data, key)
    fit = native_fit(fields)
    if contrasts is not None:
        if isinstance(contrasts, pd.DataFrame):
            # Rows named by levels say nothing about coefficients without names.
            frame = contrasts if fields.get("coef_names") is not None else contrasts.reset_index(drop=True)
        else:
            weights = np.asarray(contrasts, dtype=np.float64)
            weights = weights[:, None] if weights.ndim == 1 else weights
            frame = pd.DataFrame(weights, columns=[f"contrast{k}" for k in range(weights.shape[1])])
        contrasts = frame
    return put_fit(data, key, limma.contrasts_fit(fit, contrasts, coefficients=coefficients))


def e_bayes(
    data: Any,
    proportion: float = 0.01,
    stdev_coef_lim: tuple[float, float] = (0.1, 4.0),
    trend: Any = False,
    span: float | None = None,
    robust: bool = False,
    winsor_tail_p: tuple[float, float] = (0.05, 0.1),
    legacy: bool | None = None,
    key: str = "pylimma",
) -> MArrayLM | None:
    """Moderated statistics of a fit, or of the one in ``uns[key]`` (:func:`ferrocyte.limma.e_bayes`)."""
    fit = limma.e_bayes(
        native_fit(fields_of(data, key)),
        proportion=proportion,
        stdev_coef_lim=stdev_coef_lim,
        trend=trend,
        span=span,
        robust=robust,
        winsor_tail_p=winsor_tail_p,
        legacy=legacy,
    )
    return put_fit(data, key, fit)


def treat(
    data: Any,
    fc: float = 1.2,
    lfc: float | None = None,
    trend: Any = False,
    robust: bool = False,
    winsor_tail_p: tuple[float, float] = (0.05, 0.1),
    legacy: bool | None = None,
    upshot: bool = False,
    *,
    span: float | None = None,
    key: str = "pylimma",
) -> MArrayLM | None:
    """Tests against a threshold, of a fit or of the one in ``uns[key]`` (:func:`ferrocyte.limma.treat`)."""
    fit = limma.treat(
        native_fit(fields_of(data, key)),
        fc=fc,
        lfc=lfc,
        trend=trend,
        robust=robust,
        winsor_tail_p=winsor_tail_p,
        legacy=legacy,
        upshot=upshot,
        span=span,
    )
    return put_fit(data, key, fit)


def get_fit(adata: Any, key: str = "pylimma") -> MArrayLM:
    """The fit that an AnnData holds in ``uns[key]``."""
    return MArrayLM(fields_of(adata, key))


# ---- voom and its kin


def voom(
    counts: Any,
    design: Any = None,
    lib_size: Any = None,
    offset: Any = None,
    offset_prior: Any = None,
    normalize_method: str = "none",
    block: Any = None,
    correlation: float | None = None,
    weights: Any = None,
    span: float = 0.5,
    adaptive_span: bool = True,
    plot: bool = False,
    save_plot: bool = False,
    *,
    out_layer: str = "voom_E",
    weights_layer: str = "voom_weights",
    key: str = "voom",
    layer: str | None = None,
) -> dict[str, Any] | None:
    """Log2 counts per million with precision weights (:func:`ferrocyte.limma.voom`).

    Of an AnnData they become ``layers[out_layer]`` and ``layers[weights_layer]``, the rest ``uns[key]``; nothing is
    returned. Else a dictionary with ``E``, ``weights``, ``design``, ``lib_size``, ``span``. `plot` draws nothing: see
    :func:`ferrocyte.limma.voom_points`.
    """
    del plot
    values = limma.voom(
        counts_of(counts),
        _design(counts, design, layer),
        lib_size=lib_size,
        offset=offset,
        offset_prior=offset_prior,
        normalize_method=normalize_method,
        block=block,
        correlation=correlation,
        weights=weights,
        span=span,
        adaptive_span=adaptive_span,
        save_plot=save_plot,
        layer=layer,
    )
    return _put_values(counts, values, out_layer, weights_layer, key)


def voom_with_quality_weights(
    counts: Any,
    design: Any = None,
    lib_size: Any = None,
    normalize_method: str = "none",
    plot: bool = False,
    span: float = 0.5,
    adaptive_span: bool = True,
    var_design: Any = None,
    var_group: Any = None,
    method: str = "genebygene",
    maxiter: int = 50,
    tol: float = 1e-5,
    trace: bool = False,
    col: Any = None,
    *,
    out_layer: str = "voom_E",
    weights_layer: str = "voom_weights",
    key: str = "voom",
    layer: str | None = None,
    **options: Any,
) -> dict[str, Any] | None:
    """:func:`voom` with weights of samples, which are returned as ``sample_weights``; `plot`, `col` draw nothing."""
    del plot, trace, col
    values = limma.voom_with_quality_weights(
        counts_of(counts),
        _design(counts, design, layer),
        lib_size=lib_size,
        normalize_method=normalize_method,
        span=span,
        adaptive_span=adaptive_span,
        var_design=var_design,
        var_group=var_group,
        method=method,
        maxiter=maxiter,
        tol=tol,
        layer=layer,
        **{"save_plot": False, **options},
    )
    return _put_values(counts, values, out_layer, weights_layer, key)


def vooma(
    y: Any,
    design: Any = None,
    block: Any = None,
    correlation: float | None = None,
    predictor: Any = None,
    span: float | None = None,
    legacy_span: bool = False,
    plot: bool = False,
    save_plot: bool = False,
    *,
    out_layer: str = "vooma_E",
    weights_layer: str = "vooma_weights",
    key: str = "vooma",
    layer: str | None = None,
    **options: Any,
) -> dict[str, Any] | None:
    """Precision weights of log-values that are no counts (:func:`ferrocyte.limma.vooma`); stored as by :func:`voom`."""
    del plot
    values = limma.vooma(
        values_of(y),
        _design(y, design, layer),
        block=block,
        correlation=correlation,
        predictor=predictor,
        span=span,
        legacy_span=legacy_span,
        save_plot=save_plot,
        layer=layer,
        **options,
    )
    return _put_values(y, values, out_layer, weights_layer, key)


def vooma_by_group(
    y: Any,
    group: Any,
    design: Any = None,
    block: Any = None,
    correlation: float | None = None,
    span: float | None = None,
    legacy_span: bool = False,
    plot: bool = False,
    *,
    out_layer: str = "vooma_E",
    weights_layer: str = "vooma_weights",
    uns_key: str = "vooma",
    layer: str | None = None,
    **options: Any,
) -> dict[str, Any] | None:
    """:func:`vooma` with a trend for each group of samples."""
    del plot
    values = limma.vooma_by_group(
        values_of(y),
        group,
        _design(y, design, layer),
        block=block,
        correlation=correlation,
        span=span,
        legacy_span=legacy_span,
        layer=layer,
        **options,
    )
    out = _put_values(y, values, out_layer, weights_layer, uns_key)
    (y.uns[uns_key] if out is None else out)["group"] = np.asarray(group)
    return out


def vooma_lm_fit(
    y: Any,
    design: Any = None,
    prior_weights: Any = None,
    block: Any = None,
    sample_weights: bool = False,
    var_design: Any = None,
    var_group: Any = None,
    prior_n: float = 10,
    predictor: Any = None,
    span: float | None = None,
    legacy_span: bool = False,
    plot: bool = False,
    save_plot: bool = False,
    keep_elist: bool = True,
    *,
    key: str = "pylimma",
    voom_key: str = "vooma",
    weights_layer: str = "vooma_weights",
    layer: str | None = None,
    **options: Any,
) -> MArrayLM | None:
    """:func:`vooma` and the weighted fit in one call; with `keep_elist` also values and weights."""
    del plot, save_plot
    values = values_of(y)
    fit = limma.vooma_lm_fit(
        values,
        _design(y, design, layer),
        prior_weights=prior_weights,
        block=block,
        sample_weights=sample_weights,
        var_design=var_design,
        var_group=var_group,
        prior_n=prior_n,
        predictor=predictor,
        span=span,
        legacy_span=legacy_span,
        save_plot=False,
        layer=layer,
        **options,
    )
    out = put_fit(y, key, fit)
    weights = fit.get("weights")
    if out is None:
        y.uns[voom_key] = {"span": fit.span}
        if keep_elist and weights is not None:
            put_layer(y, weights_layer, weights)
        return None
    if keep_elist:
        held = values.E if isinstance(values, limma.EList) else np.asarray(values, dtype=np.float64)
        out["EList"] = {"E": held, "weights": weights}
    return out


# ---- samples


def array_weights(
    object: Any,
    design: Any = None,
    weights: Any = None,
    var_design: Any = None,
    var_group: Any = None,
    prior_n: float = 10,
    method: str = "auto",
    maxiter: int = 50,
    tol: float = 1e-5,
    trace: bool = False,
    *,
    layer: str | None = None,
    weights_layer: str | None = None,
) -> Array:
    """Weights of samples (:func:`ferrocyte.limma.array_weights`)."""
    del trace
    return limma.array_weights(
        values_of(object),
        _design(object, design, layer),
        weights=_layer_weights(object, weights, weights_layer),
        var_design=var_design,
        var_group=var_group,
        prior_n=prior_n,
        method=method,
        maxiter=maxiter,
        tol=tol,
        layer=layer,
    )


def array_weights_quick(y: Any, fit: dict[str, Any], *, layer: str | None = None) -> Array:
    """Weights of samples from the residuals of a fit."""
    return limma.array_weights_quick(values_of(y), native_fit(fit), layer=layer)


def duplicate_correlation(
    M: Any,
    design: Any = None,
    ndups: int = 2,
    spacing: int = 1,
    block: Any = None,
    trim: float = 0.15,
    weights: Any = None,
    *,
    layer: str | None = None,
    weights_layer: str | None = None,
) -> dict[str, Any]:
    """The correlation within blocks or between duplicates: ``consensus_correlation``, ``cor``, ``atanh_correlations``.

    R's numbers: pylimma 0.2.0 stops one step early, which changes genes that do not converge.
    """
    found = limma.duplicate_correlation(
        values_of(M),
        _design(M, design, layer),
        ndups=ndups,
        spacing=spacing,
        block=block,
        trim=trim,
        weights=_layer_weights(M, weights, weights_layer),
        layer=layer,
    )
    return {name: found[name] for name in ("consensus_correlation", "cor", "atanh_correlations")}


def remove_batch_effect(
    x: Any,
    batch: Any = None,
    batch2: Any = None,
    covariates: Any = None,
    design: Any = None,
    group: Any = None,
    *,
    out_layer: str = "batch_removed",
    uns_key: str = "remove_batch_effect",
    layer: str | None = None,
    **options: Any,
) -> Any:
    """Log-values without effects of batches; of an AnnData they become ``layers[out_layer]``."""
    del uns_key
    out = limma.remove_batch_effect(
        values_of(x), batch, batch2, covariates, _design(x, design, layer), group, layer=layer, **options
    )
    return _put_matrix(x, np.asarray(out), out_layer)


def normalize_between_arrays(
    object: Any,
    method: str | None = None,
    targets: Any = None,
    cyclic_method: str = "fast",
    *,
    out_layer: str = "normalized",
    uns_key: str = "normalize_between_arrays",
    layer: str | None = None,
    **options: Any,
) -> Any:
    """Make log-values alike between samples, by quantiles unless told; of an AnnData into ``layers[out_layer]``."""
    del targets, uns_key
    out = limma.normalize_between_arrays(
        values_of(object), method or "quantile", cyclic_method=cyclic_method, layer=layer, **options
    )
    return _put_matrix(object, out.E if isinstance(out, limma.EList) else np.asarray(out), out_layer)


def normalize_quantiles(A: Any, ties: bool = True) -> Array:
    """Give all samples the same distribution."""
    return np.asarray(limma.normalize_quantiles(A, ties=ties))


def normalize_median_values(x: Any) -> Array:
    """Divide each sample by its median over the geometric mean of all medians."""
    return np.asarray(limma.normalize_median_values(x))


def normalize_cyclic_loess(
    x: Any,
    weights: Any = None,
    span: float = 0.7,
    adaptive_span: bool = False,
    iterations: int = 3,
    method: str = "fast",
) -> Array:
    """Take away smooth curves of differences over means."""
    out = limma.normalize_cyclic_loess(
        x, weights, span=span, adaptive_span=adaptive_span, iterations=iterations, method=method
    )
    return np.asarray(out)


def wsva(y: Any, design: Any, n_sv: int = 1, weight_by_sd: bool = False, plot: bool = False, **options: Any) -> Array:
    """Hidden variables, samples × `n_sv`."""
    del plot
    layer = options.get("layer")
    return limma.wsva(values_of(y), _design(y, design, layer), n_sv=n_sv, weight_by_sd=weight_by_sd, **options)


def avereps(x: Any, ID: Any = None) -> Any:
    """Average rows with the same identifier (:func:`ferrocyte.limma.ave_reps`)."""
    if not isinstance(x, dict):
        return limma.ave_reps(x, ID)
    return EList(values_out(limma.ave_reps(values_of(x), ID), x))


def ave_dups(x: Any, ndups: int = 2, spacing: int = 1, weights: Any = None) -> Any:
    """Average the duplicates of each gene within samples."""
    return limma.ave_dups(x, ndups=ndups, spacing=spacing, weights=weights)


# ---- small items


def trigamma_inverse(x: Any) -> Any:
    """The `y` with ``trigamma(y) = x``: a number for a number, else an array."""
    found = limma.trigamma_inverse(x)
    return float(found[0]) if np.ndim(x) == 0 else found.reshape(np.shape(x))


def fit_f_dist_robustly(
    x: Any,
    df1: Any,
    covariate: Any = None,
    winsor_tail_p: Any = (0.05, 0.1),
    trace: bool = False,
) -> dict[str, Any]:
    """A scaled F distribution from winsorised logarithms (:func:`ferrocyte.limma.fit_f_dist_robustly`)."""
    del trace
    tails = (winsor_tail_p, winsor_tail_p) if np.ndim(winsor_tail_p) == 0 else winsor_tail_p
    return limma.fit_f_dist_robustly(x, df1, covariate, winsor_tail_p=tails)


def loess_fit(y: Any, x: Any, weights: Any = None, span: float = 0.3, iterations: int = 4) -> dict[str, Any]:
    """A smooth curve: ``fitted`` and ``residuals``."""
    return limma.loess_fit(y, x, weights, span=span, iterations=iterations)._asdict()


def weighted_lowess(
    x: Any, y: Any, weights: Any = None, npts: int = 200, span: float = 0.3, iterations: int = 4
) -> dict[str, Any]:
    """A robust local line of weighted points: ``fitted``, ``residuals``, ``weights``, ``delta``."""
    return limma.weighted_lowess(x, y, weights, npts=npts, span=span, iterations=iterations)._asdict()


def pred_fcm(fit: Any, coef: int = 1, *, key: str = "pylimma") -> Array:
    """Predictive log fold changes of a coefficient."""
    return limma.pred_fcm(native_fit(fields_of(fit, key)), coef)


def genas(
    fit: Any,
    coef: Any = (0, 1),
    subset: str = "all",
    plot: bool = False,
    alpha: float = 0.4,
    *,
    key: str = "pylimma",
) -> dict[str, Any]:
    """Genuine association of two coefficients."""
    del plot, alpha
    return limma.genas(native_fit(fields_of(fit, key)), coef, "all" if subset == "n" else subset)


# ---- what the verbs share


def _design(data: Any, design: Any, layer: str | None) -> Any:
    """A design with names; a formula is read over obs, a missing one is looked up where :func:`voom` stored it."""
    if isinstance(design, str):
        samples = data.obs if is_anndata(data) else data.get("targets") if isinstance(data, dict) else None
        matrix = limma.model_matrix(design, samples)
        return matrix.set_axis(patsy_names(list(matrix.columns), samples), axis=1)
    if design is None and is_anndata(data):
        source = layer if layer is not None else "voom_E" if "voom_E" in data.layers else ""
        design = data.uns.get(source.removesuffix("_E"), {}).get("design") if source.endswith("_E") else None
    return _named(design)


def _named(design: Any) -> Any:
    return None if design is None else named_design(design)


def _series(fit: limma.MArrayLM) -> dict[str, Any]:
    wanted = ("coefficients", "stdev_unscaled", "sigma", "df_residual", "cov_coefficients", "pivot", "rank")
    fields = fit_out(fit)
    return {name: fields[name] for name in wanted}


def _layer_weights(data: Any, weights: Any, weights_layer: str | None) -> Any:
    return np.asarray(data.layers[weights_layer]).T if weights is None and weights_layer is not None else weights


def _put_values(data: Any, values: limma.EList, out_layer: str, weights_layer: str, key: str) -> dict[str, Any] | None:
    fields = values_out(values)
    if not is_anndata(data):
        return fields
    put_layer(data, out_layer, fields.pop("E"))
    put_layer(data, weights_layer, fields.pop("weights"))
    fields.pop("genes", None)
    data.uns[key] = fields
    return None


def _put_matrix(data: Any, values: Array, out_layer: str) -> Any:
    if is_anndata(data):
        put_layer(data, out_layer, values)
        return None
    return type(data)({**data, "E": values}) if isinstance(data, dict) else values
