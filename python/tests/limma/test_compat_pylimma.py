"""One script under two imports: pylimma's, and ours with its names."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from ferrocyte.compat import pylimma as pl
from ferrocyte.errors import BadInputError, FerrocyteWarning, MissingKeyError

DATA = Path(__file__).parent / "data"
SCRIPT = DATA / "pylimma_script.py"
STORED = json.loads((DATA / "pylimma_numbers.json").read_text())


def _script():
    spec = importlib.util.spec_from_file_location("pylimma_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ours():
    with pytest.warns(FerrocyteWarning, match="no value in any sample"):
        return _script().run(pl)


def _compare(ours, theirs, place):
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), place
        for name, value in theirs.items():
            _compare(ours[name], value, f"{place}.{name}")
        return
    try:
        expected = np.array([np.nan if v is None else float(v) for v in theirs])
    except ValueError:
        assert ours == theirs, place
        return
    found = np.array([np.nan if v is None else float(v) for v in ours])
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12, err_msg=place)


@pytest.mark.parametrize("name", sorted(STORED["found"]))
def test_agrees_with_the_numbers_of_pylimma(ours, name):
    assert STORED["version"] == "0.2.0"
    _compare(ours[name], STORED["found"][name], name)


def test_the_script_computes_nothing_else(ours):
    assert set(ours) == set(STORED["found"])


def test_agrees_with_pylimma_where_it_is_installed(ours, tmp_path):
    interpreter = os.environ.get("FERROCYTE_PYLIMMA", sys.executable)
    probe = subprocess.run([interpreter, "-c", "import pylimma"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("pylimma is not installed; FERROCYTE_PYLIMMA names an interpreter that has it")
    subprocess.run([interpreter, SCRIPT, "pylimma", tmp_path / "out.json"], check=True)
    theirs = json.loads((tmp_path / "out.json").read_text())["found"]
    for name, value in theirs.items():
        _compare(ours[name], value, name)


def test_signatures_begin_as_those_of_pylimma():
    expected = {
        "lm_fit": "data design ndups spacing block correlation weights method key layer weights_layer",
        "e_bayes": "data proportion stdev_coef_lim trend span robust winsor_tail_p legacy key",
        "contrasts_fit": "data contrasts coefficients key",
        "voom": "counts design lib_size offset offset_prior normalize_method block correlation weights span "
        "adaptive_span plot save_plot out_layer weights_layer key layer",
        "top_table": "data coef number genelist adjust_method sort_by resort_by p_value fc lfc confint key",
        "treat": "data fc lfc trend robust winsor_tail_p legacy upshot span key",
        "remove_batch_effect": "x batch batch2 covariates design group out_layer uns_key layer",
    }
    for name, words in expected.items():
        found = list(inspect.signature(getattr(pl, name)).parameters)
        assert found[: len(words.split())] == words.split(), name


@pytest.fixture
def counts():
    return _script().study()[0]


def test_lists_take_the_place_of_lists(counts):
    held = pl.EList({"E": np.log2(counts + 1), "genes": [f"n{i}" for i in range(90)]})
    assert held.E is held["E"]
    assert held.shape == (90, 12)
    part = held[2:5, [0, 3]]
    np.testing.assert_array_equal(part.E, np.log2(counts + 1)[2:5][:, [0, 3]])
    assert part.genes == ["n2", "n3", "n4"]
    fit = pl.lm_fit(held)
    assert fit.genes[0] == "n0"
    np.testing.assert_allclose(fit.fitted() + fit.residuals(held), held.E)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        fit.nope  # noqa: B018
    averaged = pl.avereps(held, ID=[k // 2 for k in range(90)])
    assert averaged.shape == (45, 12)


def test_an_anndata_is_fitted_on_its_voom_layer(counts):
    design = pd.DataFrame({"(Intercept)": 1.0, "b": np.repeat([0.0, 1.0, 0.0], 4), "c": np.repeat([0.0, 0.0, 1.0], 4)})
    adata = ad.AnnData(counts.T.copy())
    pl.voom(adata, design.to_numpy())
    pl.lm_fit(adata)
    pl.e_bayes(adata)
    values = pl.e_bayes(pl.lm_fit(pl.voom(counts, design.to_numpy())))
    np.testing.assert_allclose(adata.uns["pylimma"]["t"], values["t"])


def test_an_anndata_keeps_its_fit_on_disk(counts, tmp_path):
    obs = pd.DataFrame({"group": np.repeat(["a", "b", "c"], 4)}, index=[f"s{j}" for j in range(12)])
    adata = ad.AnnData(counts.T.copy(), obs=obs)
    pl.voom(adata, "~ group")
    pl.lm_fit(adata, "~ group")
    pl.e_bayes(adata)
    before = pl.top_table(adata, coef="group[T.b]")
    adata.write_h5ad(tmp_path / "a.h5ad")
    after = pl.top_table(ad.read_h5ad(tmp_path / "a.h5ad"), coef="group[T.b]")
    pd.testing.assert_frame_equal(before, after)


def test_refusals(counts):
    adata = ad.AnnData(counts.T.copy())
    with pytest.raises(MissingKeyError, match="no fit `pylimma`"):
        pl.e_bayes(adata)
    with pytest.raises(BadInputError, match="what lm_fit returns"):
        pl.e_bayes(counts)
    with pytest.raises(BadInputError, match="counts"):
        pl.lm_fit(adata, np.ones((12, 1)))
    with pytest.raises(BadInputError, match="with `E`"):
        pl.lm_fit({"M": counts})


def test_what_is_not_named_is_that_of_the_package():
    import ferrocyte as fe

    assert pl.filter_by_expr is fe.limma.filter_by_expr
    with pytest.raises(AttributeError, match="normexp_fit"):
        pl.normexp_fit  # noqa: B018
