"""A study from counts to tables with pylimma's verbs, under either import.

``python pylimma_script.py MODULE OUT.json`` writes what the verbs return: lists of numbers and of names. MODULE is
``pylimma`` or ``ferrocyte.compat.pylimma``; nothing else differs.
"""

import importlib
import json
import sys
import warnings

import anndata as ad
import numpy as np
import pandas as pd

G, N = 90, 12
GROUP = np.repeat(["a", "b", "c"], 4)


def study():
    """Counts of negative binomial genes, a few of which change."""
    rng = np.random.default_rng(11)
    mean = rng.gamma(2.0, 60.0, size=G) + 20
    fold = np.ones((G, N))
    fold[:12, 4:8] = 3.0
    fold[6:20, 8:] = 0.3
    shape = 8.0
    counts = rng.poisson(mean[:, None] * fold * rng.gamma(shape, 1 / shape, size=(G, N))).astype(float)
    genes = [f"g{i:02d}" for i in range(G)]
    obs = pd.DataFrame({"group": GROUP, "batch": list("xyxy") * 3}, index=[f"s{j}" for j in range(N)])
    return counts, genes, obs


def numbers(values):
    """Numbers as a flat list; some of long ones, so that the file stays small."""
    flat = np.asarray(values, dtype=float).ravel()
    flat = flat if len(flat) <= 60 else flat[:: len(flat) // 30]
    return [None if np.isnan(v) else repr(float(v)) for v in flat]


def table(found):
    """A table: names of rows and columns, and its numbers."""
    kept = found.select_dtypes("number")
    return {"rows": [str(r) for r in found.index], "columns": list(found.columns), "numbers": numbers(kept)}


def fit_fields(fit):
    """The fields of a fit that are numbers."""
    names = ["coefficients", "stdev_unscaled", "sigma", "df_residual", "cov_coefficients", "pivot", "rank", "Amean"]
    names += ["t", "p_value", "lods", "F", "F_p_value", "s2_prior", "df_prior", "s2_post", "df_total", "var_prior"]
    return {name: numbers(fit[name]) for name in names if name in fit and fit[name] is not None}


def run(pl):
    """Everything that the script computes, by name."""
    counts, genes, obs = study()
    out = {}

    # Arrays: design, voom, fit, contrasts, tables.
    design = pl.model_matrix("~ 0 + group", obs)
    out["model_matrix"] = numbers(design)
    out["is_fullrank"] = [str(pl.is_fullrank(design)), str(pl.non_estimable(np.column_stack([design, design[:, 0]])))]
    v = pl.voom(counts, design, save_plot=True)
    for name in ("E", "weights", "lib_size", "span"):
        out[f"voom.{name}"] = numbers(v[name])
    out["voom.line"] = numbers(v["voom_line"]["y"])
    fit = pl.lm_fit(v, design)
    out["voom.lm_fit"] = fit_fields(fit)
    contrasts = pl.make_contrasts("b-a", "c-a", half="(b+c)/2-a", levels=["a", "b", "c"])
    out["make_contrasts"] = table(contrasts)
    second = pl.contrasts_fit(fit, contrasts)
    moderated = pl.e_bayes(second)
    out["voom.e_bayes"] = fit_fields(moderated)
    out["voom.attribute"] = numbers(moderated.t)
    out["voom.top_table"] = table(pl.top_table(moderated, coef=0, number=8))
    out["voom.top_table.name"] = table(pl.top_table(moderated, coef="c-a", number=8, sort_by="p", confint=True))
    out["voom.top_table.list"] = table(pl.top_table(moderated, coef=[0, 1], number=5))
    out["voom.top_table.genelist"] = table(pl.top_table(moderated, coef=1, number=5, genelist=genes))
    out["voom.decide_tests"] = numbers(pl.decide_tests(moderated))
    out["voom.decide_tests.global"] = numbers(pl.decide_tests(moderated, method="global", adjust_method="holm"))
    out["voom.classify_tests_f"] = numbers(pl.classify_tests_f(moderated))
    out["voom.venn_counts"] = table(pl.venn_counts(pl.decide_tests(moderated)[:, :2]))
    threshold = pl.treat(second, lfc=0.5)
    out["voom.treat"] = fit_fields(threshold)
    out["voom.top_treat"] = table(pl.top_treat(threshold, coef=0, number=6))
    quality = pl.voom_with_quality_weights(counts, design)
    out["voom.quality"] = numbers(quality["sample_weights"])

    # Log-values: no counts, hence no curve.
    y = np.log2(counts / counts.sum(axis=0) * 1e6 + 0.5)
    named = pd.DataFrame(y, index=genes, columns=obs.index)
    frame = pd.DataFrame(design, columns=["(Intercept)", "b", "c"], index=obs.index)
    frame["(Intercept)"] = 1.0
    plain = pl.e_bayes(pl.lm_fit(named, frame))
    out["lm_fit"] = fit_fields(plain)
    out["lm_fit.coef_names"] = list(plain["coef_names"])
    out["top_table"] = table(pl.top_table(plain, coef="b", number=7))
    out["top_table.f"] = table(pl.top_table(plain, number=7))
    out["top_table.fold"] = table(pl.top_table(plain, coef=1, number=np.inf, p_value=0.05, lfc=1, resort_by="logFC"))
    out["e_bayes.trend"] = fit_fields(pl.e_bayes(pl.lm_fit(y, frame), trend=True))
    out["e_bayes.robust"] = fit_fields(pl.e_bayes(pl.lm_fit(y, frame), robust=True))
    out["part"] = fit_fields(plain[3:9, 1])
    holed = y.copy()
    holed[5, 2] = holed[7, 0] = np.nan
    holed[9] = np.nan
    out["holes"] = fit_fields(pl.lm_fit(holed, frame))
    weights = np.linspace(0.5, 2.0, N)
    out["weights"] = fit_fields(pl.e_bayes(pl.lm_fit(y, frame, weights=weights)))
    out["robust"] = fit_fields(pl.lm_fit(y, frame, method="robust"))
    blocks = np.tile([0, 1, 2, 3], 3)
    out["blocks"] = fit_fields(pl.e_bayes(pl.lm_fit(y, frame, block=blocks, correlation=0.25)))
    out["array_weights"] = numbers(pl.array_weights(y, frame.to_numpy()))
    out["squeeze_var"] = numbers(pl.squeeze_var(plain["sigma"] ** 2, 9.0)["var_post"])
    out["fit_f_dist"] = numbers([pl.fit_f_dist(plain["sigma"] ** 2, 9.0)[name] for name in ("scale", "df2")])
    out["remove_batch_effect"] = numbers(pl.remove_batch_effect(y, batch=list("xyxy") * 3, design=frame.to_numpy()))
    for method in ("quantile", "scale", "none"):
        out[f"normalize.{method}"] = numbers(pl.normalize_between_arrays(y, method=method))
    out["prop_true_null"] = numbers([pl.prop_true_null(plain["p_value"][:, 1]), pl.convest(plain["p_value"][:, 1])])
    out["pred_fcm"] = numbers(pl.pred_fcm(plain, coef=1))
    out["avereps"] = numbers(pl.avereps(y, ID=np.repeat(np.arange(G // 3), 3)))
    out["trigamma_inverse"] = numbers([pl.trigamma_inverse(2.0), *pl.trigamma_inverse(np.array([0.1, 5.0]))])
    out["zscore_t"] = numbers(pl.zscore_t(np.array([-3.0, 0.5, 6.0]), 5.0))
    out["choose_lowess_span"] = numbers([pl.choose_lowess_span(1000)])

    # The less common verbs.
    kin = pl.vooma(y, frame.to_numpy())
    out["vooma"] = numbers(kin["weights"])
    out["vooma_by_group"] = numbers(pl.vooma_by_group(y, list(GROUP))["weights"])
    out["vooma_lm_fit"] = fit_fields(pl.vooma_lm_fit(y, frame.to_numpy()))
    out["lm_series"] = fit_fields(pl.lm_series(y, frame.to_numpy()))
    out["gls_series"] = fit_fields(pl.gls_series(y, frame.to_numpy(), block=blocks, correlation=0.25))
    out["mrlm"] = fit_fields(pl.mrlm(y, frame.to_numpy()))
    out["array_weights_quick"] = numbers(pl.array_weights_quick(y, pl.lm_fit(y, frame.to_numpy())))
    out["duplicate_correlation"] = sorted(pl.duplicate_correlation(y, frame.to_numpy(), block=blocks))
    out["wsva"] = numbers(np.abs(pl.wsva(y, frame.to_numpy(), n_sv=1)))
    smooth = pl.loess_fit(y[:, 0], y[:, 1], span=0.4)
    out["loess_fit"] = numbers(smooth["fitted"])
    smooth = pl.weighted_lowess(y[:, 1], y[:, 0], weights=np.linspace(0.5, 1.5, G), span=0.4)
    out["weighted_lowess"] = numbers(smooth["fitted"])
    rotated = pl.contrast_as_coef(frame, contrasts[["b-a"]].to_numpy())
    out["contrast_as_coef"] = [*map(str, rotated["coef"]), *map(str, np.shape(rotated["design"]))]
    out["normalize_cyclic_loess"] = numbers(pl.normalize_cyclic_loess(y))
    out["aver_arrays"] = numbers(pl.aver_arrays(y, id=list(GROUP)))
    out["ave_dups"] = numbers(pl.ave_dups(y, ndups=2, spacing=3))
    statistic, df1, df2 = pl.classify_tests_f(plain[:, 1:], fstat_only=True)
    out["f_statistics"] = numbers([*statistic, df1, *df2])
    out["genas"] = numbers([pl.genas(plain, coef=(1, 2))[name] for name in ("technical_correlation", "n")])
    out["fit_f_dist_robustly"] = numbers(pl.fit_f_dist_robustly(plain["sigma"] ** 2, 9.0)["df2"])
    out["fit_gamma_intercept"] = numbers(pl.fit_gamma_intercept(plain["sigma"], 0.01))

    # An AnnData: everything in place.
    adata = ad.AnnData(counts.T.copy(), obs=obs, var=pd.DataFrame(index=genes))
    returned = [pl.voom(adata, design)]
    returned += [pl.lm_fit(adata, design, layer="voom_E"), pl.contrasts_fit(adata, contrasts), pl.e_bayes(adata)]
    out["voom.adata"] = fit_fields(adata.uns["pylimma"])
    out["voom.adata.table"] = table(pl.top_table(adata, coef="b-a", number=6))
    out["voom.adata.calls"] = numbers(pl.decide_tests(adata))
    out["voom.adata.fit"] = fit_fields(pl.get_fit(adata))
    out["voom.adata.uns"] = sorted(adata.uns["voom"])
    returned += [pl.lm_fit(adata, "~ group", layer="voom_E", key="formula"), pl.e_bayes(adata, key="formula")]
    out["voom.adata.formula"] = table(pl.top_table(adata, coef="group[T.c]", number=6, key="formula"))
    returned += [pl.treat(adata, lfc=0.3, key="formula")]
    out["voom.adata.treat"] = table(pl.top_treat(adata, coef="group[T.b]", number=6, key="formula"))
    adata.layers["log"] = y.T.copy()
    returned += [pl.remove_batch_effect(adata, batch=obs["batch"].to_numpy(), layer="log")]
    returned += [pl.normalize_between_arrays(adata, layer="log", method="quantile")]
    out["adata.batch"] = numbers(adata.layers["batch_removed"])
    out["adata.normalized"] = numbers(adata.layers["normalized"])
    returned += [pl.vooma(adata, frame.to_numpy(), layer="log"), pl.vooma_lm_fit(adata, frame.to_numpy(), layer="log")]
    out["adata.vooma"] = numbers(adata.layers["vooma_weights"])
    out["adata.layers"] = sorted(adata.layers)
    out["adata.returned"] = [str(one) for one in returned]
    return out


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(sys.argv[1])
        found = {"version": getattr(module, "__version__", ""), "found": run(module)}
    with open(sys.argv[2], "w") as file:
        json.dump(found, file, sort_keys=True)
