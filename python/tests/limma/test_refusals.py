"""What limma's verbs, and `de`, refuse or warn of: by name, with the value and a way out."""

from __future__ import annotations

import math

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from ferrocyte import limma
from ferrocyte.errors import BadInputError, FerrocyteWarning, MissingKeyError

G, N = 40, 6
GENES = [f"g{i}" for i in range(G)]
SAMPLES = [f"s{j}" for j in range(N)]
TABLE = pd.DataFrame({"group": list("aaabbb"), "batch": list("xxxyyy"), "donor": list("pqrpqr")}, index=SAMPLES)
DESIGN = limma.model_matrix("~ group", TABLE)


def _values():
    return pd.DataFrame(np.random.default_rng(1).normal(8, 1, size=(G, N)), index=GENES, columns=SAMPLES)


def _counts():
    return pd.DataFrame(np.random.default_rng(1).poisson(100, size=(G, N)), index=GENES, columns=SAMPLES)


Y, COUNTS = _values(), _counts()

#: Every verb that reads a design, with counts or log-values as it wants them.
DESIGNED = {
    "lm_fit": lambda design: limma.lm_fit(Y, design),
    "voom": lambda design: limma.voom(COUNTS, design),
    "voom_with_quality_weights": lambda design: limma.voom_with_quality_weights(COUNTS, design),
    "voom_lm_fit": lambda design: limma.voom_lm_fit(COUNTS, design),
    "vooma": lambda design: limma.vooma(Y, design),
    "vooma_lm_fit": lambda design: limma.vooma_lm_fit(Y, design),
    "array_weights": lambda design: limma.array_weights(Y, design),
    "duplicate_correlation": lambda design: limma.duplicate_correlation(Y, design, block=TABLE["donor"]),
    "filter_by_expr": lambda design: limma.filter_by_expr(COUNTS, design),
    "remove_batch_effect": lambda design: limma.remove_batch_effect(Y, TABLE["donor"], design=design),
    "wsva": lambda design: limma.wsva(Y, design),
}

#: Every verb that reads counts.
COUNTED = {
    "voom": lambda counts: limma.voom(counts, DESIGN),
    "voom_with_quality_weights": lambda counts: limma.voom_with_quality_weights(counts, DESIGN),
    "voom_lm_fit": lambda counts: limma.voom_lm_fit(counts, DESIGN),
    "calc_norm_factors": lambda counts: limma.calc_norm_factors(counts),
    "cpm": lambda counts: limma.cpm(counts),
    "filter_by_expr": lambda counts: limma.filter_by_expr(counts, DESIGN),
    "de": lambda counts: limma.de(counts, "~ group", samples=TABLE),
}


# ---- designs


@pytest.mark.parametrize("verb", DESIGNED)
def test_rows_of_a_design_in_another_order(verb):
    with pytest.raises(BadInputError, match=r"another order .*row 1 is `s5`, sample 1 is `s0`"):
        DESIGNED[verb](DESIGN.iloc[::-1])
    with pytest.raises(BadInputError, match="no samples of the data: `u`"):
        DESIGNED[verb](DESIGN.set_axis(list("uvwxyz")))


@pytest.mark.parametrize("verb", DESIGNED)
def test_nan_in_a_design(verb):
    design = DESIGN.copy()
    design.iloc[2, 1] = np.nan
    with pytest.raises(BadInputError, match="column `groupb` is NaN in row `s2`"):
        DESIGNED[verb](design)


@pytest.mark.parametrize("verb", DESIGNED)
def test_shapes_and_texts_of_designs(verb):
    with pytest.raises(BadInputError, match="5 rows for 6 samples"):
        DESIGNED[verb](DESIGN.iloc[:5])
    with pytest.raises(BadInputError, match="5 rows for 6 samples"):
        DESIGNED[verb](np.ones((5, 1)))
    with pytest.raises(BadInputError, match="expected samples x coefficients, found 3 dimension"):
        DESIGNED[verb](np.ones((6, 1, 1)))
    with pytest.raises(BadInputError, match="design: expected numbers, found the text `a`"):
        DESIGNED[verb](TABLE)
    with pytest.raises(BadInputError, match="design: expected numbers, found the text `a`"):
        DESIGNED[verb](np.array([["a"]] * 6))


def test_a_formula_is_a_design_where_samples_have_columns():
    adata = ad.AnnData(Y.T.to_numpy(), obs=TABLE, var=pd.DataFrame(index=GENES))
    fit = limma.lm_fit(adata, "~ group")
    np.testing.assert_array_equal(fit.coefficients, limma.lm_fit(Y, DESIGN).coefficients)
    assert list(fit.coef_names) == ["(Intercept)", "groupb"]
    with pytest.raises(MissingKeyError, match=r"no column `grup`") as error:
        limma.lm_fit(adata, "~ grup")
    assert "`group`" in str(error.value)
    with pytest.raises(MissingKeyError, match=r"no column `group`"):
        limma.lm_fit(Y, "~ group")


def test_aliased_columns_are_named():
    design = DESIGN.assign(copy=DESIGN["groupb"])
    for verb in ("lm_fit", "voom", "voom_lm_fit", "vooma"):
        with pytest.warns(FerrocyteWarning, match="cannot estimate: `copy`"):
            DESIGNED[verb](design)
    with pytest.warns(FerrocyteWarning):
        fit = limma.lm_fit(Y, design)
    with pytest.raises(BadInputError, match="uses a coefficient that cannot be estimated: `copy`"):
        limma.contrasts_fit(fit, ["copy"])
    assert np.isfinite(limma.contrasts_fit(fit, ["groupb"]).coefficients).all()
    assert limma.non_estimable(design) == ["copy"]


def test_no_replication():
    alone = pd.DataFrame(np.eye(6), index=SAMPLES)
    fit = limma.lm_fit(Y, alone)
    for moderate in (limma.e_bayes, limma.treat):
        with pytest.raises(BadInputError, match="there is no replication"):
            moderate(fit)
    for verb in ("voom", "voom_lm_fit", "vooma"):
        with pytest.warns(FerrocyteWarning, match="no replication: all weights are 1"):
            assert (DESIGNED[verb](alone).weights == 1).all()


# ---- counts and values


@pytest.mark.parametrize("verb", COUNTED)
def test_a_sample_without_counts(verb):
    counts = COUNTS.copy()
    counts["s3"] = 0
    with pytest.raises(BadInputError, match="sample `s3` has library size 0"):
        COUNTED[verb](counts)


def test_a_sample_without_counts_may_stay():
    counts = COUNTS.copy()
    counts["s3"] = 0
    dropped = limma.calc_norm_factors(counts, zero_lib="drop")
    assert np.isnan(dropped).tolist() == [False, False, False, True, False, False]
    np.testing.assert_array_equal(np.delete(dropped, 3), limma.calc_norm_factors(counts.drop(columns="s3")))
    assert limma.calc_norm_factors(counts, method="none", zero_lib="keep").tolist() == [1.0] * 6
    with pytest.raises(BadInputError, match="there is no choice `keeep`"):
        limma.calc_norm_factors(counts, zero_lib="keeep")


@pytest.mark.parametrize("verb", COUNTED)
@pytest.mark.parametrize(("value", "told"), [(-1.0, "has -1 in sample `s2`"), (np.nan, "has NaN in sample `s2`")])
def test_what_is_no_count(verb, value, told):
    counts = COUNTS.astype(float)
    counts.iloc[3, 2] = value
    with pytest.raises(BadInputError, match=f"gene `g3` {told}"):
        COUNTED[verb](counts)


def test_counts_are_no_log_values():
    with pytest.raises(BadInputError, match="these look like counts") as error:
        limma.lm_fit(COUNTS, DESIGN)
    assert "check_counts=False" in str(error.value)
    with pytest.raises(BadInputError, match="these look like counts"):
        limma.lm_fit(ad.AnnData(COUNTS.T.to_numpy().astype(float)), DESIGN.to_numpy())
    assert limma.lm_fit(COUNTS, DESIGN, check_counts=False).shape == (G, 2)
    for weighed in (limma.vooma, limma.vooma_lm_fit, lambda y, x, **o: limma.vooma_by_group(y, list("aaabbb"), x, **o)):
        with pytest.raises(BadInputError, match="these look like counts") as error:
            weighed(COUNTS, DESIGN)
        assert "check_counts=False" in str(error.value)
        assert weighed(COUNTS, DESIGN, check_counts=False).shape[0] == G
    small = COUNTS.clip(upper=40)
    assert limma.lm_fit(small, DESIGN).shape == (G, 2)


def test_texts_among_numbers():
    with pytest.raises(BadInputError, match="expected numbers, found the text `a`"):
        limma.lm_fit(np.array([["a", "b"], ["c", "d"]]))
    mixed = Y.astype(object)
    mixed.iloc[4, 1] = "low"
    with pytest.raises(BadInputError, match="column `s1` holds numbers and the text `low`"):
        limma.lm_fit(mixed, DESIGN)
    with pytest.raises(BadInputError, match="expected numbers, found the text `z`"):
        limma.lm_fit(pd.DataFrame({"s0": ["z"], "s1": ["z"]}))
    # Columns of objects that are numbers are numbers; columns of texts are annotation.
    named = Y.astype(object).assign(symbol=[f"n{i}" for i in range(G)])
    assert list(limma.lm_fit(named, DESIGN).genes["symbol"])[:2] == ["n0", "n1"]


def test_shapes_of_values():
    for values, told in [(np.ones(5), "1 dimension"), (np.ones((2, 3, 4)), "3 dimension"), (None, "1 dimension")]:
        with pytest.raises(BadInputError, match=f"expected genes x samples, found {told}"):
            limma.lm_fit(values)
    with pytest.raises(BadInputError, match="1 genes, expected at least 2"):
        limma.voom(COUNTS.iloc[:1], DESIGN)
    with pytest.raises(BadInputError, match="lib_size: 2 values, expected 6, one per sample"):
        limma.voom(COUNTS, DESIGN, lib_size=[1, 2])
    with pytest.raises(BadInputError, match="lib_size: expected numbers, found the text `a`"):
        limma.voom(COUNTS, DESIGN, lib_size=list("abcdef"))
    with pytest.raises(BadInputError, match="sample `s5` has library size NaN"):
        limma.voom(COUNTS, DESIGN, lib_size=[1e4] * 5 + [np.nan])


def test_a_gene_without_values_is_told():
    y = Y.copy()
    y.iloc[4] = np.nan
    with pytest.warns(FerrocyteWarning, match="1 genes have no value in any sample"):
        fit = limma.lm_fit(y, DESIGN)
    assert np.isnan(fit.sigma).nonzero()[0].tolist() == [4]
    table = limma.top_table(limma.e_bayes(fit), 1, math.inf)
    assert table.index[-1] == "g4"
    assert np.isnan(table["p_value"]).sum() == 1


def test_weights_that_fit_genes_and_samples():
    few = Y.iloc[:6]
    with pytest.warns(FerrocyteWarning, match="6 weights fit the genes and the samples: they are read as weights of g"):
        fit = limma.lm_fit(few, DESIGN, weights=np.arange(1.0, 7.0))
    by_gene = limma.lm_fit(few, DESIGN, weights=np.repeat(np.arange(1.0, 7.0)[:, None], 6, axis=1))
    np.testing.assert_allclose(fit.sigma, by_gene.sigma)
    with pytest.raises(BadInputError, match=r"weights of shape \(7,\) for 40 genes x 6 samples"):
        limma.lm_fit(Y, DESIGN, weights=np.ones(7))


# ---- contrasts, batches, blocks


@pytest.fixture
def fit():
    return limma.lm_fit(Y, DESIGN)


def test_unknown_names_have_near_matches(fit):
    for ask in (
        lambda: limma.make_contrasts("grupb", levels=["(Intercept)", "groupb"]),
        lambda: limma.contrasts_fit(fit, ["grupb"]),
        lambda: limma.de(COUNTS, "~ group", ["grupb"], samples=TABLE),
        lambda: limma.top_table(limma.e_bayes(fit), "grupb"),
    ):
        with pytest.raises(MissingKeyError, match="grupb") as error:
            ask()
        assert "did you mean" in str(error.value)
        assert "groupb" in str(error.value).split("did you mean")[1]


def test_contrasts_that_do_not_fit(fit):
    with pytest.raises(BadInputError, match="3 rows for 2 coefficients"):
        limma.contrasts_fit(fit, np.ones((3, 1)))
    with pytest.raises(BadInputError, match="the weight of `groupb` is NaN"):
        limma.contrasts_fit(fit, np.array([0, np.nan]))
    with pytest.warns(FerrocyteWarning, match="are not named as the coefficients"):
        limma.contrasts_fit(fit, pd.DataFrame({"k": [0.0, 1.0]}, index=["x", "y"]))
    with pytest.raises(BadInputError, match="give contrasts or coefficients"):
        limma.contrasts_fit(fit)


def test_what_is_no_fit(fit):
    for verb in (limma.e_bayes, limma.treat, limma.top_table, limma.top_table_f, limma.contrasts_fit):
        with pytest.raises(BadInputError, match="expected a fit, found DataFrame"):
            verb(Y, ["groupb"]) if verb is limma.contrasts_fit else verb(Y)
    with pytest.raises(BadInputError, match="no moderated statistics") as error:
        limma.top_table(fit)
    assert "e_bayes" in str(error.value)


def test_batches_that_the_design_holds():
    for options in ({"design": DESIGN}, {"group": TABLE["group"]}):
        with pytest.warns(FerrocyteWarning, match="not removed, .*: `batch x`"):
            out = limma.remove_batch_effect(Y, TABLE["batch"], **options)
        np.testing.assert_allclose(out, Y)
    with pytest.raises(BadInputError, match="batch: 2 values, expected 6"):
        limma.remove_batch_effect(Y, ["x", "y"])
    with pytest.raises(BadInputError, match="batch: sample 3 has none"):
        limma.remove_batch_effect(Y, ["x", "y", None, "x", "y", "x"])


def test_blocks():
    blocks = [0, 1, 2, 0, 1, 2]
    with pytest.raises(BadInputError, match="without a correlation"):
        limma.lm_fit(Y, DESIGN, block=blocks)
    with pytest.raises(BadInputError, match="1 is no correlation between -1 and 1"):
        limma.lm_fit(Y, DESIGN, block=blocks, correlation=1.0)
    with pytest.raises(BadInputError, match="block: 2 values, expected 6"):
        limma.lm_fit(Y, DESIGN, block=[1, 2], correlation=0.2)
    with pytest.warns(FerrocyteWarning, match="every block has one sample"):
        assert float(limma.duplicate_correlation(Y, DESIGN, block=range(6))) == 0


# ---- options, tables, means


def test_options_are_checked(fit):
    moderated = limma.e_bayes(fit)
    for ask, told in [
        (lambda: limma.lm_fit(Y, DESIGN, method="robst"), "no choice `robst`"),
        (lambda: limma.calc_norm_factors(COUNTS, method="TMMs"), "no choice `TMMs`"),
        (lambda: limma.top_table(moderated, 1, adjust_method="bh"), "no choice `bh`"),
        (lambda: limma.top_table(moderated, 1, sort_by="size"), "no choice `size`"),
        (lambda: limma.top_table(moderated, 1, 0), "found 0"),
        (lambda: limma.e_bayes(fit, proportion=2), "found 2"),
        (lambda: limma.e_bayes(fit, trend=[1, 2]), "2 values, expected 40, one per gene"),
        (lambda: limma.e_bayes(fit, robust=True, winsor_tail_p=(0.6, 0.6)), r"\[0.6, 0.6\]"),
        (lambda: limma.treat(fit, fc=0.5), "at least 1, found 0.5"),
        (lambda: limma.voom(COUNTS, DESIGN, span=-1, adaptive_span=False), "-1 is no share"),
        (lambda: limma.voom(COUNTS, DESIGN, layer="raw"), "only an AnnData has layers"),
    ]:
        with pytest.raises(BadInputError, match=told):
            ask()
    with pytest.raises(MissingKeyError, match="no layer `raw`"):
        limma.voom(ad.AnnData(COUNTS.T.to_numpy().astype(float)), DESIGN.to_numpy(), layer="raw")


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, "two", True])
def test_numbers_of_threads(n_threads):
    for ask in (
        lambda: limma.lm_fit(Y, DESIGN, n_threads=n_threads),
        lambda: limma.voom(COUNTS, DESIGN, n_threads=n_threads),
        lambda: limma.de(COUNTS, "~ group", samples=TABLE, n_threads=n_threads),
    ):
        with pytest.raises(BadInputError, match="n_threads: expected a whole number of at least 1"):
            ask()


def test_genes_of_one_name_stand_in_a_column():
    y = Y.set_axis(["twin", "twin", *GENES[2:]])
    y.iloc[:2, 3:] += 9
    table = limma.top_table(limma.e_bayes(limma.lm_fit(y, DESIGN)), 1, 3)
    assert table.columns[0] == "ID"
    assert list(table["ID"])[:2] == ["twin", "twin"]
    assert set(table.index[:2]) == {0, 1}


# ---- de


def test_tables_of_samples():
    def de(samples):
        return limma.de(COUNTS, "~ group", samples=samples)

    with pytest.raises(BadInputError, match="2 of 6 samples have no row: `s4`, `s5`"):
        de(TABLE.iloc[:4])
    with pytest.raises(BadInputError, match="1 rows repeat the name of another: `s0`"):
        de(pd.concat([TABLE, TABLE.iloc[:1]]))
    whole = de(TABLE).table
    for samples in (
        TABLE.iloc[::-1],
        pd.concat([TABLE, TABLE.rename(lambda name: name + "_other")]),
        TABLE.reset_index(names="sample"),
    ):
        pd.testing.assert_frame_equal(de(samples).table, whole)


def test_columns_of_samples():
    with pytest.raises(MissingKeyError, match="no column `grop`") as error:
        limma.de(COUNTS, "~ grop", samples=TABLE)
    assert "`group`" in str(error.value)
    with pytest.raises(MissingKeyError, match="no column `donr`") as error:
        limma.de(COUNTS, "~ group", samples=TABLE, block="donr")
    assert "`donor`" in str(error.value)
    with pytest.raises(MissingKeyError, match="no column `cell_type`"):
        limma.de(COUNTS, "~ group", samples=TABLE, groups="cell_type")
    with pytest.raises(BadInputError, match="`group` has no value in sample `s1`"):
        limma.de(COUNTS, "~ group", samples=TABLE.assign(group=["a", None, "a", "b", "b", "b"]))


def test_a_group_without_replication_is_a_row_with_a_reason():
    wide = pd.concat([COUNTS, COUNTS.iloc[:, [0, 3]].add_suffix("_t")], axis=1)
    table = pd.concat([TABLE.assign(cell="many"), TABLE.iloc[[0, 3]].assign(cell="few").rename(lambda s: s + "_t")])
    with pytest.warns(FerrocyteWarning, match="1 of 2 groups are not fitted"):
        found = limma.de(wide, "~ group", samples=table, groups="cell")
    few = found.select("few")
    assert len(few) == 1
    assert np.isnan(few["p_value"]).all()
    assert "replication" in few["reason"].iloc[0]
    assert len(found.select("many")) == G
    assert list(found.fits) == ["many"]
    with pytest.raises(BadInputError, match="no replication"):
        limma.de(COUNTS[["s0", "s3"]], "~ group", samples=TABLE)


def test_means_need_the_trend():
    with pytest.raises(BadInputError, match="means over cells are no counts"):
        limma.de(COUNTS, "~ group", samples=TABLE, mode="mean")
    with pytest.raises(BadInputError, match="means over cells are no counts"):
        limma.de(COUNTS, "~ group", samples=TABLE, mode="mean", method="voom")


def test_what_cannot_be_analysed():
    with pytest.raises(BadInputError, match="0 genes have enough counts"):
        limma.de(COUNTS * 0 + 1, "~ group", samples=TABLE)
    with pytest.raises(BadInputError, match="no coefficient but the intercept"):
        limma.de(COUNTS, "~ 1", samples=TABLE)
    with pytest.raises(BadInputError, match="cannot be estimated: `batchy`"):
        limma.de(COUNTS, "~ group + batch", samples=TABLE)
    with pytest.raises(BadInputError, match="no choice `vom`"):
        limma.de(COUNTS, "~ group", samples=TABLE, method="vom")


def test_what_is_stored_survives_the_disk(tmp_path):
    adata = ad.AnnData(COUNTS.T.to_numpy().astype(float), obs=TABLE, var=pd.DataFrame(index=GENES))
    found = limma.de(adata, "~ group")
    assert not adata.uns
    found.store(adata)
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    kept = back.uns["limma"]["table"]
    for name in ("log_fc", "p_value", "adj_p_value", "ave_expr", "t"):
        np.testing.assert_array_equal(kept[name].to_numpy(float), found.table[name].to_numpy(float))
    assert list(kept["gene"].astype(str)) == list(found.table["gene"].astype(str))
    fit = next(iter(found.fits.values()))
    rows = back.var_names.get_indexer(fit.genes.index)
    np.testing.assert_array_equal(back.varm["limma_log_fc"].iloc[rows].to_numpy(), fit.coefficients)
