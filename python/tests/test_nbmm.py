"""Count models as a user of the package meets them."""

from __future__ import annotations

import inspect
import pickle

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte._examples import small_study


@pytest.fixture(scope="module")
def study() -> ad.AnnData:
    """Eight donors in two arms, two states; gene 0 is silent in an arm, gene 1 everywhere."""
    rng = np.random.default_rng(7)
    donors, cells, genes = 8, 40, 45
    obs = pd.DataFrame({"donor": np.tile([f"d{i}" for i in range(donors)], cells)})
    obs["condition"] = np.where(obs.donor.isin(["d0", "d2", "d4", "d6"]), "ctrl", "stim")
    obs["state"] = rng.choice(["a", "b"], len(obs))
    obs["depth"] = np.exp(0.4 * rng.standard_normal(len(obs)))
    obs.index = [f"cell{i}" for i in range(len(obs))]
    effect = 0.3 * rng.standard_normal((donors, genes))
    mean = (
        obs.depth.to_numpy()[:, None] * np.exp(effect[obs.donor.str[1:].astype(int)]) * (0.5 + 0.2 * np.arange(genes))
    )
    counts = rng.poisson(mean * rng.gamma(2.0, 0.5, mean.shape))
    counts[(obs.condition == "stim").to_numpy(), 0] = 0
    counts[:, 1] = 0
    # The last gene is three times as strong in one arm.
    stim = (obs.condition == "stim").to_numpy()
    counts[stim, -1] *= 3
    var = pd.DataFrame(index=[f"g{i}" for i in range(genes)])
    return ad.AnnData(sp.csr_matrix(counts.astype(np.float32)), obs=obs, var=var)


@pytest.fixture(scope="module")
def fit(study):
    return fe.nbmm.fit(study, "~ condition + state + (1 | donor)", offset="depth")


def test_every_gene_has_a_row_in_order(study, fit):
    assert list(fit.coef.index) == list(study.var_names)
    assert list(fit.coef.columns) == ["(Intercept)", "conditionstim", "stateb"]
    assert fit.status["g1"] == "all_zero"
    assert "separated" in fit.status["g0"]
    table = fit.contrast("condition", "stim", "ctrl")
    assert set(table.gene) == set(study.var_names)
    assert table.gene[0] in ("g0", "g44")
    silent = table.set_index("gene").loc["g0"]
    assert silent.estimate == -np.inf
    assert silent.ci_low == -np.inf
    assert np.isfinite(silent.ci_high)
    assert silent.p_value < 1e-5
    assert np.isnan(table.set_index("gene").p_value["g1"])
    assert table.set_index("gene").adj_p_value["g44"] < 0.01
    np.testing.assert_allclose(table.log_fc[2:], table.estimate[2:] / np.log(2))


def test_repr_tells_size_path_statuses_and_priors(fit):
    text = repr(fit)
    for words in ("45 genes, 320 cells", "8 x donor", "separated", "moderated: tau"):
        assert words in text, text


def test_sources_and_paths_agree(study, fit, tmp_path):
    path = tmp_path / "study.h5ad"
    study.write_h5ad(path)
    csc, dense = study.copy(), study.copy()
    csc.X, dense.X = sp.csc_matrix(study.X), study.X.toarray()
    expected = fit.estimates().drop(columns="status")
    for data in (path, csc, dense):
        found = fe.nbmm.fit(data, "~ condition + state + (1 | donor)", offset="depth")
        pd.testing.assert_frame_equal(found.estimates().drop(columns="status"), expected, check_exact=True)
    cells = fe.nbmm.fit(study, "~ condition + state + (1 | donor)", offset="depth", path="cells")
    assert list(cells.groups.path) == ["cells"]
    finite = np.isfinite(fit.se.to_numpy())
    difference = (cells.coef - fit.coef).to_numpy()[finite] / fit.se.to_numpy()[finite]
    assert np.abs(difference).max() < 1e-5


def test_order_of_cells_and_genes_changes_nothing(study, fit):
    rng = np.random.default_rng(1)
    shuffled = study[rng.permutation(study.n_obs), rng.permutation(study.n_vars)].copy()
    again = fe.nbmm.fit(shuffled, "~ condition + state + (1 | donor)", offset="depth")
    ours, theirs = fit.log_likelihood, again.log_likelihood[fit.genes]
    np.testing.assert_allclose(ours, theirs, rtol=1e-11)


def test_shards_files_and_pickles_keep_the_fit(study, fit, tmp_path):
    formula = "~ condition + state + (1 | donor)"
    parts = [fe.nbmm.sums(study, formula, offset="depth", rows=rows) for rows in ((0, 100), (100, 320))]
    assert parts[0].missing_rows
    whole = parts[1].merge(parts[0])
    assert whole.n_cells == study.n_obs
    assert not whole.missing_rows
    np.testing.assert_allclose(fe.nbmm.fit(whole).log_likelihood, fit.log_likelihood, rtol=1e-11)
    whole.save(tmp_path / "sums.npz")
    assert fe.nbmm.Sums.load(tmp_path / "sums.npz").header == whole.header
    fit.save(tmp_path / "fit.npz")
    expected = fit.to_df()
    for again in (fe.nbmm.load(tmp_path / "fit.npz"), pickle.loads(pickle.dumps(fit))):
        pd.testing.assert_frame_equal(again.to_df(), expected, check_exact=True)
    assert fit.provenance["options"]["offset"] == "obs column `depth`"


def test_groups_are_fitted_apart(study):
    both = fe.nbmm.fit(study, "~ condition + (1 | donor)", offset="depth", groups="state")
    one = fe.nbmm.fit(study[study.obs.state == "b"].copy(), "~ condition + (1 | donor)", offset="depth")
    np.testing.assert_allclose(both.log_likelihood["b"], one.log_likelihood, rtol=1e-9)
    assert list(both.groups.index) == ["a", "b"]


def test_stored_results_can_be_written(study, fit, tmp_path):
    data = study.copy()
    fit.store(data)
    data.write_h5ad(tmp_path / "stored.h5ad")
    assert "g0" in set(ad.read_h5ad(tmp_path / "stored.h5ad").uns["nbmm"]["tests"]["gene"])


def test_scale_of_offset_and_covariate_does_not_matter(study, fit):
    data = study.copy()
    data.obs["depth"] *= 10
    shifted = fe.nbmm.fit(data, "~ condition + state + (1 | donor)", offset="depth")
    finite = np.isfinite(fit.coef["(Intercept)"])
    np.testing.assert_allclose(
        shifted.coef["(Intercept)"][finite] + np.log(10), fit.coef["(Intercept)"][finite], atol=1e-7
    )
    np.testing.assert_allclose(
        shifted.contrast("condition", "stim", "ctrl").p_value,
        fit.contrast("condition", "stim", "ctrl").p_value,
        rtol=1e-6,
    )


def test_poisson_and_gamma_are_the_closed_form(study):
    sums = fe.nbmm.sums(study, "~ condition + (1 | donor)", offset="depth", path="cells")
    from scipy.special import gammaln

    s2, b = 0.3, np.array([0.4, -0.2])
    found = sums.evaluate(["g5"], [[*b, 0.0, s2]], re="gamma", quad=61)["log_likelihood"][0]
    a = 1 / np.expm1(s2)
    r = a * np.exp(-s2 / 2)
    y = study[:, "g5"].X.toarray().ravel().astype(float)
    mean = study.obs.depth.to_numpy() * np.exp(b[0] + b[1] * (study.obs.condition == "stim").to_numpy())
    exact = (y * np.log(mean) - gammaln(y + 1)).sum()
    for donor in study.obs.donor.unique():
        at = (study.obs.donor == donor).to_numpy()
        total, exposure = y[at].sum(), mean[at].sum()
        exact += a * np.log(r) - gammaln(a) + gammaln(a + total) - (a + total) * np.log(r + exposure)
    np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_zero_variances_are_limits(study):
    sums = fe.nbmm.sums(study, "~ condition + (1 | donor)", offset="depth", path="cells")
    b = [0.4, -0.2]
    rows = [[*b, 0.5, 0.0], [*b, 0.5, 1e-9], [*b, 0.0, 0.2], [*b, 1e-9, 0.2]]
    values = sums.evaluate(["g5"] * 4, rows, quad=15)["log_likelihood"]
    np.testing.assert_allclose(values[[0, 2]], values[[1, 3]], atol=1e-5)


def test_mistakes_are_told(study):
    with pytest.raises(fe.UnsupportedError, match="one random intercept"):
        fe.nbmm.fit(study, "~ condition + (1 | donor) + (1 | state)")
    empty, halves = study.copy(), study.copy()
    empty.obs.loc["cell3", "depth"] = 0.0
    halves.X = halves.X * 0.5
    with pytest.raises(fe.BadInputError, match="not a positive number in 1 cells"):
        fe.nbmm.fit(empty, "~ condition + (1 | donor)", offset="depth")
    with pytest.raises(fe.BadInputError, match="not a count"):
        fe.nbmm.fit(halves, "~ condition + (1 | donor)", offset="depth")
    with pytest.raises(fe.BadInputError, match="apart"):
        fe.nbmm.fit(study, "~ donor + (1 | donor)", offset="depth")
    with pytest.raises(fe.MissingKeyError):
        fe.nbmm.fit(study, "~ condition + (1 | donor)", offset="dept")


def test_one_donor_in_an_arm_is_no_replication(study):
    few = study[study.obs.donor.isin(["d0", "d2", "d1"])].copy()
    fit = fe.nbmm.fit(few, "~ condition + (1 | donor)", offset="depth")
    table = fit.test("conditionstim")
    assert table.p_value.isna().all()
    assert table.status.str.contains("no_replication").sum() >= 40
    assert fit.test("conditionstim", allow_no_replication=True).p_value.notna().sum() >= 40
    assert fit.test("(Intercept)").p_value.notna().any()


def test_contrasts_within_donors_without_a_term_are_warned_about(study):
    fit = fe.nbmm.fit(study, "~ state + (1 | donor)", offset="depth")
    with pytest.warns(fe.FerrocyteWarning, match="donor:state"):
        fit.contrast("state", "b", "a")


def test_fronts_have_the_options_of_the_table():
    verbs = {"sums": [fe.nbmm.sums], "fit": [fe.nbmm.fit], "test": [fe.nbmm.Fit.test, fe.nbmm.Fit.contrast]}
    arguments = {(verb, name): (default, choices) for verb, name, default, choices in _core.nbmm_arguments()}
    words = {"": None, "true": True, "false": False}
    for name, of, default, choices, _ in _core.nbmm_options():
        for verb in of:
            assert arguments[verb, name] == (default, choices)
            for function in verbs[verb]:
                value = inspect.signature(function).parameters[name].default
                if name == "formula":
                    continue
                expected = words.get(default, int(default) if default.isdigit() else default)
                assert value == expected, (verb, name)


def test_restricted_fits_settle_above_those_of_maximum_likelihood():
    study = small_study()
    formula = "~ condition + donor + (1 | sample)"
    restricted, plain = (fe.nbmm.fit(study, formula, method=method) for method in ("REML", "ML"))
    assert not restricted.status.str.contains("max_iter").any()
    # Seven coefficients of twelve samples take with them what maximum likelihood does not see.
    assert (restricted.s2 >= plain.s2 - 1e-6).mean() > 0.9
    assert restricted.s2.mean() > 1.5 * plain.s2.mean() > 0


def test_effects_of_donors_are_told_with_errors(fit, study):
    found = fit.random_effects()
    assert list(found.index) == list(study.var_names)
    assert list(found["effect"].columns) == [f"d{i}" for i in range(8)]
    # Gene 0 is silent in an arm, gene 1 everywhere.
    stim = sorted(set(study.obs.donor[study.obs.condition == "stim"]))
    assert found["effect"].loc["g0", stim].isna().all()
    assert found.loc["g1"].isna().all()
    others = found.iloc[2:]
    assert np.isfinite(others.to_numpy()).all()
    assert (others["se"].to_numpy() >= 0).all()
    # What is left after the fixed effects: counts over their expectation, shrunken.
    rest = study[:, "g40"].X.toarray().ravel() / study.obs.depth
    ratio = np.log(rest.groupby(study.obs.donor.astype(str)).mean())
    assert np.corrcoef(ratio, found["effect"].loc["g40"])[0, 1] > 0.6


def test_shrunken_coefficients_are_finite(fit):
    shrunken = fit.shrunken()
    assert fit.coef.loc["g0", "conditionstim"] == -np.inf
    assert -12 < shrunken.loc["g0", "conditionstim"] < -2
    assert shrunken.loc["g1"].isna().all()
    pd.testing.assert_frame_equal(shrunken.iloc[2:], fit.coef.iloc[2:], check_exact=True)


def test_residuals_come_in_blocks_from_any_source(fit, study, tmp_path):
    path = tmp_path / "study.h5ad"
    study[:, ::-1].copy().write_h5ad(path)
    whole = fit.residuals(study)
    assert repr(whole) == "nbmm residuals: 320 cells x 45 genes"
    expected = whole.rows(0, 320)
    assert expected.shape == (320, 45)
    # Genes are found by name, in whichever order the file has them.
    blocks = [block for _, block in fit.residuals(path).blocks(100)]
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    assert np.isnan(expected[:, 1]).all()
    known = expected[:, 2:]
    assert np.abs(known.mean(axis=0)).max() < 0.3
    assert 0.8 < np.median(np.square(known).mean(axis=0)) < 1.2
    # The mean of a cell, from the estimates of the fit: conditional residuals are those around it.
    gene = 40
    effect = fit.random_effects()["effect"].iloc[gene][study.obs.donor].to_numpy()
    x = np.column_stack([np.ones(320), study.obs.condition == "stim", study.obs.state == "b"]).astype(float)
    mean = study.obs.depth.to_numpy() * np.exp(x @ fit.coef.iloc[gene].to_numpy() + effect)
    tau = fit.tau_mod.iloc[gene]
    counts = study.X.toarray()[:, gene]
    # Coefficients at moderated variances are not quite those of the gene alone.
    np.testing.assert_allclose(expected[:, gene], (counts - mean) / np.sqrt(mean + tau * mean**2), atol=0.05)
    marginal = fit.residuals(study, conditional=False).rows(0, 320)[:, 2:]
    assert np.square(marginal).mean() < 1.2
    other = study.copy()
    other.obs["donor"] = other.obs.donor.astype(str).replace("d0", "d1")
    with pytest.raises(fe.errors.BadInputError, match="other donors"):
        fit.residuals(other)


def test_tables_of_priors_hold_what_figures_show(fit, study):
    for parameter in ("s2", "tau"):
        table = fit.prior_table(parameter)
        assert list(table.index) == list(study.var_names)
        np.testing.assert_array_equal(table["total"], study.X.toarray().sum(axis=0))
        np.testing.assert_array_equal(table["alone"], fit.s2 if parameter == "s2" else fit.tau)
        known = table.dropna()
        # Moderated values lie between what the gene says alone and what all say, or beside them.
        assert (np.abs(np.log(known["moderated"] / known["prior"])) < 3 * known["prior_sd"]).all()
    with pytest.raises(fe.errors.BadInputError, match="s2 or tau"):
        fit.prior_table("phi")
    with pytest.raises(fe.errors.BadInputError, match="nothing is moderated"):
        fe.pl.nbmm_prior(fe.nbmm.fit(fit.sums, moderate=False))


def test_figures_show_infinite_estimates_and_donors(fit):
    table = fit.contrast("condition", "stim", "ctrl")
    ax = fe.pl.volcano(table)
    finite = table.log_fc[np.isfinite(table.log_fc)].abs().max()
    drawn = np.concatenate([part.get_offsets()[:, 0] for part in ax.collections])
    assert drawn.min() == pytest.approx(-1.15 * finite)
    ax = fe.pl.random_effects(fit, "g44")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(fit.ranef("g44").sort_values("estimate")["level"])
    assert ax.get_xlabel() == "random effect, ln of the mean"
    with pytest.raises(fe.errors.MissingKeyError, match="g4"):
        fe.pl.random_effects(fit, "g444")
    with pytest.raises(fe.errors.BadInputError, match="no estimate"):
        fe.pl.random_effects(fit, "g1")
