"""Discovery in one call: of one tissue, of several samples, from earlier results; stored, saved, by the program."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import ferrocyte as fe
from ferrocyte.compat import ecotyper

E = fe.ecotype

SQUARES = {"radius": 30.0, "grid_size": 18.0, "k": 10}


@pytest.fixture(scope="module")
def study():
    return E.simulate(3, samples=2, cells=900, genes=200, strength=2.0, depth=800, progress=False)


@pytest.fixture(scope="module")
def tissue(study):
    return study[study.obs["Sample"] == "S1"].copy()


@pytest.fixture(scope="module")
def found(tissue):
    return E.discover(tissue, normalize="log1p_cp10k", **SQUARES)


def test_cells_have_an_ecotype_or_a_reason(tissue, found):
    cells = found.cells
    assert list(cells["CID"]) == list(tissue.obs_names)
    assert (cells["SE"].notna() == (cells["reason"] == "ok")).all()
    assert (cells.loc[cells["reason"] == "ok", "distance"] <= 30).all()
    assert set(cells["reason"]) <= {"ok", "too_far", "few_genes"}
    assert set(found.neighbourhoods.columns) == {"SN", "X", "Y", "n_types", "SE"}
    of = found.neighbourhoods.set_index("SN")["SE"]
    known = cells[cells["reason"] == "ok"]
    assert (of.loc[known["SN"]].to_numpy() == known["SE"].to_numpy()).all()
    assert found.components.shape == (len(of), 10)
    assert found.to_df().equals(cells)


def test_forms_of_input_and_means_give_the_same(tissue, found):
    table = pd.DataFrame(tissue.X.toarray().T, index=tissue.var_names, columns=tissue.obs_names)
    meta = tissue.obs.iloc[::-1]
    other = E.discover(table, meta, normalize="log1p_cp10k", n_threads=1, max_memory="2MiB", **SQUARES)
    pd.testing.assert_frame_equal(other.cells, found.cells)
    bare = tissue.copy()
    bare.obs = bare.obs.drop(columns=["X", "Y"])
    assert E.discover(bare, normalize="log1p_cp10k", **SQUARES).cells["SE"].equals(found.cells["SE"])


def test_results_are_stored_saved_and_read(tissue, found, tmp_path):
    stored = tissue.copy()
    found.store(stored, key="eco")
    assert list(stored.obs["eco"].astype(object).where(stored.obs["eco"].notna(), None)) == list(found.cells["SE"])
    assert stored.uns["ecotype_discovery"]["params"]["radius"] == 30
    stored.write_h5ad(tmp_path / "stored.h5ad")
    with pytest.raises(fe.BadInputError, match="cells are not in"):
        found.store(tissue[:5].copy())
    found.save(tmp_path / "saved")
    again = E.Discovered.load(tmp_path / "saved")
    pd.testing.assert_frame_equal(again.cells, found.cells, check_dtype=False)
    pd.testing.assert_frame_equal(again.components, found.components)
    assert again.params == found.params
    assert again.clusters is None
    with pytest.raises(fe.BadFileError):
        E.Discovered.load(tmp_path)


def test_several_samples_and_earlier_results(study, tmp_path):
    words = {"normalize": "log1p_cp10k", "nmf_ranks": [3, 4], "n_runs": 5, "subresolution": 5.0, **SQUARES}
    both = E.discover(study, sample="Sample", **words)
    assert set(both.clusters["Sample"]) == {"S1", "S2"}
    assert both.best_rank in (3, 4)
    assert list(both.cophenetic.index) == [3, 4]
    assert both.alike.shape == (len(both.clusters),) * 2
    assert (both.cells["SE"].notna() == (both.cells["reason"] == "ok")).all()
    assert set(both.cells["reason"]) <= {"ok", "too_far", "few_genes", "no_ecotype"}
    both.save(tmp_path)
    again = E.Discovered.load(tmp_path)
    pd.testing.assert_frame_equal(again.alike, both.alike, check_names=False)
    # Fine clusters that are known are not sought again.
    held = study.copy()
    held.obs["InitSE"] = pd.Categorical(both.cells["InitSE"])
    del held.obsm["spatial"]
    known = E.discover(held, sample="Sample", clusters="InitSE", **words)
    assert known.cells["SE"].equals(both.cells["SE"])
    # Nor are networks fused again for results of each tissue.
    parts = {name: study[study.obs["Sample"] == name] for name in ("S1", "S2")}
    tables = {
        name: pd.DataFrame(part.X.toarray().T, index=part.var_names, columns=part.obs_names)
        for name, part in parts.items()
    }
    logged = {name: np.log1p(table / table.sum() * 1e4) for name, table in tables.items()}
    results = {
        name: ecotyper.SpatialEcoTyper(logged[name], parts[name].obs, **{"grid.size": 18.0, "radius": 30, "k": 10})
        for name in parts
    }
    one = ecotyper.IntegrateSpatialEcoTyper(
        results, logged, **{"subresolution": 5, "nmf_ranks": [3, 4], "nrun.per.rank": 5}
    )
    metas = {name: part.obs for name, part in parts.items()}
    other = ecotyper.MultiSpatialEcoTyper(
        logged, metas,
        **{"subresolution": 5, "nmf_ranks": [3, 4], "nrun.per.rank": 5, "grid.size": 18.0, "radius": 30, "k": 10},
    )  # fmt: skip
    ours, theirs = (result.cells.set_index("CID")["SE"] for result in (one, other))
    assert (ours.reindex(theirs.index) == theirs).mean() > 0.999


def test_regions_are_weighed(study):
    held = study.copy()
    held.obs["Region"] = np.where(held.obs["X"] > held.obs["X"].median(), "inner", "margin")
    words = {"normalize": "log1p_cp10k", "nmf_ranks": 3, "n_runs": 3, "subresolution": 5.0, **SQUARES}
    found = E.discover(held, sample="Sample", region="Region", **words)
    cells = found.cells.assign(Region=held.obs["Region"].to_numpy())
    most = cells[cells["reason"] == "ok"].groupby(["Sample", "InitSE"])["Region"].agg(lambda of: of.mode()[0])
    counts = most.reset_index().groupby(["Sample", "Region"]).size().unstack()
    assert (counts["inner"] == counts["margin"]).all()
    assert (cells["reason"] == "no_ecotype").any()


def test_what_cannot_be_discovered_is_refused(study, tissue):
    with pytest.raises(fe.BadInputError, match="over at least two samples"):
        E.discover(tissue, clusters="SE")
    with pytest.raises(fe.MissingKeyError, match="no columns `a` and `Y`"):
        E.discover(tissue, x="a", orientation="genes_x_cells", meta=tissue.obs)
    with pytest.raises(fe.BadInputError, match="cell types have enough"):
        E.discover(tissue, k=890)
    with pytest.raises(fe.BadInputError, match="have all types"):
        E.discover(tissue, filter_region_by_celltypes=["type1", "type2", "type3", "type4"], radius=5, grid_size=90)
    with pytest.raises(fe.BadInputError, match="cannot be divided into 4000"):
        E.discover(study, sample="Sample", normalize="log1p_cp10k", nmf_ranks=4000, n_runs=1, **SQUARES)


def test_fusion_takes_sparse_networks_and_works_from_a_file(tmp_path):
    rng = np.random.default_rng(5)
    views = []
    for _ in range(3):
        view = sp.random(300, 300, 0.1, random_state=rng, format="csr")
        views.append(sp.csr_matrix(view + view.T))
    whole = E.fuse([pd.DataFrame(view.toarray()) for view in views], t=3)
    # Panels of five tiles, three for each thread, and little beside them.
    small = E.fuse(views, t=3, n_threads=1, max_memory=16 * 8 * 64 * 64, scratch=tmp_path)
    assert np.array_equal(whole, small)
    assert not list(tmp_path.iterdir())
    single = E.fuse(views, t=3, precision="single")
    assert np.allclose(single, whole, rtol=1e-4, atol=1e-9)
    assert not np.array_equal(single, whole)
    with pytest.raises(fe.TooLargeError, match="the budget is"):
        E.fuse(views, max_memory=1000, n_threads=1)
