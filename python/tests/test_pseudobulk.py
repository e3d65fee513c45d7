"""Pseudobulk against pandas, over sources, threads and memory; and what it refuses."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ferrocyte as fe


@pytest.fixture
def cells() -> ad.AnnData:
    adata = fe.sim.study(n_genes=30, n_cells=600, n_samples=6, seed=3)
    adata.obs["age"] = adata.obs["sample"].cat.codes.to_numpy() + 20.0
    adata.obs["noise"] = np.arange(600) % 7
    return adata


def by_pandas(adata: ad.AnnData, keys: list[str], how: str) -> pd.DataFrame:
    values = pd.DataFrame(adata.X.toarray() if sparse.issparse(adata.X) else adata.X, columns=adata.var_names)
    grouped = values.astype(float).groupby([adata.obs[key].to_numpy() for key in keys])
    return grouped.sum() if how == "sum" else grouped.mean()


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sums_and_means_are_those_of_pandas(cells: ad.AnnData, mode: str) -> None:
    got = fe.pp.pseudobulk(cells, "sample", groups="cluster", mode=mode, min_cells=1)
    want = by_pandas(cells, ["cluster", "sample"], mode)
    np.testing.assert_allclose(got.X, want.to_numpy(), rtol=1e-13)
    assert list(got.obs["cluster"].astype(str)) == [key[0] for key in want.index]
    assert list(got.obs["sample"].astype(str)) == [key[1] for key in want.index]
    assert got.obs["n_cells"].sum() == 600
    assert list(got.var_names) == list(cells.var_names)


def test_columns_that_say_something_of_samples_are_kept(cells: ad.AnnData) -> None:
    got = fe.pp.pseudobulk(cells, ["sample"], min_cells=1)
    assert {"sample", "age", "treatment", "n_cells"} <= set(got.obs.columns)
    assert not {"noise", "cluster"} & set(got.obs.columns)
    assert list(got.obs["age"]) == [20.0, 21.0, 22.0, 23.0, 24.0, 25.0]


def test_every_source_gives_the_same_bits(cells: ad.AnnData, tmp_path: object) -> None:
    want = fe.pp.pseudobulk(cells, "sample", groups="cluster", min_cells=1).X
    path = f"{tmp_path}/cells.h5ad"
    cells.write_h5ad(path)
    dense, columns = cells.copy(), cells.copy()
    dense.X, columns.X = dense.X.toarray(), sparse.csc_matrix(columns.X)
    for source in (path, ad.read_h5ad(path, backed="r"), dense, columns, cells[::1]):
        for threads in (1, 2):
            got = fe.pp.pseudobulk(
                source, "sample", groups="cluster", min_cells=1, n_threads=threads, max_memory="1MiB"
            )
            np.testing.assert_array_equal(got.X, want)
    half = fe.pp.pseudobulk(cells[cells.obs["cluster"] == "c1"], "sample", min_cells=1)
    np.testing.assert_array_equal(half.X, want[:6])


def test_small_samples_are_left_out_by_name(cells: ad.AnnData) -> None:
    sizes = cells.obs.groupby(["cluster", "sample"], observed=True).size()
    least = int(sizes.min()) + 1
    with pytest.warns(fe.FerrocyteWarning, match=f"fewer than {least} cells are left out"):
        got = fe.pp.pseudobulk(cells, "sample", groups="cluster", min_cells=least)
    left_out = got.uns["pseudobulk"]["left_out"]
    assert got.n_obs + len(left_out) == len(sizes)
    assert (left_out["n_cells"] < least).all()


def test_what_goes_wrong_is_said(cells: ad.AnnData) -> None:
    with pytest.raises(fe.MissingKeyError, match="sampel"):
        fe.pp.pseudobulk(cells, "sampel")
    with pytest.raises(fe.BadInputError, match="name it once"):
        fe.pp.pseudobulk(cells, ["sample", "cluster"], groups="cluster")
    with pytest.raises(fe.BadInputError, match="no sample has 500 cells"):
        fe.pp.pseudobulk(cells, "sample", min_cells=500)
    logged = cells.copy()
    logged.X = np.log1p(logged.X.toarray())
    with pytest.raises(fe.BadInputError, match="only as counts"):
        fe.pp.pseudobulk(logged, "sample")
    assert fe.pp.pseudobulk(logged, "sample", mode="mean", min_cells=1).n_obs == 6
    cells.obs["sample"] = cells.obs["sample"].cat.remove_categories(["s1"])
    with pytest.warns(fe.FerrocyteWarning, match="belong to no sample"):
        assert fe.pp.pseudobulk(cells, "sample", min_cells=1).n_obs == 5


def test_what_it_makes_is_written_and_read(cells: ad.AnnData, tmp_path: object) -> None:
    made = fe.pp.pseudobulk(cells, "sample", groups="cluster", min_cells=1)
    made.write_h5ad(f"{tmp_path}/pseudobulk.h5ad")
    back = ad.read_h5ad(f"{tmp_path}/pseudobulk.h5ad")
    np.testing.assert_array_equal(back.X, made.X)
