"""Utilities of a few lines, against brute force and numbers of pylimma 0.2.0."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ferrocyte import limma
from ferrocyte.errors import BadInputError

X = np.array([0.13, -0.13, 0.64, 0.1, -0.54, 0.36, 1.3, 0.95, -0.7])


def test_unwrap_dups():
    m = np.arange(24.0).reshape(12, 2)
    folded = limma.unwrap_dups(m, ndups=2, spacing=3)
    assert folded[0].tolist() == [0, 6, 1, 7]
    assert folded[5].tolist() == [16, 22, 17, 23]
    # Averages of duplicates are averages within the unwrapped rows.
    averages = folded.reshape(6, 2, 2).mean(axis=2)
    np.testing.assert_allclose(averages, limma.ave_dups(m, ndups=2, spacing=3))
    assert limma.unique_genelist(np.arange(12), 2, 3).tolist() == [0, 1, 2, 6, 7, 8]
    frame = pd.DataFrame({"gene": list("abab")})
    assert limma.unique_genelist(frame, 2, 2)["gene"].tolist() == ["a", "b"]
    with pytest.raises(BadInputError, match="12 rows do not divide into blocks of 5"):
        limma.unwrap_dups(m, ndups=5)


def test_modify_weights():
    out = limma.modify_weights(np.ones((4, 2)), list("abca"), ["a", "c"], [0, 2.0])
    assert out.tolist() == [[0, 0], [1, 1], [2, 2], [0, 0]]
    given = np.ones(3)
    assert limma.modify_weights(given, list("abc"), ["a", "c"], 0.5).tolist() == [[0.5], [1.0], [0.5]]
    assert given.tolist() == [1, 1, 1]
    with pytest.raises(BadInputError, match="2 values for 3 rows"):
        limma.modify_weights(given, list("ab"), ["a"], 0.5)


def test_as_matrix_weights():
    assert limma.as_matrix_weights(2.0, (2, 3)).tolist() == [[2.0] * 3] * 2
    assert limma.as_matrix_weights([1, 2, 3], (3, 2)).tolist() == [[1, 1], [2, 2], [3, 3]]
    assert limma.as_matrix_weights([1, 2], (3, 2)).tolist() == [[1, 2]] * 3
    given = np.ones((3, 2))
    assert not np.shares_memory(limma.as_matrix_weights(given, (3, 2)), given)
    with pytest.warns(UserWarning, match="weights of genes"):
        assert limma.as_matrix_weights([1, 2], (2, 2)).tolist() == [[1, 1], [2, 2]]
    with pytest.raises(BadInputError, match=r"shape \(4,\)"):
        limma.as_matrix_weights([1, 2, 3, 4], (3, 2))


def test_au_roc_counts_pairs():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40)
    score = rng.integers(0, 9, 40)
    pairs = [(a > b) + (a == b) / 2 for a, b in itertools.product(score[truth == 1], score[truth == 0])]
    assert limma.au_roc(truth, score) == pytest.approx(np.mean(pairs), rel=1e-14)
    assert limma.au_roc([1, 0, 1, 1, 0]) == pytest.approx(2 / 3)
    assert limma.au_roc([1, 0, 1, 1, 0], [5, 4, 4, 2, 1]) == 0.75
    assert math.isnan(limma.au_roc([1, 1]))
    assert math.isnan(limma.au_roc([1, np.nan, 0]))
    assert math.isnan(limma.au_roc([1, 1, 0], [1.0, np.nan, 2.0]))


Y = np.array(
    [
        *[-1.2654214710460525, -0.6232744625373522, 0.0413259793472436, -2.3250307746388343],
        *[-0.21879166393254573, -1.2459109472530652, -0.7322673547034516, -0.5442589828573099],
        *[-0.31630015636915454, 0.4116305363741328, 1.0425133694426776, -0.12853466294403426],
        *[1.3664634705496859, -0.6651946734866135, 0.3515100700930197, 0.9034701816518086],
    ]
).reshape(2, 8)
DESIGNS = {"a": np.ones((8, 1)), "b": np.column_stack([np.ones(8), np.arange(8.0)])}


def test_select_model():
    found = limma.select_model(Y, DESIGNS)
    np.testing.assert_allclose(found["IC"], [[-1.840458, 0.065736], [-2.560920, -0.853413]], atol=1e-6)
    assert list(found["pref"]) == ["a", "a"]
    found = limma.select_model(Y, DESIGNS, "bic")
    np.testing.assert_allclose(found["IC"], [[-1.681575, 0.304060], [-2.402037, -0.615089]], atol=1e-6)
    found = limma.select_model(Y, list(DESIGNS.values()), "mallowscp", s2_true=np.ones(2))
    np.testing.assert_allclose(found["IC"], [[-2.144949, -0.189888], [-2.476952, -0.603434]], atol=1e-6)
    assert list(found["IC"]) == ["1", "2"]
    found = limma.select_model(Y, DESIGNS, df_prior=3, s2_prior=0.8)
    np.testing.assert_allclose(found["IC"], [[-2.209565, -0.288880], [-2.809485, -1.046926]], atol=1e-6)
    # Without a prior these are Akaike's numbers up to what all models share.
    rss = ((Y[0] - np.polyval(np.polyfit(np.arange(8), Y[0], 1), np.arange(8))) ** 2).sum()
    assert limma.select_model(Y, DESIGNS)["IC"].iloc[0, 1] == pytest.approx(8 * np.log(rss / 8) + 6, rel=1e-12)
    with pytest.raises(BadInputError, match="is not known"):
        limma.select_model(Y, DESIGNS, "mallowscp")
    with pytest.raises(BadInputError, match="aicc"):
        limma.select_model(Y, DESIGNS, "aicc")
    with pytest.raises(BadInputError, match="finite df_prior"):
        limma.select_model(Y, DESIGNS, df_prior=3)


def test_fitmixture():
    shares = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
    first, second = 2.0 ** np.array([8.0, 6, 10]), 2.0 ** np.array([6, 9.0, 10])
    y = np.log2(first[:, None] * shares + second[:, None] * (1 - shares))
    y += np.array([0.01, -0.02, 0.03, 0, -0.01, 0.02])
    found = limma.fitmixture(y, shares)
    np.testing.assert_allclose(found["A"], [7.00284687, 7.50678431, 10.00442356], atol=1e-8)
    np.testing.assert_allclose(found["M"], [2.00819095, -2.98961498, 0.00689082], atol=1e-8)
    np.testing.assert_allclose(found["stdev"], [0.02076716, 0.0204431, 0.02073041], atol=1e-8)
    y[0, 2:] = np.nan
    assert np.isnan(limma.fitmixture(y, shares)["A"]).tolist() == [True, False, False]
    with pytest.raises(BadInputError, match=r"between 0 and 1, found 1.5"):
        limma.fitmixture(y, 2 * shares)


def test_pool_var():
    found = limma.pool_var([1.0, 2, 4], n=[3, 4, 5])
    assert list(found.values()) == pytest.approx([2.085106382978724, 8.92565055762082, 0.7833333333333332], rel=1e-14)
    found = limma.pool_var([1.0, 2, 4], df=[3, 4, 5], multiplier=[0.1, 0.2, 0.3])
    assert list(found.values()) == pytest.approx([2.833333333333333, 8.722334004024148, 0.6], rel=1e-14)
    assert limma.pool_var([0.0, 0.0], n=[3, 4])["df"] == math.inf
    # Welch's test is the use of it.
    a, b = X[:4], X[4:]
    welch = stats.ttest_ind(a, b, equal_var=False)
    pooled = limma.pool_var([a.var(ddof=1), b.var(ddof=1)], n=[4, 5])
    assert pooled["df"] == pytest.approx(welch.df, rel=1e-12)
    t = (a.mean() - b.mean()) / math.sqrt(pooled["var"] * pooled["multiplier"])
    assert t == pytest.approx(welch.statistic, rel=1e-12)
    with pytest.raises(BadInputError, match="are not known"):
        limma.pool_var([1.0], df=[2])


def test_sums_of_squares():
    found = limma.bwss(X, list("aabbbcccc"))
    assert list(found.values()) == pytest.approx([0.43068055555555573, 3.031741666666666, 2, 6], rel=1e-13)
    assert limma.bwss([1, 2, np.nan, 4, 5.0], list("aabbb")) == {"bss": 9.0, "wss": 1.0, "bdf": 1, "wdf": 2}
    found = limma.bwss_matrix(X.reshape(3, 3))
    assert list(found.values()) == pytest.approx([0.34175555555555565, 3.1206666666666667, 2, 6], rel=1e-13)
    found = limma.bwss_matrix([[1, np.nan], [3, 4.0]])
    assert list(found.values()) == pytest.approx([2.6666666666666665, 2.0, 1, 1], rel=1e-13)
    f = limma.bwss(X, list("aabbbcccc"))
    ratio = (f["bss"] / f["bdf"]) / (f["wss"] / f["wdf"])
    assert ratio == pytest.approx(stats.f_oneway(X[:2], X[2:5], X[5:]).statistic, rel=1e-12)


def test_cum_overlap():
    found = limma.cum_overlap(["a", "b", "c", "d", "e"], ["b", "a", "e", "c", "x"])
    assert found["n_total"] == 4
    assert found["n_overlap"].tolist() == [0, 2, 2, 4]
    np.testing.assert_allclose(found["p_value"], [1, 1 / 6, 1, 1])
    np.testing.assert_allclose(found["adj_p_value"], [1, 1 / 3, 1, 1])
    assert (found["n_min"], found["id_overlap"]) == (2, ["a", "b"])
    assert limma.cum_overlap(["a"], ["z"]) == {"n_total": 0}
    rng = np.random.default_rng(3)
    one, two = rng.permutation(30).tolist(), rng.permutation(30).tolist()
    overlap = [len(set(one[:k]) & set(two[:k])) for k in range(1, 31)]
    assert limma.cum_overlap(one, two)["n_overlap"].tolist() == overlap
    with pytest.raises(BadInputError, match="`a` comes twice"):
        limma.cum_overlap(["a", "b", "a"], ["a"])


def test_detection_p_values():
    x = np.array([[1.0], [2], [2], [3], [2], [0], [4], [3]])
    status = ["negative"] * 4 + ["gene"] * 4
    found = limma.detection_p_values(x, status).ravel()
    assert found[[0, 3]].tolist() == [1.0, 0.25]
    assert found[[1, 2]].tolist() == [0.625, 0.625]
    assert found[4:].tolist() == [0.5, 1.0, 0.0, 0.125]
    x[1] = np.nan
    found = limma.detection_p_values(x, status).ravel()
    assert np.isnan(found[1])
    assert found[4] == 0.5  # one of 1, 2, 3 above, one equal
    with pytest.raises(BadInputError, match="0 of them `blank`"):
        limma.detection_p_values(x, status, "blank")


def test_tricube_moving_average():
    expected = [0.03954816, 0.18423875, 0.21316738, 0.07174702, -0.01009175, 0.38061361, 0.82043836, 0.5449987]
    np.testing.assert_allclose(limma.tricube_moving_average(X, 0.5)[:8], expected, atol=1e-8)
    np.testing.assert_allclose(limma.tricube_moving_average(X, 1)[[0, 8]], [0.16531728, 0.42448123], atol=1e-8)
    assert limma.tricube_moving_average(X, 0.1).tolist() == X.tolist()
    np.testing.assert_allclose(limma.tricube_moving_average(np.full(20, 3.0), 0.7), 3.0)
    assert len(limma.tricube_moving_average(np.arange(4.0), 1)) == 4


def test_quantile_plots():
    # R's positions of nine values are (rank - 3/8) / (9 + 1/4), of more than ten (rank - 1/2) / n.
    found = limma.qqt(X, df=4)
    ranks = stats.rankdata(X)
    np.testing.assert_allclose(found["x"], stats.t(4).ppf((ranks - 0.375) / 9.25), atol=1e-14)
    assert found["y"].tolist() == X.tolist()
    np.testing.assert_allclose(limma.qqf(np.abs(X), 3, 4)["x"].max(), stats.f(3, 4).ppf(8.625 / 9.25), rtol=1e-12)
    assert limma.qqt([1, np.nan, 0.5])["y"].tolist() == [1, 0.5]
    big = limma.qqt(np.arange(100.0))["x"]
    np.testing.assert_allclose(big, stats.norm.ppf((np.arange(100) + 0.5) / 100))


def test_z_scores():
    poisson = [-1.64692172, -0.19373912, 9.35638935]
    np.testing.assert_allclose(limma.zscore([0, 2, 30], "pois", mu=3), poisson, rtol=1e-7)
    np.testing.assert_allclose(limma.zscore([0.1, 90], "chisq", df=2), [-1.6568928, 9.14940049], rtol=1e-8)
    np.testing.assert_allclose(limma.zscore([0.1, 90], "t", df=2), [0.08851742, 3.83920382], rtol=1e-7)
    gamma = [-3.26705500e00, -9.19512949e-03, 1.08755081e01]
    np.testing.assert_allclose(limma.zscore_gamma([0.1, 5, 200.0], 2.0, scale=3.0), gamma, rtol=1e-7)
    gamma = [-1.78740146, 4.42178521, 34.3262497]
    np.testing.assert_allclose(limma.zscore_gamma([0.1, 5, 200.0], 2.0, 3.0), gamma, rtol=1e-8)
    np.testing.assert_allclose(limma.zscore([40.0], "norm", mean=1, sd=2), [19.5], rtol=1e-12)
    np.testing.assert_allclose(limma.zscore([-80.0, 80.0], "norm"), [-80.0, 80.0], rtol=1e-12)
    np.testing.assert_allclose(limma.zscore([3.0], "t", df=7), limma.zscore_t([3.0], 7.0), rtol=1e-10)
    for distribution, parameters, made in [
        ("f", {"df1": 2, "df2": 5}, stats.f(2, 5)),
        ("beta", {"shape1": 2, "shape2": 3}, stats.beta(2, 3)),
        ("exp", {"rate": 2}, stats.expon(scale=0.5)),
        ("binom", {"size": 10, "prob": 0.3}, stats.binom(10, 0.3)),
    ]:
        q = np.array([0.2, 0.7])
        np.testing.assert_allclose(limma.zscore(q, distribution, **parameters), stats.norm.ppf(made.cdf(q)), rtol=1e-8)
    hyper = [-1.56976824, -0.53694682, 0.39619238, 3.27569628]
    np.testing.assert_allclose(limma.zscore_hyper([0, 1, 2, 5], 5, 20, 8), hyper, rtol=1e-7)
    np.testing.assert_allclose(limma.zscore_hyper([5, 5], 5, [2000, 2e6], 8), [7.34327329, 11.05385535], rtol=1e-6)
    with pytest.raises(BadInputError, match="one of norm, t, f"):
        limma.zscore([1.0], "cauchy")
    with pytest.raises(BadInputError, match="has the parameters df1, df2, found df"):
        limma.zscore([1.0], "f", df=2)


def test_logarithms():
    expected = [2.313261687518223, 1000.6931471805599]
    np.testing.assert_allclose(limma.logsumexp([1.0, 1000.0], [2.0, 1000.0]), expected, rtol=1e-14)
    assert limma.logsumexp([-math.inf], [-math.inf]).tolist() == [-math.inf]
    assert limma.logsumexp([math.inf], [math.inf]).tolist() == [math.inf]
    assert limma.logsumexp([1.0, 2.0]) == pytest.approx(2.313261687518223)
    expected = [0.0, 5e-19, 0.43378083048302719, 799.30685281944005, 0.43378083048302719]
    np.testing.assert_allclose(limma.logcosh([0.0, 1e-9, 1.0, -800.0, -1.0]), expected, rtol=1e-14)
    x = np.linspace(-3, 3, 41)
    np.testing.assert_allclose(limma.logcosh(x), np.log(np.cosh(x)), rtol=1e-13, atol=1e-15)


def test_shapes_and_names():
    made = limma.block_diag(np.ones((1, 2)), 2 * np.ones((2, 1)))
    assert made.tolist() == [[1, 1, 0], [0, 0, 2], [0, 0, 2]]
    with pytest.raises(BadInputError, match="1 dimension"):
        limma.block_diag([1.0, 2.0])
    assert limma.make_unique(["a", "b", "a", "c", "b", "a"]) == ["a1", "b1", "a2", "c", "b2", "a3"]
    assert limma.make_unique(["a"] * 11)[0] == "a01"
    assert len(set(limma.make_unique(["a"] * 100))) == 100
