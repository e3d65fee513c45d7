"""Saved sums asked again: other models, fewer genes, more genes."""

from __future__ import annotations

import numpy as np
import pytest

import ferrocyte as fe

RICH = "~ log(libsize) + donor + condition*cell_type + (1 | sample)"


@pytest.fixture
def rich(adata):
    return fe.lmm.sums(adata, RICH)


@pytest.mark.parametrize(
    "formula",
    [
        "~ log(libsize) + donor + condition + (1 | sample)",
        "~ condition + (1 | donor) + (1 | sample)",
        "~ 0 + condition:cell_type + (1 | sample)",
    ],
)
def test_sub_models_are_those_of_the_study(adata, rich, formula):
    asked, made = rich.submodel(formula), fe.lmm.sums(adata, formula)
    assert asked.formula == made.formula
    for name, array in made.arrays().items():
        if isinstance(array, np.ndarray):
            np.testing.assert_allclose(asked.arrays()[name], array, rtol=1e-11, atol=1e-9)
        else:
            assert asked.arrays()[name] == array
    fit = fe.lmm.fit(rich, formula, moderate=False)
    np.testing.assert_allclose(fit.coef, fe.lmm.fit(adata, formula, moderate=False).coef, rtol=1e-6, atol=1e-8)


def test_what_the_sums_do_not_have_is_named(rich):
    with pytest.raises(fe.MissingKeyError, match="`batch` is not in the sums; they were made with"):
        rich.submodel("~ batch + (1 | sample)")
    with pytest.raises(fe.MissingKeyError, match=r"the random term `\(1 \| batch\)` is not in the sums"):
        rich.submodel("~ condition", random="(1 | batch)")
    with pytest.raises(fe.BadInputError, match="aliased column"):
        rich.submodel("~ condition + sample + (1 | donor)")
    with (
        pytest.warns(fe.FerrocyteWarning, match="leaves out the random term of `sample`"),
        pytest.warns(fe.FerrocyteWarning, match="is left out: it equals"),
    ):
        rich.submodel("~ condition + sample + (1 | donor)", aliased="drop")
    with pytest.raises(fe.BadInputError, match="those of the sums"):
        fe.lmm.fit(rich, groups="cell_type")
    with pytest.raises(fe.BadInputError, match="without a formula"):
        fe.lmm.fit(rich, random="(1 | sample)")


def test_a_dropped_random_term_is_told(rich):
    with pytest.warns(fe.FerrocyteWarning, match="leaves out the random term of `sample`"):
        rich.submodel("~ condition + (1 | donor)")


def test_genes_are_selected_and_put_together(adata, rich):
    genes = list(adata.var_names)
    first, rest = rich.select_genes(genes[:7]), rich.select_genes(np.arange(40) >= 7)
    assert list(first.genes) == genes[:7]
    again = first.concat_genes(rest)
    assert list(again.genes) == genes
    np.testing.assert_array_equal(again.arrays()["XY"], rich.arrays()["XY"])
    np.testing.assert_array_equal(rich.select_genes([3, 1]).arrays()["Ynorm"], rich.arrays()["Ynorm"][[3, 1]])
    with pytest.raises(fe.MissingKeyError, match="there is no gene `gene99`"):
        rich.select_genes(["gene1", "gene99"])
    with pytest.raises(fe.BadInputError, match="39 truth values for 40 genes"):
        rich.select_genes(np.ones(39, bool))
    with pytest.raises(fe.BadInputError, match="selected twice"):
        rich.select_genes(["gene1", "gene1"])
    with pytest.raises(fe.BadInputError, match="count from 0"):
        rich.select_genes([-1])
    with pytest.raises(fe.BadInputError, match="genes are in both"):
        first.concat_genes(first)
    with pytest.raises(fe.BadInputError, match="the formula differs"):
        first.concat_genes(fe.lmm.sums(adata, "~ condition + (1 | sample)"))
