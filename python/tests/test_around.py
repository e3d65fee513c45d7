"""What stands around a fit: masks of genes, missing values, units, the look at a design, and what stands behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from common import FORMULA

import ferrocyte as fe

LIBSIZE = "~ log(libsize) + condition + (1 | sample)"


def test_a_mask_keeps_totals_of_all_genes(adata, tmp_path):
    adata = adata.copy()
    adata.var["chosen"] = np.arange(adata.n_vars) % 3 == 0
    whole = fe.lmm.fit(adata, LIBSIZE, moderate=False)
    some = fe.lmm.fit(adata, LIBSIZE, moderate=False, mask_var="chosen")
    chosen = adata.var["chosen"].to_numpy()
    assert list(some.genes) == list(adata.var_names[chosen])
    pd.testing.assert_frame_equal(some.coef, whole.coef[chosen])
    pd.testing.assert_frame_equal(fe.lmm.fit(adata, LIBSIZE, moderate=False, mask_var=chosen).coef, some.coef)
    # A filtered AnnData has other totals.
    assert not np.allclose(fe.lmm.fit(adata[:, chosen].copy(), LIBSIZE, moderate=False).coef, some.coef)
    path = tmp_path / "study.h5ad"
    adata.write_h5ad(path)
    of_file = fe.lmm.fit(path, LIBSIZE, moderate=False, mask_var="chosen")
    np.testing.assert_array_equal(of_file.coef, some.coef)
    assert some.provenance["options"]["mask_var"] == "chosen"


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ("nothing", "there is no column `nothing`"),
        ("score", "expected truth values"),
        ([True, False], "2 truth values for"),
        (np.ones(3), "expected the name of a column of var or truth values"),
        ("none", "none of .* genes is kept"),
    ],
)
def test_masks_that_are_none_are_refused(adata, mask, said):
    adata = adata.copy()
    adata.var["score"] = 0.5
    adata.var["none"] = False
    with pytest.raises((fe.BadInputError, fe.MissingKeyError), match=said):
        fe.lmm.fit(adata, FORMULA, mask_var=mask)


def test_raw_is_a_word_away(adata):
    adata = adata.copy()
    adata.raw = adata.copy()
    adata.X = adata.X * 0
    pd.testing.assert_frame_equal(
        fe.lmm.fit(adata, FORMULA, use_raw=True).coef, fe.lmm.fit(adata, FORMULA, layer="raw").coef
    )
    with pytest.raises(fe.BadInputError, match="both asked for"):
        fe.lmm.fit(adata, FORMULA, use_raw=True, layer="counts")


def test_cells_without_values_are_refused_or_left_out(adata):
    adata = adata.copy()
    adata.obs["age"] = np.linspace(20, 60, adata.n_obs)
    adata.obs.loc[adata.obs_names[[3, 7]], "age"] = np.nan
    condition = adata.obs["condition"].astype(object)
    condition.iloc[[7, 11]] = None
    adata.obs["condition"] = pd.Categorical(condition)
    formula = "~ age + condition + (1 | sample)"
    with pytest.raises(
        fe.BadInputError, match=r"`age` is missing in 2 cells; `condition` is missing in 2 cells\nhint: .*drop"
    ):
        fe.lmm.fit(adata, formula)
    with pytest.warns(fe.FerrocyteWarning, match="cells lack"):
        dropped = fe.lmm.fit(adata, formula, na="drop")
    kept = [i for i in range(adata.n_obs) if i not in (3, 7, 11)]
    pd.testing.assert_frame_equal(dropped.coef, fe.lmm.fit(adata[kept].copy(), formula).coef, rtol=1e-10)
    assert any("2 cells lack `age`" in warning for warning in dropped.provenance["warnings"])
    adata.obs["age"] = np.nan
    with pytest.raises(fe.BadInputError, match="no cell is left"):
        fe.lmm.fit(adata, formula, na="drop")


def test_rare_genes_are_left_to_a_status(adata):
    n = np.asarray((adata.X > 0).sum(axis=0)).ravel()
    least = int(np.median(n))
    fit = fe.lmm.fit(adata, FORMULA, min_cells=least)
    assert list(fit.status == "few_cells") == list(n < least)
    table = fit.contrast("condition", "stim", "ctrl")
    few = table["status"] == "few_cells"
    assert table.loc[few, ["estimate", "p_value", "adj_p_value"]].isna().all().all()
    assert fit.coef[(fit.status == "few_cells").to_numpy()].isna().all().all()
    # They count in no adjustment: the same as leaving them out.
    masked = fe.lmm.fit(adata, FORMULA, mask_var=n >= least).contrast("condition", "stim", "ctrl")
    np.testing.assert_allclose(table.loc[~few, "adj_p_value"], masked["adj_p_value"], rtol=1e-9)
    two_terms = fe.lmm.fit(adata, "~ log(libsize) + condition + (1 | donor) + (1 | sample)", min_cells=least)
    table = two_terms.contrast("condition", "stim", "ctrl")
    assert table.loc[table["status"] == "few_cells", "p_value"].isna().all()
    assert table.loc[table["status"] != "few_cells", "p_value"].notna().all()
    with pytest.raises(fe.BadInputError, match="min_cells"):
        fe.lmm.fit(adata, FORMULA, min_cells=-1)


def test_estimates_come_in_log2_on_request(adata):
    fit = fe.lmm.fit(adata, FORMULA)
    plain, log2 = (fit.contrast("condition", "stim", "ctrl", unit=unit) for unit in ("model", "log2"))
    for name in ("estimate", "se"):
        np.testing.assert_allclose(log2[name], plain[name] / np.log(2), rtol=1e-14)
    pd.testing.assert_frame_equal(log2.drop(columns=["estimate", "se"]), plain.drop(columns=["estimate", "se"]))
    assert log2.attrs["units"]["estimate"] == "difference of log2(1 + count)"
    fitted_in_log2 = fe.lmm.fit(adata, FORMULA, transform="log2p1").contrast("condition", "stim", "ctrl", unit="log2")
    by_gene = log2.set_index("gene").loc[fitted_in_log2["gene"], "estimate"]
    np.testing.assert_allclose(fitted_in_log2["estimate"], by_gene, rtol=1e-6)
    with pytest.raises(fe.BadInputError, match="no logarithm"):
        fe.lmm.fit(adata, FORMULA, transform="none").contrast("condition", "stim", "ctrl", unit="log2")


def test_weights_are_refused_in_words(adata):
    with pytest.raises(fe.UnsupportedError, match="cells have no weights") as raised:
        fe.lmm.fit(adata, FORMULA, weights=np.ones(adata.n_obs))
    assert "covariate" in str(raised.value)


def test_support_is_counted_from_the_cells(adata):
    obs = adata.obs
    fit = fe.lmm.fit(adata, "~ log(libsize) + cell_type * condition + (1 | sample)")
    found = fit.support().set_index("coefficient")
    stim = obs["condition"] == "stim"
    assert found.loc["conditionstim", "n_cells"] == stim.sum()
    assert found.loc["conditionstim", "n_sample"] == obs.loc[stim, "sample"].nunique()
    second = sorted(obs["cell_type"].unique())[1]
    both = stim & (obs["cell_type"] == second)
    assert found.loc[f"cell_type{second}:conditionstim", "n_cells"] == both.sum()
    assert found.loc["log(libsize)", "n_cells"] == len(obs)
    looked = fe.lmm.check(adata, "~ log(libsize) + cell_type * condition + (1 | sample)").coefficients
    pd.testing.assert_frame_equal(looked, fit.support())


def test_a_design_can_be_looked_at_before_the_fit(adata, tmp_path):
    adata = adata.copy()
    adata.obs["site"] = pd.Categorical(
        np.where(adata.obs["donor"].isin(sorted(adata.obs["donor"].unique())[:2]), "x", "y")
    )
    found = fe.lmm.check(adata, "~ donor + condition + site + cell_type + (1 | sample)")
    table = found.terms.set_index("term")
    assert not found.ok
    assert table.loc["site", "status"] == "aliased"
    assert "donor" in table.loc["site", "reason"]
    samples, donors = adata.obs["sample"].nunique(), adata.obs["donor"].nunique()
    assert table.loc["condition", "df"] == samples - donors - 1
    assert table.loc["cell_type", "unit"] == "cell"
    assert "site" in repr(found)
    path = tmp_path / "study.h5ad"
    adata.write_h5ad(path)
    pd.testing.assert_frame_equal(
        fe.lmm.check(path, "~ condition + (1 | sample)", groups="cell_type").terms,
        fe.lmm.check(adata, "~ condition + (1 | sample)", groups="cell_type").terms,
    )
    with_donor_only = fe.lmm.check(adata, "~ condition + (1 | donor)")
    assert any("(1 | sample)" in warning for warning in with_donor_only.warnings)
