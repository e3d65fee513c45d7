"""Over-representation: against scipy's hypergeometric distributions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ferrocyte as fe
from ferrocyte import limma

GENES = [f"g{i}" for i in range(400)]


@pytest.fixture
def table():
    rng = np.random.default_rng(6)
    pairs = {(gene, f"p{rng.integers(12)}") for gene in rng.choice(GENES, 900)}
    return pd.DataFrame(sorted(pairs), columns=["gene", "path"])


@pytest.fixture
def selected():
    return [str(gene) for gene in np.random.default_rng(7).choice(GENES, 50, replace=False)]


def counts(table, selected):
    annotated = table.groupby("path").gene.agg(set)
    return annotated.map(len), annotated.map(lambda genes: len(genes & set(selected)))


def test_without_a_covariate_it_is_hypergeometric(table, selected):
    found = limma.kegga(selected, table, pd.DataFrame({"id": ["p0"], "name": ["glycolysis"]}), GENES)
    n, x = counts(table, selected)
    assert list(found.index) == sorted(n.index)
    assert found.loc["p0", "Pathway"] == "glycolysis"
    assert found.loc["p1", "Pathway"] == "p1"
    for path in n.index:
        assert (found.loc[path, "N"], found.loc[path, "DE"]) == (n[path], x[path])
        np.testing.assert_allclose(
            found.loc[path, "P.DE"], stats.hypergeom.sf(x[path] - 1, 400, n[path], 50), rtol=1e-9
        )


def test_with_a_covariate_it_is_wallenius(table, selected):
    covariate = np.random.default_rng(8).normal(size=400)
    found = limma.kegga({"A": selected}, table, universe=GENES, covariate=covariate)
    chances = pd.Series(limma.goana_trend(np.isin(GENES, selected), covariate), index=GENES)
    n, x = counts(table, selected)
    for path, genes in table.groupby("path").gene:
        inside = chances[list(genes)]
        odds = inside.mean() * (400 - n[path]) / (chances.sum() - inside.sum())
        p = stats.nchypergeom_wallenius.sf(x[path] - 1, 400, n[path], 50, odds)
        np.testing.assert_allclose(found.loc[path, "P.A"], p, rtol=1e-6)
    given = limma.kegga({"A": selected}, table, universe=GENES, prior_prob=chances.to_numpy())
    pd.testing.assert_frame_equal(found, given)


def test_wallenius_far_out():
    universe = [f"g{i}" for i in range(2000)]
    chances = np.where(np.arange(2000) < 100, 0.3, 0.1)
    found = limma.kegga(universe[:60] + universe[500:540], {"p": universe[:100]}, universe=universe, prior_prob=chances)
    p = sum(stats.nchypergeom_wallenius.pmf(x, 2000, 100, 100, 3.0) for x in range(60, 101))
    np.testing.assert_allclose(found.loc["p", "P.DE"], p, rtol=1e-6)
    assert found.loc["p", "P.DE"] < 1e-20


def test_the_universe(table, selected):
    default = limma.kegga(selected, table)
    annotated = list(dict.fromkeys(table.gene))
    known = [gene for gene in selected if gene in annotated]
    pd.testing.assert_frame_equal(default, limma.kegga(known, table, universe=annotated))
    restricted = limma.kegga(selected, table, universe=GENES, restrict_universe=True)
    pd.testing.assert_frame_equal(default, restricted)
    twice = limma.kegga(selected, table, universe=GENES + GENES[:50])
    pd.testing.assert_frame_equal(twice, limma.kegga(selected, table, universe=GENES))
    by_path = table.groupby("path").gene.agg(list).to_dict()
    pd.testing.assert_frame_equal(default, limma.kegga(selected, by_path))


def test_numbers_are_names_too():
    pairs = pd.DataFrame({"gene": [1.0, 2.0, 3.0, 4.0], "path": ["a", "a", "b", "b"]})
    found = limma.kegga(["1", "2"], pairs, universe=["1", "2", "3", "4", "5"])
    assert found.loc["a", "DE"] == 2


def test_a_fit_gives_up_and_down_and_a_trend(table):
    rng = np.random.default_rng(9)
    y = pd.DataFrame(rng.normal(size=(400, 8)), index=GENES)
    y.iloc[:30, 4:] += 4
    y.iloc[30:50, 4:] -= 4
    fit = limma.e_bayes(limma.lm_fit(y, pd.DataFrame({"mean": 1.0, "x": np.repeat([0.0, 1.0], 4)})))
    pairs = pd.concat([table, pd.DataFrame({"gene": GENES[:20], "path": "rising"})])
    found = limma.kegga(fit, pairs, coef="x")
    assert list(found.columns) == ["Pathway", "N", "Up", "Down", "P.Up", "P.Down"]
    assert found.loc["rising", "Up"] == 20
    assert list(limma.top_kegg(found, "Up", 1).index) == ["rising"]
    trended = limma.kegga(fit, pairs, trend=True)
    assert not np.allclose(trended["P.Up"], found["P.Up"])
    terms = pd.DataFrame({"id": ["rising", "p0"], "term": ["a very long name of a term", "p"], "ont": ["BP", "CC"]})
    ontology = limma.goana(fit, pairs, terms)
    assert list(ontology.columns[:3]) == ["Term", "Ont", "N"]
    assert list(limma.top_go(ontology, "BP", truncate_term=10).Term[:1]) == ["a very ..."]


def test_the_trend_by_hand():
    covariate = np.arange(60.0)[::-1]
    covariate[5] = np.nan
    index = np.arange(12)
    found = limma.goana_trend(index, covariate, n_prior=4)
    there = np.setdiff1d(np.arange(60), [5])
    order = there[np.argsort(covariate[there])]
    smooth = limma.tricube_moving_average(np.isin(order, index).astype(float), 1.0)
    np.testing.assert_allclose(found[order], (11 / 59 * 4 + smooth * 11) / 15, rtol=1e-12)
    assert found[5] == 12 / 60


def test_what_cannot_be_tested_is_told(table, selected):
    with pytest.warns(fe.FerrocyteWarning, match="1 genes of `DE` are not in the universe: TP53"):
        limma.kegga([*selected, "TP53"], table, universe=GENES)
    with pytest.warns(fe.FerrocyteWarning, match="no gene of `DE`"):
        limma.kegga(["TP53"], table, universe=GENES)
    with pytest.raises(fe.errors.BadInputError, match="no gene of the table"):
        limma.kegga(["TP53"], table, universe=["TP53", "GATA1"])
    with pytest.raises(fe.errors.BadInputError, match="need the universe"):
        limma.kegga(selected, table, covariate=np.ones(400))
    with pytest.raises(fe.errors.BadInputError, match="no list `Up`"):
        limma.top_kegg(limma.kegga(selected, table), "Up")
