"""Gene sets: against formulas written out in numpy, explicit rotations, and what users get wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ferrocyte as fe
from ferrocyte import limma

G, N = 120, 9

#: The study has such a set.
pytestmark = pytest.mark.filterwarnings("ignore:gene sets. sets of one gene")


@pytest.fixture
def study():
    """120 genes x 9 samples of three groups; genes 0 to 14 rise in the second, genes 20 to 34 are correlated."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=(G, N)) * np.sqrt(6 / rng.chisquare(6, size=(G, 1)))
    group = np.repeat([0, 1, 2], 3)
    y[:15, group == 1] += 1.5
    y[20:35] += rng.normal(size=N)
    design = pd.DataFrame({"a": 1.0, "b": group == 1, "c": group == 2}, index=[f"s{j}" for j in range(N)], dtype=float)
    values = pd.DataFrame(y, index=[f"g{i}" for i in range(G)], columns=design.index)
    sets = {"up": np.arange(15), "tied": np.arange(20, 35), "some": np.arange(5, 60, 3), "one": np.array([70])}
    return values, design, sets


def effects(y, design, j, weights=None):
    """Signed effect of a coefficient and an orthonormal basis of residuals, from numpy's own QR."""
    x = np.asarray(design)
    x = np.c_[np.delete(x, j, axis=1), x[:, j]]
    p = x.shape[1]
    out = np.empty((len(y), len(x) - p + 1))
    for g, row in enumerate(np.asarray(y)):
        w = np.ones(len(x)) if weights is None else np.sqrt(weights[g])
        q, r = np.linalg.qr(x * w[:, None], mode="complete")
        turned = q.T @ (row * w)
        out[g] = turned[p - 1 :]
        out[g, 0] *= np.sign(r[p - 1, p - 1])
    return out


def squeezed(y, design):
    fit = limma.e_bayes(limma.lm_fit(y, design))
    return float(np.ravel(fit.s2_prior)[0]), float(np.ravel(fit.df_prior)[0])


def moderated_t(e, s0, d0):
    d = e.shape[1] - 1
    s2 = (e[:, 1:] ** 2).sum(axis=1) / d
    post = np.full(len(e), s0) if np.isinf(d0) else (d * s2 + d0 * s0) / (d + d0)
    return e[:, 0] / np.sqrt(post), min(d + d0, len(e) * d)


def hill(t, df):
    a = df - 0.5
    b = 48 * a * a
    z = a * np.log1p(t * t / df)
    return (
        np.sign(t) * (((((-0.4 * z - 3.3) * z - 24) * z - 85.5) / (0.8 * z * z + 100 + b) + z + 3) / b + 1) * np.sqrt(z)
    )


def bailey(t, df):
    df = min(df, 10_000)
    size = (df + 0.125) / (df + 1.125) * np.sqrt((df + 19 / 12) * np.log1p(t * t / (df + 1 / 12)))
    return np.sign(t) * size


@pytest.mark.parametrize("correlation", [0.05, None])
@pytest.mark.parametrize("weighted", [False, True])
def test_camera_is_its_formula(study, correlation, weighted):
    y, design, sets = study
    w = np.random.default_rng(0).uniform(0.5, 2, size=(G, N)) if weighted else None
    table = limma.camera(y, sets, design, "b", weights=w, inter_gene_cor=correlation, sort=False)
    e = effects(y, design, 1, w)
    d = e.shape[1] - 1
    s2 = (e[:, 1:] ** 2).mean(axis=1)
    prior = limma.squeeze_var(s2, np.full(G, d))
    z = hill(e[:, 0] / np.sqrt(prior["var_post"]), min(d + float(np.ravel(prior["df_prior"])[0]), G * d))
    u = e[:, 1:] / np.sqrt(s2)[:, None]
    for name, set_ in sets.items():
        m = len(set_)
        vif = 1 + (m - 1) * correlation if correlation else max(1, m * (u[set_].mean(axis=0) ** 2).mean())
        delta = G / (G - m) * (z[set_].mean() - z.mean())
        pooled = ((G - 1) * z.var(ddof=1) - delta**2 * m * (G - m) / G) / (G - 2)
        t = delta / np.sqrt(pooled * ((1 if m == 1 else vif) / m + 1 / (G - m)))
        p = 2 * stats.t.sf(abs(t), G - 2 if correlation else min(d, G - 2))
        np.testing.assert_allclose(table.loc[name, "p_value"], p, rtol=1e-9)
        assert table.loc[name, "direction"] == ("Up" if t > 0 else "Down")
    np.testing.assert_allclose(table.fdr, stats.false_discovery_control(table.p_value))


def test_roast_of_means_is_a_simulation(study):
    y, design, sets = study
    table = limma.mroast(y, sets, design, "b", nrot=3999, sort="none")
    e = effects(y, design, 1)
    s0, d0 = squeezed(y, design)
    total = (e**2).sum(axis=1)
    d = e.shape[1] - 1
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(e.shape[1], 3999))
    rotated = e @ (directions / np.linalg.norm(directions, axis=0))
    variance = s0 if np.isinf(d0) else ((total[:, None] - rotated**2) + d0 * s0) / (d + d0)
    z = bailey(rotated / np.sqrt(variance), d + d0)
    t, _ = moderated_t(e, s0, d0)
    observed = bailey(t, d + d0)
    for name, set_ in sets.items():
        both = np.abs(z[set_].mean(axis=0)) > abs(observed[set_].mean())
        mixed = np.abs(z[set_]).mean(axis=0) > np.abs(observed[set_]).mean()
        for column, p in (("p_value", both.mean()), ("p_value_mixed", mixed.mean())):
            assert abs(table.loc[name, column] - p) < 5 * np.sqrt((p * (1 - p) + 1e-3) / 2000), (name, column)
        np.testing.assert_allclose(table.loc[name, "prop_up"], (observed[set_] > np.sqrt(2)).mean())


@pytest.mark.parametrize("statistic", ["mean", "floormean", "mean50", "msq"])
def test_roast_is_mroast_of_one_set(study, statistic):
    y, design, sets = study
    many = limma.mroast(y, sets, design, "b", set_statistic=statistic, nrot=499, seed=4, n_threads=1)
    one = limma.roast(y, [f"g{i}" for i in range(15)], design, "b", set_statistic=statistic, nrot=499, seed=4)
    assert one.loc["UpOrDown", "p_value"] == many.loc["up", "p_value"] < 0.05
    assert one.loc["Mixed", "p_value"] == many.loc["up", "p_value_mixed"]
    assert one.loc["Up", "p_value"] < one.loc["Down", "p_value"]
    assert one.loc["Up", "active_prop"] == many.loc["up", "prop_up"] > 0.3
    again = limma.mroast(y, sets, design, "b", set_statistic=statistic, nrot=499, seed=4, n_threads=3)
    pd.testing.assert_frame_equal(many, again)


def test_fry_is_the_limit_of_roast_with_a_certain_prior(study):
    y, design, sets = study
    fry = limma.fry(y, sets, design, "b", standardize="none", sort=False)
    roast = limma.mroast(y, sets, design, "b", var_prior=1, df_prior=1e12, nrot=19_999, sort=False)
    np.testing.assert_allclose(fry.p_value, roast.p_value, atol=0.02)
    assert list(fry.direction) == list(roast.direction)
    assert fry.loc["one", "p_value"] == fry.loc["one", "p_value_mixed"]


def test_weights_of_genes_turn_and_choose(study):
    y, design, sets = study
    weights = np.zeros(G)
    weights[:15] = 1
    chosen = limma.fry(y, {"all": np.arange(G)}, design, "b", gene_weights=weights)
    plain = limma.fry(y, {"all": sets["up"]}, design, "b")
    np.testing.assert_allclose(chosen.loc["all", "p_value"], plain.loc["all", "p_value"])
    turned = limma.roast(y, sets["up"], design, "b", gene_weights=-np.ones(15), nrot=499)
    straight = limma.roast(y, sets["up"], design, "b", nrot=499)
    assert turned.loc["Down", "p_value"] == straight.loc["Up", "p_value"]


def test_romer_is_a_simulation(study):
    y, design, sets = study
    table = limma.romer(y, sets, design, "b", nrot=1999, shrink_resid=False)
    e = effects(y, design, 1)
    s0, d0 = squeezed(y, design)
    d, total = e.shape[1] - 1, (e**2).sum(axis=1)
    directions = np.random.default_rng(2).normal(size=(e.shape[1], 1999))
    rotated = e @ (directions / np.linalg.norm(directions, axis=0))
    variance = s0 if np.isinf(d0) else ((total[:, None] - rotated**2) + d0 * s0) / (d + d0)
    t = rotated / np.sqrt(variance)
    observed, _ = moderated_t(e, s0, d0)
    for column, turn in (("Up", lambda x: x), ("Down", lambda x: -x), ("Mixed", np.abs)):
        ranks, first = stats.rankdata(turn(t), axis=0), stats.rankdata(turn(observed))
        for name, set_ in sets.items():
            p = (ranks[set_].mean(axis=0) >= first[set_].mean()).mean()
            assert abs(table.loc[name, column] - p) < 5 * np.sqrt((p * (1 - p) + 1e-3) / 1000), (name, column)
    assert list(limma.top_romer(table, 1).index) == ["up"]
    shrunk = limma.romer(y, sets, design, "b", nrot=499, array_weights=np.ones(N))
    assert shrunk.loc["up", "Up"] < 0.02
    pd.testing.assert_frame_equal(shrunk, limma.romer(y, sets, design, "b", nrot=499, n_threads=3))


def test_rank_tests_are_those_of_scipy():
    x = np.random.default_rng(4).normal(size=60).round(1)
    set_ = np.arange(0, 60, 4)
    rest = np.setdiff1d(np.arange(60), set_)
    found = limma.rank_sum_test_with_correlation(set_, x)
    for word in ("less", "greater"):
        p = stats.mannwhitneyu(x[set_], x[rest], alternative=word, method="asymptotic").pvalue
        np.testing.assert_allclose(found[word], p, rtol=1e-10)
    assert limma.wilcox_gst(set_, x, "up") == found["greater"]
    assert limma.gene_set_test(set_, x, "two.sided") == 2 * min(found.values())
    drawn = limma.gene_set_test(set_, x, "up", ranks_only=False, nsim=20_000)
    sampled = stats.permutation_test(
        (x[set_], x[rest]), lambda a, _: a.mean(), alternative="greater", n_resamples=20_000, rng=1
    )
    assert abs(drawn - sampled.pvalue) < 0.02


def test_correlation_within_a_set(study):
    y, design, _ = study
    found = limma.inter_gene_correlation(y.iloc[20:35], design)
    residuals = y.iloc[20:35].to_numpy() @ (np.eye(N) - design @ np.linalg.pinv(design)).to_numpy()
    correlations = np.corrcoef(residuals)[np.triu_indices(15, 1)]
    np.testing.assert_allclose(found["correlation"], correlations.mean(), rtol=1e-10)


def test_names_positions_and_masks_are_the_same_set(study):
    y, design, sets = study
    mask = np.zeros(G, dtype=bool)
    mask[:15] = True
    tables = [limma.camera(y, {"up": given}, design, "b") for given in (sets["up"], [f"g{i}" for i in range(15)], mask)]
    annotated = y.assign(symbol=[f"S{i}" for i in range(G)])
    tables.append(limma.camera(annotated, {"up": [f"S{i}" for i in range(15)]}, design, "b", geneid="symbol"))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])
    assert "fdr" not in tables[0]


def test_contrasts_by_name_position_expression_and_weights(study):
    y, design, sets = study
    for camera in (
        [limma.camera(y, sets, design, given) for given in ("b", 1, [0, 1, 0])],
        [limma.camera(y, sets, design, given) for given in ("b - c", [0, 1, -1])],
    ):
        for table in camera[1:]:
            np.testing.assert_allclose(table.p_value, camera[0].p_value, rtol=1e-9)
    with pytest.raises(fe.errors.FerrocyteError, match=r"`d`|d"):
        limma.camera(y, sets, design, "d")


def test_sets_that_are_not_there_are_told(study):
    y, design, _ = study
    given = {"half": ["g0", "g1", "GATA1"], "none": ["TP53"], "one": ["g3"]}
    with pytest.warns(fe.FerrocyteWarning, match=r"GATA1.*without any gene are left out: `none`.*one gene: `one`"):
        table = limma.camera(y, given, design, "b", inter_gene_cor=[0.01, 0.02, 0.03])
    assert set(table.index) == {"half", "one"}
    assert table.loc["one", "correlation"] == 0.03
    with pytest.warns(fe.FerrocyteWarning), pytest.raises(fe.errors.BadInputError, match="no set has any"):
        limma.camera(y, {"none": ["TP53"]}, design, "b")
    with pytest.raises(fe.errors.BadInputError, match="position 500"):
        limma.camera(y, {"far": [500]}, design, "b")
    with pytest.warns(fe.FerrocyteWarning, match="more than once"):
        limma.camera(y, {"twice": [1, 1, 2]}, design, "b")
    with pytest.warns(fe.FerrocyteWarning, match=r"`b` names 1 of 1"):
        found = limma.ids2indices({"a": ["g2", "g2", "g0"], "b": ["x"]}, y.index)
    assert {name: list(set_) for name, set_ in found.items()} == {"a": [0, 2]}


def test_missing_values_weights_and_aliased_columns_are_named(study):
    y, design, sets = study
    holed = y.copy()
    holed.iloc[4, 2] = np.nan
    with pytest.raises(fe.errors.BadInputError, match=r"g4.*s2"):
        limma.fry(holed, sets, design, "b")
    with pytest.raises(fe.errors.BadInputError, match=r"sample `s0` is 0"):
        limma.fry(y, sets, design, "b", weights=np.r_[0, np.ones(N - 1)])
    with pytest.raises(fe.errors.BadInputError, match="d"):
        limma.fry(y, sets, design.assign(d=design.b + design.c), "b")
    with pytest.raises(fe.errors.BadInputError, match="all"):
        limma.camera(y, {"all": np.arange(G)}, design, "b")
    with pytest.raises(fe.errors.BadInputError, match="floormean"):
        limma.mroast(y, sets, design, "b", set_statistic="median")


def test_blocks_are_whitened(study):
    y, design, sets = study
    block = np.tile([0, 1, 2], 3)
    found = limma.fry(y, sets, design, "b", block=block, correlation=0.4, standardize="none", sort=False)
    v = np.where(block[:, None] == block, 0.4, 0.0) + 0.6 * np.eye(N)
    values, vectors = np.linalg.eigh(v)
    root = vectors / np.sqrt(values) @ vectors.T
    e = effects(y.to_numpy() @ root, root @ design.to_numpy(), 1)
    means = e[sets["up"]].mean(axis=0)
    t = means[0] / np.sqrt((means[1:] ** 2).mean())
    np.testing.assert_allclose(found.loc["up", "p_value"], 2 * stats.t.sf(abs(t), e.shape[1] - 1), rtol=1e-9)


def test_camera_of_a_statistic_that_names_its_genes():
    z = pd.Series(np.random.default_rng(0).normal(size=50), index=[f"g{i}" for i in range(50)])
    z.iloc[:8] += 2
    by_name = limma.camera_pr(z, {"a": [f"g{i}" for i in range(8)], "b": [f"g{i}" for i in range(20, 30)]})
    by_position = limma.camera_pr(z.to_numpy(), {"a": range(8), "b": range(20, 30)})
    pd.testing.assert_frame_equal(by_name, by_position)
    assert by_name.index[0] == "a"
    with pytest.raises(fe.errors.BadInputError, match="gene 3 is NaN"):
        limma.camera_pr(np.r_[0, 1, np.nan, 2], {"a": [0, 1]})


def test_barcode_numbers():
    x = pd.Series(np.linspace(-2, 2, 101)[::-1], index=[f"g{i}" for i in range(101)])
    weights = np.r_[np.ones(10), -np.ones(5)]
    genes = [f"g{i}" for i in [*range(10), *range(90, 95)]]
    table = limma.barcode_plot(x, genes, gene_weights=weights)
    assert table.statistic.is_monotonic_increasing
    assert set(table.index[table.in_set]) == {f"g{i}" for i in range(10)}
    assert set(table.index[table.in_set2]) == {f"g{i}" for i in range(90, 95)}
    assert table.enrichment.iloc[-1] > 2 > 1e-12 > table.enrichment.iloc[0]
    x.iloc[50] = np.nan
    assert len(limma.barcode_plot(x, range(10))) == 100


def test_the_moving_average_keeps_what_is_constant():
    np.testing.assert_allclose(limma.tricube_moving_average(np.full(31, 2.5), 0.4), 2.5)
