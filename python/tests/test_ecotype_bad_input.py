"""Bad input, row by row of what users meet: refused with a way out, or kept with a word about it."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe

E = fe.ecotype
GENES = [f"gene_{i}" for i in range(30)]


@pytest.fixture
def cells() -> ad.AnnData:
    """Two types in two ecotypes, in two samples."""
    draws = np.random.default_rng(2)
    n = 400
    obs = pd.DataFrame(
        {
            "CellType": np.where(np.arange(n) % 2 == 0, "B", "T"),
            "SE": np.where(np.arange(n) % 4 < 2, "SE1", "SE2"),
            "Sample": np.where(np.arange(n) < n // 2, "s1", "s2"),
        },
        index=[f"cell_{i}" for i in range(n)],
    )
    rate = np.full((n, 30), 1.0)
    for i, (of, label) in enumerate([("B", "SE1"), ("B", "SE2"), ("T", "SE1"), ("T", "SE2")]):
        rate[np.ix_(((obs["CellType"] == of) & (obs["SE"] == label)).to_numpy(), np.arange(6 * i, 6 * i + 6))] = 5.0
    out = ad.AnnData(np.log1p(draws.poisson(rate)).astype(np.float64), obs=obs)
    out.var_names = GENES
    return out


def frames(cells: ad.AnnData) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(cells.X.T, index=cells.var_names, columns=cells.obs_names), cells.obs


def test_metadata_in_another_order_are_matched_by_name(cells):
    values, meta = frames(cells)
    turned = E.train(values, meta.iloc[::-1])
    assert all(turned[name].equals(table) for name, table in E.train(values, meta).items())


def test_metadata_that_miss_cells_are_refused(cells):
    values, meta = frames(cells)
    with pytest.raises(fe.BadInputError, match=r"3 cells have no row in the table: `cell_0`"):
        E.train(values, meta.iloc[3:])


def test_metadata_with_a_cell_twice_are_refused(cells):
    values, meta = frames(cells)
    with pytest.raises(fe.BadInputError, match="more than once"):
        E.train(values, pd.concat([meta, meta.iloc[:1]]))


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_or_zero(cells, strange):
    cells.X[5, 7] = strange
    with pytest.raises(fe.BadInputError, match=r"1 values are not finite.*`gene_7` in cell `cell_5`"):
        E.train(cells)
    zero = cells.copy()
    zero.X[5, 7] = 0
    with pytest.warns(fe.FerrocyteWarning, match="1 values are not finite and count as 0"):
        found = E.train(cells, nan="zero")
    assert all(found[name].equals(table) for name, table in E.train(zero).items())


def test_negative_fractions_are_refused_and_negative_expression_is_not(cells):
    values, _ = frames(cells)
    fractions = pd.DataFrame({"a": [-1.0, 1.0], "b": [2.0, 0.0]}, index=["cell_0", "cell_1"])
    with pytest.raises(fe.BadInputError, match="fractions are >= 0"):
        E.train_w(fractions, values.iloc[:, :2])
    cells.X -= 1
    assert set(E.train(cells)) == {"B", "T"}


def test_constant_and_empty_genes_are_dropped_and_listed(cells):
    cells.X[:, 3], cells.X[:, 4] = 0.0, 1.25
    found = E.train(cells, nfeature_per_se=None)
    for name, table in found.items():
        assert set(found.bases[name]["dropped_genes"]) == {"gene_3", "gene_4"}
        assert not any(feature.startswith(("gene_3__", "gene_4__")) for feature in table.index)


def test_labels_with_two_cells_leak_in_compat_mode_and_are_left_out_else(cells):
    cells.obs.loc[cells.obs_names[[0, 4]], "SE"] = "SE9"
    with pytest.warns(fe.FerrocyteWarning, match="2 cells of `B` are of classes with 2 cells or fewer"):
        leak = E.train(cells, mode="compat")
    with pytest.warns(fe.FerrocyteWarning, match="2 cells of `B`"):
        without = E.train(cells)
    assert set(leak["B"].columns) == set(without["B"].columns) == {"SE1", "SE2"}
    assert not leak["B"].sort_index().equals(without["B"].sort_index())


def test_types_with_one_usable_label_are_skipped_with_a_reason(cells):
    cells.obs.loc[cells.obs["CellType"] == "T", "SE"] = "SE1"
    found = E.train(cells)
    assert list(found) == ["B"]
    assert "T" in found.skipped
    assert found.skipped["T"]


@pytest.mark.parametrize("scale", [True, False])
def test_samples_with_few_cells_are_left_out_scaled_or_not(cells, scale):
    cells.obs.loc[cells.obs_names[:10], "Sample"] = "tiny"
    small = cells[cells.obs["Sample"] != "tiny"].copy()
    ours, theirs = (E.train(of, sample="Sample", scale=scale) for of in (cells, small))
    assert all(np.allclose(ours[name], table, rtol=1e-12) for name, table in theirs.items())


def test_all_samples_with_few_cells_are_an_error_with_counts(cells):
    cells.obs["Sample"] = [f"s{1 + i // 100}" for i in range(400)]
    with pytest.raises(fe.BadInputError, match=r"no sample has more than 60 cells of `B`: `s1` 50, `s2` 50"):
        E.train(cells, sample="Sample", min_cells=60)


def test_a_single_cell_an_empty_cell_and_one_of_two_genes_are_no_ecotype(cells):
    models = E.train(cells)
    with pytest.warns(fe.FerrocyteWarning):
        one = E.recover(cells[:1], models)
    assert list(one.table["SE"]) == ["NonSE"]
    assert list(one.table["reason"]) == ["few_cells"]
    thin = cells.copy()
    thin.X[0], thin.X[1, 2:] = 0, 0
    with pytest.warns(fe.FerrocyteWarning, match="fewer than 3 genes"):
        found = E.recover(thin, models)
    assert list(found.table["SE"][:2]) == ["NonSE"] * 2
    assert list(found.table["reason"][:2]) == ["few_genes"] * 2


def test_few_shared_genes_have_a_reason_and_half_of_them_a_warning(cells):
    models = E.train(cells)
    with pytest.warns(fe.FerrocyteWarning, match="genes of the model"):
        few = E.recover(cells[:, :4], models)
    assert set(few.table["reason"]) == {"few_model_genes"}
    with pytest.warns(fe.FerrocyteWarning, match="genes of the model"):
        E.recover(cells[:, :12], models)


def test_types_without_a_model_are_named_with_near_ones(cells):
    models = E.train(cells)
    named = {"B_cell": models["B"], "T": models["T"]}
    cells.obs["CellType"] = cells.obs["CellType"].replace("B", "Bcell")
    with pytest.warns(fe.FerrocyteWarning, match=r"1 cell types have no model and are NonSE: `Bcell`.*`B_cell`"):
        found = E.recover(cells, named)
    assert set(found.table.loc[found.table["CellType"] == "Bcell", "reason"]) == {"unknown_type"}
    with pytest.raises(fe.BadInputError, match="no cell is of a type that has a model"):
        E.recover(cells, {"Z": models["T"]})


def test_no_models_are_refused(cells, tmp_path):
    with pytest.raises(fe.BadInputError, match="no models given"):
        E.recover(cells, {})
    with pytest.raises(fe.BadInputError, match="no models given"):
        E.aggregate([])
    with pytest.raises(fe.BadFileError, match="no models given"):
        E.Models.read(tmp_path)


@pytest.mark.parametrize("kind", ["category", "int", "float"])
def test_labels_of_any_kind_are_their_texts(cells, kind):
    cells.obs["SE"] = cells.obs["SE"].str[2:]
    plain = E.train(cells)
    cells.obs["SE"] = cells.obs["SE"].astype(kind)
    other = E.train(cells)
    assert list(plain["B"].columns) == ["1", "2"]
    assert all(other[name].equals(table) for name, table in plain.items())


def test_genes_with_one_name_are_refused(cells):
    values, meta = frames(cells)
    with pytest.raises(fe.BadInputError, match=r"1 stand more than once: `gene_0`"):
        E.train(values.rename(index={"gene_1": "gene_0"}), meta)


def test_missing_weights_are_0_with_a_warning(cells):
    models = E.train(cells)
    holed, zero = models["B"].copy(), models["B"].copy()
    holed.iloc[0, 0], zero.iloc[0, 0] = np.nan, 0.0
    with pytest.warns(fe.FerrocyteWarning, match="1 weights are missing and count as 0"):
        found = E.recover(cells, {"B": holed, "T": models["T"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.table.equals(E.recover(cells, {"B": zero, "T": models["T"]}).table)


def test_genes_of_one_name_are_numbered_on_request(cells, tmp_path):
    twice = cells.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice.var_names = [*GENES[:2], GENES[1], *GENES[3:]]
    with pytest.raises(fe.BadInputError, match="stand more than once") as raised:
        E.train(twice)
    assert "unique" in raised.value.hint
    expected = cells.copy()
    expected.var_names = [*GENES[:2], f"{GENES[1]}-1", *GENES[3:]]
    models = E.train(twice, duplicates="unique")
    assert all(models[name].equals(table) for name, table in E.train(expected).items())
    found = E.recover(twice, models, duplicates="unique").table
    pd.testing.assert_frame_equal(found, E.recover(expected, models).table)
    with pytest.raises(fe.BadInputError, match="there is no choice `first`"):
        E.train(twice, duplicates="first")
    expected.write_h5ad(tmp_path / "numbered.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice.write_h5ad(tmp_path / "twice.h5ad")
    for name, more in (("twice", ["--duplicates", "unique"]), ("numbered", [])):
        words = ["ferrocyte", "ecotype", "train", str(tmp_path / f"{name}.h5ad"), "-o", str(tmp_path / name), "-q"]
        assert fe._core.run_program([*words, *more]) == 0
    assert (tmp_path / "twice" / "W_0.tsv").read_bytes() == (tmp_path / "numbered" / "W_0.tsv").read_bytes()
