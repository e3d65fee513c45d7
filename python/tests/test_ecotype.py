"""Ecotypes as their users meet them: inputs of several kinds, results stored, bad input refused with a way out."""

from __future__ import annotations

import inspect

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ferrocyte as fe
from ferrocyte.compat import ecotyper

E = fe.ecotype
GENES = [f"gene_{i}" for i in range(30)]


@pytest.fixture(scope="module")
def study() -> ad.AnnData:
    """Two samples of two types in two ecotypes, which six genes each tell apart, and cells without a label."""
    draws = np.random.default_rng(1)
    n = 400
    obs = pd.DataFrame(
        {
            "CellType": np.where(draws.random(n) < 0.5, "B", "T"),
            "SE": np.where(draws.random(n) < 0.5, "SE1", "SE2"),
            "Sample": np.where(np.arange(n) < n // 2, "s1", "s2"),
        },
        index=[f"cell_{i}" for i in range(n)],
    )
    rate = np.full((n, len(GENES)), 1.0)
    for i, (of, label) in enumerate([("B", "SE1"), ("B", "SE2"), ("T", "SE1"), ("T", "SE2")]):
        rate[np.ix_(((obs["CellType"] == of) & (obs["SE"] == label)).to_numpy(), np.arange(6 * i, 6 * i + 6))] = 5.0
    out = ad.AnnData(sparse.csr_matrix(np.log1p(draws.poisson(rate)).astype(np.float64)), obs=obs)
    out.var_names = GENES
    out.obsm["spatial"] = draws.random((n, 2)) * 100
    return out


def frames(study: ad.AnnData) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(study.X.toarray().T, index=study.var_names, columns=study.obs_names), study.obs


def same(a: dict[str, pd.DataFrame], b: dict[str, pd.DataFrame]) -> None:
    assert list(a) == list(b)
    for name in a:
        pd.testing.assert_frame_equal(a[name], b[name])


def test_every_kind_of_input_gives_the_same_models(study, tmp_path):
    models = E.train(study, sample="Sample")
    values, meta = frames(study)
    # Columns are found by name, whatever their order.
    same(models, E.train(values, meta.iloc[::-1], sample="Sample"))
    same(models, E.train(values, meta.rename_axis("CID").reset_index(), sample="Sample"))
    same(models, E.train(values.T, meta, sample="Sample", orientation="cells_x_genes"))
    layered = study.copy()
    layered.layers["logs"], layered.X = layered.X, layered.X * 0
    same(models, E.train(layered, sample="Sample", layer="logs"))
    study.write_h5ad(tmp_path / "study.h5ad")
    same(models, E.train(tmp_path / "study.h5ad", sample="Sample"))


def test_labels_come_back_and_are_stored(study):
    models = E.train(study, sample="Sample")
    found = E.recover(study, models)
    assert (found.table["SE"].to_numpy() == study.obs["SE"].to_numpy()).mean() > 0.9
    assert set(found.table["reason"]) == {"ok"}
    kept = study.copy()
    found.store(kept)
    assert list(kept.obs["SE"]) == list(found.table["SE"])
    assert kept.obsm["SE_scores"].shape == (400, 2)
    np.testing.assert_allclose(kept.obsm["SE_scores"].sum(axis=1), 1)
    assert list(kept.uns["ecotype"]["classes"]) == ["SE1", "SE2"]
    renamed = E.recover(study, models, label_map={"SE1": "one"})
    assert set(renamed.table["SE"]) == {"one", "NonSE"}


def test_exact_scores_do_not_depend_on_chunks_or_threads(study):
    models = E.train(study)
    by = [E.recover(study, models, cells_per_run=chunk, n_threads=threads) for chunk, threads in [(50, 1), (1000, 2)]]
    pd.testing.assert_frame_equal(by[0].scores, by[1].scores, check_exact=True)


def test_scores_of_a_cell_are_its_own(study):
    model = E.train(study)["B"]
    whole = E.predict(model, study[:50]).values
    alone = E.predict(model, study[:20]).values
    # Without scaling a cell depends on others only through features that do not vary among them.
    assert (np.abs(whole.iloc[:20] - alone) < 0.2).to_numpy().all()


def test_an_ensemble_has_runs_that_differ_and_says_how_far(study):
    found = E.train_ensemble(study, sample="Sample", n_runs=8, downsample=80, keep_runs=True)
    assert len(found.runs) == 8
    assert not found.runs[0]["B"].equals(found.runs[1]["B"])
    assert set(found.models) == {"B", "T"}
    table = found.models["B"]
    pd.testing.assert_index_equal(found.frequency["B"].index, table.index)
    assert found.sd["B"].max(axis=None) > 0
    assert found.frequency["B"].max(axis=None) <= 1
    again = E.train_ensemble(study, sample="Sample", n_runs=8, downsample=80, n_threads=1)
    same(found.models, again.models)
    assert E.aggregate(found.runs).n_models["B"] == 8


def test_models_are_written_and_read(study, tmp_path):
    models = E.train(study)
    models.write(tmp_path / "models")
    same({name: t.rename_axis(None) for name, t in models.items()},
         {name: t.rename_axis(None) for name, t in E.Models.read(tmp_path / "models").items()})  # fmt: skip
    for name, table in models.items():
        table.to_csv(tmp_path / f"{name}.tsv.gz", sep="\t", index_label="feature")
    assert set(E.Models.read(tmp_path)) == {"B", "T"}
    with pytest.raises(fe.BadFileError, match="no models given"):
        E.Models.read(tmp_path / "models" / "nothing")


def test_cross_validation_works_with_samples_and_without(study):
    for sample in ("Sample", None):
        found = E.cross_validate(study, sample=sample, repeats=2)
        assert E.metrics(found).macro > 0.9
        assert found["cvVotes"].between(0, 1).all()


def test_missing_labels_are_a_class_of_their_own(study):
    partly = study.copy()
    partly.obs.loc[partly.obs_names[:90], "SE"] = None
    models = E.train(partly)
    assert "nonSE" in models["B"].columns
    found = E.recover(partly, models)
    assert "NonSE" in set(found.table["SE"])
    assert "nonSE" not in set(found.table["SE"])
    assert "nonSE" in set(E.recover(partly, models, mode="compat").table["SE"])


def test_types_without_a_model_are_named(study):
    models = E.train(study, min_cells=20)
    few = study.copy()
    few.obs["CellType"] = ["rare" if i < 10 else of for i, of in enumerate(study.obs["CellType"])]
    trained = E.train(few)
    assert "rare" in trained.skipped
    with pytest.warns(fe.FerrocyteWarning, match="`rare`"):
        found = E.recover(few, models)
    assert set(found.table["reason"][:10]) == {"unknown_type"}
    few.obs["CellType"] = "Bcell"
    with pytest.raises(fe.BadInputError, match="no cell is of a type that has a model"):
        E.recover(few, models)


def test_bad_input_is_refused_with_a_way_out(study):
    values, meta = frames(study)
    with pytest.raises(fe.BadInputError, match=r"3 cells have no row in the table: `cell_0`"):
        E.train(values, meta.iloc[3:])
    with pytest.raises(fe.BadInputError, match="more than once"):
        E.train(values, pd.concat([meta, meta.iloc[:2]]))
    with pytest.raises(fe.MissingKeyError, match="no column `types`"):
        E.train(study, cell_type="types")
    with pytest.raises(fe.BadInputError, match="not finite"):
        E.train(values.where(values != values.iloc[0, 0], np.nan), meta)
    with pytest.raises(fe.BadInputError, match="no sample has more than 150 cells"):
        E.train(
            study, sample=[f"s{i % 4}" for i in range(400)], min_cells=150, label="CellType", cell_type=["all"] * 400
        )
    with pytest.raises(fe.BadInputError, match="unique"):
        E.train(values.set_axis(["twice"] * 30, axis=0), meta)
    with pytest.raises(fe.BadInputError, match="no models given"):
        E.recover(study, {})
    with pytest.raises(fe.BadInputError, match="fractions are >= 0"):
        E.train_w(pd.DataFrame({"a": [-1.0, 1.0], "b": [2.0, 0.0]}, index=["cell_0", "cell_1"]), values.iloc[:, :2])
    with pytest.raises(fe.BadInputError, match="at least two"):
        E.scale(study, ["same"] * 400)
    with pytest.raises(fe.BadInputError, match="counts are not negative"):
        E.train(values - 1, meta, normalize="log1p_cp10k")


def test_cells_without_genes_have_a_reason(study):
    models = E.train(study)
    thin = study.copy()
    values = thin.X.toarray()
    values[:2] = 0
    thin.X = sparse.csr_matrix(values)
    with pytest.warns(fe.FerrocyteWarning, match="fewer than 3 genes"):
        found = E.recover(thin, models)
    assert list(found.table["reason"][:2]) == ["few_genes"] * 2
    assert (found.table["SE"][:2] == "NonSE").all()
    with pytest.warns(fe.FerrocyteWarning, match="genes of the model"):
        few = E.recover(study[:, :4], models)
    assert set(few.table["reason"]) == {"few_model_genes"}


def test_names_of_r_are_taken(study):
    values, meta = frames(study)
    models = ecotyper.NMFGenerateWList(values, meta, Sample="Sample", **{"nfeature.per.se": float("inf")}, ncores=1)
    same(models, E.train(study, sample="Sample", mode="compat", nfeature_per_se=None))
    table = ecotyper.RecoverSE(values, meta["CellType"], models, **{"min.score": 0.1})
    assert list(table.columns) == ["CID", "CellType", "InitSE", "SE", "PredScore"]
    assert set(ecotyper.AggregateRecoverModels([models, models])) == {"B", "T"}
    with pytest.raises(fe.BadInputError, match=r"no argument `n\.feature`"):
        ecotyper.NMFGenerateWList(values, meta, **{"n.feature": 3})
    measured = ecotyper.ComputeMetrics(table.assign(truth=meta["SE"].to_numpy()), SE="truth", Pred="SE")
    assert np.diag(measured).mean() > 0.9


def test_statistics_take_an_anndata(study):
    states = study.copy()
    states.obs["CellState"] = [f"{a}_{b}" for a, b in zip(study.obs["SE"], study.obs["CellType"], strict=True)]
    found = E.colocalization(states, n_permutations=20, min_cell=3)
    assert found.z.shape == (4, 4)
    assert E.block_test(found.z, n_permutations=20)["P"].between(0, 1).all()
    assert E.moran(states, n_permutations=20)["I"].abs().max() < 0.3
    assert np.allclose(E.abundance(states)[["SE1", "SE2"]].sum(axis=1), 1)
    assert E.partition_tissue(states, nrow=2, ncol=3).nunique() == 6


def test_options_of_the_package_are_those_of_the_crate():
    verbs = {
        "train": [E.train],
        "ensemble": [E.train_ensemble],
        "aggregate": [E.aggregate],
        "recover": [E.recover],
        "deconvolute": [E.deconvolute],
        "cv": [E.cross_validate, E.metrics],
        "discover": [E.discover],
    }
    word = {"None": "", "True": "true", "False": "false"}
    # A mixture has samples where a study has cells, and their chunks have their own sizes; samples are usual here.
    usual = {("deconvolute", "cells_per_run"), ("cv", "cells_per_run"), ("cv", "sample")}
    for name, of, default, _, _ in fe._core.ecotype_options():
        for verb in of:
            found = [
                inspect.signature(f).parameters[name] for f in verbs[verb] if name in inspect.signature(f).parameters
            ]
            assert found or (verb, name) in usual, (verb, name)
            if found and (verb, name) not in usual:
                shown = str(found[0].default)
                assert word.get(shown, shown) == default or float(shown) == float(default), (verb, name)
    arguments = {(verb, name): default for verb, name, default, _ in fe._core.ecotype_arguments()}
    assert all(
        arguments[verb, name] == default for name, of, default, _, _ in fe._core.ecotype_options() for verb in of
    )
