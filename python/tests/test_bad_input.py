"""Each row of the bad-input table of the specification: the message names what, where, the value, and the way out."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from common import FORMULA
from scipy import sparse

import ferrocyte as fe


def refuse(data, formula=FORMULA, *words, kind=fe.BadInputError, **options):
    with pytest.raises(kind) as caught:
        fe.lmm.fit(data, formula, **options)
    text = str(caught.value)
    for word in words:
        assert word in text, text
    return caught.value


def floats(adata):
    adata.X = adata.X.astype(np.float64)
    return adata


# Values of the matrix


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "inf")])
def test_values_that_are_not_finite(adata, value, word):
    floats(adata).X[17, 5] = value
    error = refuse(adata, FORMULA, "gene6", "cell18", "X of AnnData", word, transform="none")
    assert "1 such" in str(error)
    assert error.hint


def test_negative_values_with_a_count_transform(adata):
    floats(adata).X[17, 5] = -2.0
    error = refuse(adata, FORMULA, "gene6", "-2", "negative")
    assert "none" in error.hint
    refuse(adata, FORMULA, "-2", trust_values=True)


def test_values_that_are_no_counts_name_the_layer_that_holds_counts(adata):
    adata.layers["counts"] = adata.X.copy()
    adata.layers["scaled"] = adata.X * 0.3
    adata.X = np.log1p(adata.X)
    error = refuse(adata, FORMULA, "not a whole number", "X of AnnData", "cell1")
    assert "layers['counts']" in error.hint
    assert "scaled" not in error.hint
    assert 'transform="none"' in error.hint
    fe.lmm.fit(adata, FORMULA, layer="counts")
    fe.lmm.fit(adata, FORMULA, transform="none")
    fe.lmm.fit(adata, FORMULA, trust_values=True)


def test_counts_in_raw_are_named(adata):
    adata.raw = adata.copy()
    adata.X = np.log1p(adata.X)
    assert "raw/X" in refuse(adata).hint


def test_counts_of_a_file_are_named(adata, tmp_path):
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "logged.h5ad")
    assert "layers/counts" in refuse(tmp_path / "logged.h5ad").hint


def test_a_late_value_that_is_no_count(adata):
    """Beyond the rows that are looked at first."""
    import anndata as ad

    big = ad.concat([adata] * 6, index_unique="-")
    big.X = sparse.csr_matrix(big.X, dtype=np.float64)
    big.X[1430, 5] = 0.5
    refuse(big, FORMULA, "gene6", "0.5", big.obs_names[1430])


# Columns of obs


def test_missing_values(adata):
    adata.obs["age"] = adata.obs["age"].astype(float)
    adata.obs.loc[adata.obs_names[:7], "age"] = np.nan
    adata.obs.loc[adata.obs_names[3:5], "condition"] = None
    error = refuse(adata, "~ age + condition + (1 | sample)", "`age`", "7 cells", "`condition`", "2 cells")
    assert error.hint


def test_infinite_covariates(adata):
    adata.obs.loc[adata.obs_names[2], "age"] = np.inf
    refuse(adata, "~ age + condition + (1 | sample)", "age")


def test_log_of_zero(adata):
    adata.obs["depth"] = np.arange(adata.n_obs, dtype=float)
    refuse(adata, "~ log(depth) + condition + (1 | sample)", "log(depth)")


def test_cells_without_counts_under_log_libsize(adata):
    adata.X = sparse.csr_matrix(sparse.diags((np.arange(adata.n_obs) >= 2).astype(np.float32)) @ adata.X)
    error = refuse(adata, FORMULA, "cell1", "cell2", "2 cells")
    assert error.hint
    fe.lmm.fit(adata, "~ condition + (1 | sample)")


def test_unknown_column(adata):
    error = refuse(adata, "~ condtion + (1 | sample)", "condtion", "condition", kind=fe.MissingKeyError)
    assert isinstance(error, KeyError)
    refuse(adata, FORMULA, "cell_typ", "cell_type", kind=fe.MissingKeyError, groups="cell_typ")


def test_unknown_layer(adata, tmp_path):
    refuse(adata, FORMULA, "`cuonts`", "X", kind=fe.MissingKeyError, layer="cuonts")
    adata.write_h5ad(tmp_path / "a.h5ad")
    refuse(tmp_path / "a.h5ad", FORMULA, "cuonts", "a.h5ad", kind=fe.MissingKeyError, layer="cuonts")
    refuse(adata, FORMULA, "raw", kind=fe.MissingKeyError, layer="raw")


def test_a_column_that_cannot_be_read(adata):
    adata.obs["day"] = pd.Timestamp("2020-01-01")
    refuse(adata, "~ day + (1 | sample)", "`day`", "datetime")


# Designs


def test_aliased_columns(adata):
    adata.obs["treated"] = (adata.obs["condition"] == "stim").astype(float)
    error = refuse(adata, "~ condition + treated + (1 | sample)", "treated", "condition")
    assert error.hint
    with pytest.warns(fe.FerrocyteWarning, match="treated"):
        fit = fe.lmm.fit(adata, "~ condition + treated + (1 | sample)", aliased="drop")
    assert "treated" not in fit.coefficients or fit.coef["treated"].isna().all()


def test_more_coefficients_than_cells(adata):
    small = adata[[0, 21, 60, 100, 140, 180]].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.FerrocyteWarning)
        refuse(small, "~ donor + condition + age + (1 | sample)")


def test_unused_levels_are_dropped_and_named(adata):
    adata.obs["donor"] = adata.obs["donor"].cat.add_categories(["d99"])
    with pytest.warns(fe.FerrocyteWarning, match="d99"):
        fit = fe.lmm.fit(adata, FORMULA)
    assert "donord99" not in fit.coefficients


def test_one_sample_per_condition_is_no_replication(adata):
    few = adata[adata.obs["donor"] == "d1"].copy()
    for name in ("donor", "sample"):
        few.obs[name] = few.obs[name].cat.remove_unused_categories()
    with pytest.warns(fe.FerrocyteWarning, match="no replication"):
        fe.lmm.fit(few, "~ condition + (1 | sample)")


def test_missing_term_for_the_unit_treated(adata):
    with pytest.warns(fe.FerrocyteWarning, match=r"sample.*type I error"):
        fit = fe.lmm.fit(adata, "~ condition + (1 | donor)")
    with pytest.warns(fe.FerrocyteWarning, match="sample"):
        fit.contrast("condition", "stim", "ctrl")


def test_a_sample_with_one_cell_is_fine(adata):
    keep = (adata.obs["sample"] != "d1_ctrl").to_numpy() | (np.arange(adata.n_obs) == 3)
    fit = fe.lmm.fit(adata[keep], FORMULA)
    assert fit.groups.loc["all", "units"] == "12 sample"
    assert fit.coef.notna().all().all()


def test_an_empty_gene_has_a_status(adata):
    adata.X = sparse.csr_matrix(adata.X @ sparse.diags((np.arange(adata.n_vars) != 8).astype(np.float32)))
    fit = fe.lmm.fit(adata, FORMULA)
    assert fit.status["gene9"] == "all_zero"
    assert fit.coef.loc["gene9"].isna().all()
    assert fit.theta.loc["gene9"].isna().all()
    assert fit.coef.drop("gene9").notna().all().all()
    table = fit.contrast("condition", "stim", "ctrl").set_index("gene")
    assert np.isnan(table.loc["gene9", "p_value"])
    # It is not counted among the tests.
    from scipy.stats import false_discovery_control

    others = table.drop("gene9")
    np.testing.assert_allclose(others["adj_p_value"], false_discovery_control(others["p_value"]), rtol=1e-10)


def test_a_group_that_cannot_be_fitted_stops_no_other(adata):
    adata.obs["part"] = pd.Categorical(
        np.where(adata.obs["condition"] == "stim", "both", "both"), categories=["both", "stim only"]
    )
    rare = (adata.obs["condition"] == "stim").to_numpy() & (np.arange(adata.n_obs) % 9 == 0)
    adata.obs.loc[rare, "part"] = "stim only"
    with pytest.warns(fe.FerrocyteWarning, match="stim only"):
        fit = fe.lmm.fit(adata, "~ donor + condition + (1 | sample)", groups="part")
    assert fit.groups.loc["both", "refused"] == ""
    assert (fit.coef.loc["both", "conditionstim"]).notna().all()
    table = fit.contrast("condition", "stim", "ctrl").set_index("group")
    assert set(table.loc["stim only", "status"]) <= {"group_not_fitted", "not_estimable"}
    assert table.loc["stim only", "reason"].str.len().min() > 10
    assert table.loc["both", "p_value"].notna().all()


@pytest.mark.parametrize(
    "formula",
    [
        "~ condition ^ 2 + (1 | sample)",
        "~ poly(age, 2) + (1 | sample)",
        "~ condition %in% donor + (1 | sample)",
        "~ condition + (1 + age | sample)",
    ],
)
def test_operators_outside_the_list_are_refused(adata, formula):
    with pytest.raises(fe.FerrocyteError) as caught:
        fe.lmm.fit(adata, formula)
    assert len(str(caught.value)) > 30


def test_a_correlated_slope_is_refused_with_the_alternative(adata):
    with pytest.raises(fe.FerrocyteError, match=r"\|\|"):
        fe.lmm.fit(adata, "~ condition + (1 + age | sample)")


def test_no_random_term(adata):
    refuse(adata, "~ condition", "random", "(1 | sample)")


# Arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "reml"}, ["method", "`REML`, `ML`"]),
        ({"negative": "no"}, ["negative", "`allow`, `zero`"]),
        ({"transform": "log"}, ["transform", "`log1p`"]),
        ({"aliased": "keep"}, ["aliased", "`drop`"]),
        ({"n_threads": 0}, ["n_threads", "0"]),
        ({"max_memory": "many"}, ["max_memory", "many"]),
        ({"max_memory": -1}, ["max_memory", "-1"]),
        ({"transform": "lognorm", "target_sum": 0}, ["target_sum", "0"]),
        ({"target_sum": 1e4}, ["target_sum", "lognorm"]),
    ],
)
def test_options(adata, options, words):
    refuse(adata, FORMULA, *words, **options)


def test_data_of_another_kind():
    refuse(np.ones((3, 3)), FORMULA, "ndarray", "AnnData")


def test_formula_given_twice_or_never(adata):
    sums = fe.lmm.sums(adata, FORMULA)
    # Sums answer their own formula, and refuse what they cannot know.
    assert fe.lmm.fit(sums, FORMULA).coef.equals(fe.lmm.fit(sums).coef)
    refuse(sums, "~ age + (1 | sample)", "age", "sums", kind=fe.MissingKeyError)
    refuse(sums, None, "groups", groups="cell_type")
    with pytest.raises(fe.BadInputError, match="no formula"):
        fe.lmm.fit(adata)


def test_too_little_memory(adata):
    error = refuse(adata, FORMULA, "budget", kind=fe.TooLargeError, max_memory=1000)
    assert "max_memory" in error.hint
    assert isinstance(error, MemoryError)


def test_unknown_contrasts_list_near_names(fit):
    with pytest.raises(fe.MissingKeyError, match="conditionstim"):
        fit.test("conditionstin")
    with pytest.raises(fe.MissingKeyError, match="stim"):
        fit.contrast("condition", "stin", "ctrl")
    with pytest.raises(fe.MissingKeyError, match="condition"):
        fit.contrast("conditio", "stim", "ctrl")
    with pytest.raises(fe.BadInputError, match="product"):
        fit.test("conditionstim * donord2")
    with pytest.raises(fe.BadInputError, match="no contrast"):
        fit.test([])


@pytest.mark.parametrize("name", ["df", "alternative", "adjust"])
def test_words_of_tests(fit, name):
    with pytest.raises(fe.BadInputError, match=name):
        fit.test("conditionstim", **{name: "none"})


def test_moderated_where_it_is_not_possible(adata):
    few = fe.lmm.fit(adata[:, :10], FORMULA)
    with pytest.raises(fe.BadInputError, match="10 genes"):
        few.test("conditionstim", df="moderated")
    assert few.test("conditionstim")["p_value"].notna().all()


# Files


def test_files(tmp_path):
    refuse(tmp_path / "none.h5ad", FORMULA, "none.h5ad", kind=fe.BadFileError)
    broken = tmp_path / "broken.h5ad"
    broken.write_bytes(b"not a file of any kind")
    error = refuse(broken, FORMULA, "broken.h5ad", kind=fe.BadFileError)
    assert isinstance(error, OSError)
    part = tmp_path / "part.npz"
    np.savez(part, a=np.ones(3))
    with pytest.raises(fe.FerrocyteError, match=r"part\.npz"):
        fe.lmm.load(part)
    fe.lmm.sums_from_arrays(
        XX=np.eye(1) * 9,
        ZX=np.ones((3, 1)) * 3,
        ZZ=np.eye(3) * 3,
        XY=np.ones((2, 1)),
        ZY=np.ones((2, 3)) / 3,
        Ynorm=[5, 5],
        n=9,
    ).save(tmp_path / "sums.npz")
    with pytest.raises(fe.FerrocyteError, match=r"lmm\.fit.*lmm\.sums"):
        fe.lmm.load(tmp_path / "sums.npz")


def test_strangers_do_not_merge(adata):
    sums = fe.lmm.sums(adata, FORMULA)
    with pytest.raises(fe.BadInputError, match="formula"):
        sums.merge(fe.lmm.sums(adata, "~ condition + (1 | sample)"))
    with pytest.raises(fe.BadInputError, match="transform"):
        sums.merge(fe.lmm.sums(adata, FORMULA, transform="log2p1"))
    with pytest.raises(fe.BadInputError, match="gene"):
        sums.merge(fe.lmm.sums(adata[:, ::-1], FORMULA))


def test_arrays_that_do_not_fit(adata):
    made = fe.lmm.sums(adata, "~ condition + (1 | sample)").arrays()
    arrays = {name: made[name] for name in ("XX", "ZX", "ZZ", "XY", "ZY", "Ynorm", "n")}
    for name, value, word in (
        ("XY", made["XY"][:, :1], "XY"),
        ("ZX", made["ZX"].T, "ZX"),
        ("Ynorm", made["Ynorm"][:-1], "Ynorm"),
        ("d", [3, 3], "d"),
        ("XX", made["XX"] * np.nan, "XX"),
        ("coefficients", ["one"], "names"),
    ):
        with pytest.raises(fe.BadInputError, match=word):
            fe.lmm.sums_from_arrays(**{**arrays, name: value})
