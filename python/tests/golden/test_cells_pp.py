"""The steps before clustering against the reference cases: exact ones exactly, random ones by their bars.

Kinds of cases are told by what a folder below `cells` holds: a pipeline has `metrics.json` with `params` and `input`, a
case of Harmony `harmony_input.npz`, an edge case `edge.json`, a batched one `hvg_*_batch*`. Every step starts from the
stored result of the step before. Inputs are found in FERROCYTE_DATA.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import DATA, GOLDEN
from scipy import sparse

import ferrocyte as fe

CELLS = GOLDEN / "cells"


def folders(*files: str) -> list[Path]:
    """The folders that have all of these files."""
    found = sorted(path for path in CELLS.glob("*") if path.is_dir())
    return [path for path in found if all((path / name).exists() for name in files)]


def metrics(case: Path) -> dict[str, Any]:
    with open(case / "metrics.json", encoding="utf-8") as file:
        return dict(json.load(file))


def pipelines(*files: str) -> list[Path]:
    return [case for case in folders("metrics.json", *files) if {"params", "input"} <= set(metrics(case))]


def cases(found: list[Path], kind: str) -> Any:
    """A parameter for every case; a kind that is absent is skipped by its name."""
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no case of {kind}"), id=f"no-{kind}")]
    return [pytest.param(case, id=case.name) for case in found]


def table(case: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(case / name, sep="\t", index_col=0, keep_default_na=False, na_values=[""])


def counts_of(case: Path) -> ad.AnnData:
    path = DATA / metrics(case)["input"]
    if not path.exists():
        pytest.skip(f"no input {path}")
    return ad.read_h5ad(path)


def filtered(case: Path) -> ad.AnnData:
    kept = np.load(case / "filter.npz")
    return counts_of(case)[kept["cells"]][:, kept["genes"]].copy()


def logged(case: Path) -> ad.AnnData:
    """Logarithms that were rounded once."""
    adata = filtered(case)
    fe.pp.log_normalize(adata, target_sum=metrics(case)["params"]["target"])
    return adata


def variable(case: Path) -> ad.AnnData:
    """Logarithms of the genes that the reference found variable."""
    chosen = table(case, "hvg_seurat_v3.tsv.gz")["highly_variable"].to_numpy(dtype=bool)
    return logged(case)[:, chosen].copy()


def close(found: Any, expected: Any, rtol: float, atol: float = 0.0, what: str = "") -> None:
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=rtol, atol=atol, err_msg=what
    )


def test_there_are_cases() -> None:
    assert pipelines() or folders("harmony_input.npz") or folders("edge.json"), f"no reference cases under {CELLS}"


# ---- pipelines


@pytest.mark.parametrize("case", cases(pipelines("qc_obs.tsv.gz", "qc_var.tsv.gz"), "pipeline"))
def test_qc_metrics(case: Path) -> None:
    adata, params = counts_of(case), metrics(case)["params"]
    symbols = adata.var_names if params["sym"] is None else adata.var[params["sym"]].astype(str)
    adata.var["mt"] = [str(symbol).startswith(params["mt"]) for symbol in symbols]
    obs, var = fe.pp.calculate_qc_metrics(adata, qc_vars=["mt"], percent_top=params["percent_top"])
    for found, name in ((obs, "qc_obs.tsv.gz"), (var.assign(mt=adata.var["mt"]), "qc_var.tsv.gz")):
        expected = table(case, name)
        assert set(found.columns) == set(expected.columns)
        for column in expected:
            exact = pd.api.types.is_bool_dtype(found[column]) or pd.api.types.is_integer_dtype(found[column])
            if exact:
                assert found[column].tolist() == expected[column].tolist(), column
            else:
                close(found[column], expected[column], 1e-6, what=column)


@pytest.mark.parametrize("case", cases(pipelines("filter.npz"), "filter"))
def test_filters(case: Path) -> None:
    adata, params = counts_of(case), metrics(case)["params"]
    n_cells, n_genes = adata.shape
    adata.obs["number"], adata.var["number"] = np.arange(n_cells), np.arange(n_genes)
    symbols = adata.var_names if params["sym"] is None else adata.var[params["sym"]].astype(str)
    adata.var["mt"] = [str(symbol).startswith(params["mt"]) for symbol in symbols]
    fe.pp.filter_cells(adata, min_genes=params["min_genes"])
    fe.pp.filter_genes(adata, min_cells=params["min_cells"])
    fe.pp.calculate_qc_metrics(adata, qc_vars=["mt"], percent_top=None, inplace=True)
    within = (adata.obs["n_genes_by_counts"] < params["max_genes"]) & (adata.obs["pct_counts_mt"] < params["max_mt"])
    expected = np.load(case / "filter.npz")
    np.testing.assert_array_equal(adata.obs["number"][within], expected["cells"])
    np.testing.assert_array_equal(adata.var["number"], expected["genes"])


@pytest.mark.parametrize("case", cases(pipelines("lognorm_first60.npz"), "logarithms"))
def test_normalised_logarithms(case: Path) -> None:
    stored = np.load(case / "lognorm_first60.npz")
    n, target = len(stored["indptr"]) - 1, metrics(case)["params"]["target"]
    apart = filtered(case)
    fe.pp.normalize_total(apart, target_sum=target)
    fe.pp.log1p(apart)
    for adata in (apart, logged(case)):
        first = adata.X[:n]
        np.testing.assert_array_equal(first.indices, stored["indices"])
        np.testing.assert_array_equal(first.indptr, stored["indptr"])
        assert first.dtype == np.float32
        close(first.data, stored["data"], 3e-7)


@pytest.mark.parametrize("case", cases(pipelines("gene_moments.tsv.gz"), "moments"))
def test_moments_of_logarithms_in_64_bits(case: Path) -> None:
    adata, expected = filtered(case), table(case, "gene_moments.tsv.gz")
    adata.X = adata.X.astype(np.float64)
    fe.pp.log_normalize(adata, target_sum=metrics(case)["params"]["target"])
    dense = adata.X.toarray()
    close(dense.mean(axis=0), expected["lognorm_mean"], 1e-11)
    close(dense.var(axis=0, ddof=1), expected["lognorm_var_ddof1"], 1e-11)


@pytest.mark.parametrize("case", cases(pipelines("hvg_seurat_v3.tsv.gz"), "hvg_seurat_v3"))
def test_variable_genes_by_variance(case: Path) -> None:
    adata, params = filtered(case), metrics(case)["params"]
    expected = table(case, "hvg_seurat_v3.tsv.gz")
    fe.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=params["hvg_n"], span=params["span"])
    check_variances(adata.var, expected)
    check_chosen(adata.var, expected)


def check_variances(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    close(found["means"], expected["means"], 1e-10)
    close(found["variances"], expected["variances"], 1e-9)
    close(found["variances_norm"], expected["variances_norm"], 1e-7)


def check_chosen(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    chosen = expected["highly_variable"].to_numpy(dtype=bool)
    differ = found["highly_variable"].to_numpy() != chosen
    # Genes at the edge may change places where their variances are the same up to rounding.
    edge = expected["variances_norm"][chosen].min()
    assert (np.abs(expected["variances_norm"][differ] - edge) < 1e-9).all()


def possible_ranks(adata: ad.AnnData, batch_key: str, n_top_genes: int, span: float) -> tuple[Any, Any]:
    """The lowest and the highest median rank of each gene, where genes of a batch whose variances are the same up to
    rounding may stand in any order; infinite for a gene that is in the first `n_top_genes` of no batch."""
    lows, highs = [], []
    for batch in adata.obs[batch_key].unique():
        part = adata[adata.obs[batch_key] == batch].copy()
        words = {"flavor": "seurat_v3", "n_top_genes": n_top_genes, "span": span}
        norm = fe.pp.highly_variable_genes(part, inplace=False, **words)["variances_norm"].to_numpy()
        rising = np.sort(norm)
        low = len(norm) - np.searchsorted(rising, norm + 1e-9, side="right")
        high = len(norm) - np.searchsorted(rising, norm - 1e-9, side="left") - 1
        lows.append(np.where(low < n_top_genes, low, np.nan))
        highs.append(np.where(high < n_top_genes, high, np.nan))
    frames = [pd.DataFrame(ranks).median(axis=0).fillna(np.inf).to_numpy() for ranks in (lows, highs)]
    return frames[0], frames[1]


def check_dispersions(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    z = expected["dispersions_norm"].to_numpy(dtype=float)
    known = ~np.isnan(z)
    ours = found["dispersions_norm"].to_numpy(dtype=float)
    assert (np.isnan(ours) == np.isnan(z)).all()
    assert (np.abs(ours - z)[known] <= 2e-5 + 1e-5 * np.abs(z[known])).all()
    a, b = found["highly_variable"].to_numpy(), expected["highly_variable"].to_numpy(dtype=bool)
    assert (a & b).sum() / max((a | b).sum(), 1) >= 0.999


@pytest.mark.parametrize("case", cases(pipelines("hvg_seurat.tsv.gz"), "hvg_seurat"))
def test_variable_genes_by_dispersion(case: Path) -> None:
    adata, params = logged(case), metrics(case)["params"]
    fe.pp.highly_variable_genes(adata, flavor="seurat", **params["hvg_seurat"])
    check_dispersions(adata.var, table(case, "hvg_seurat.tsv.gz"))


@pytest.mark.parametrize("case", cases(pipelines("hvg_cell_ranger.tsv.gz"), "hvg_cell_ranger"))
def test_variable_genes_of_cell_ranger(case: Path) -> None:
    adata, params = logged(case), metrics(case)["params"]
    fe.pp.highly_variable_genes(adata, flavor="cell_ranger", **params["hvg_cell_ranger"])
    check_dispersions(adata.var, table(case, "hvg_cell_ranger.tsv.gz"))


@pytest.mark.parametrize("case", cases(pipelines("scale_hvg.tsv.gz", "scaled_first40.npz"), "scale"))
def test_scale(case: Path) -> None:
    adata, expected = variable(case), table(case, "scale_hvg.tsv.gz")
    fe.pp.scale(adata, max_value=metrics(case)["params"]["scale_max"])
    close(adata.var["mean"], expected["mean"], 1e-6)
    close(adata.var["std"], expected["std"], 1e-6)
    block = np.load(case / "scaled_first40.npz")["X"]
    assert adata.X.dtype == np.float32
    close(adata.X[: len(block)], block, 0.0, 2e-6)


def check_components(scores: Any, variance: Any, expected: Any, reference: Any, rtol: float) -> None:
    close(variance, expected, rtol)
    gaps = np.diff(expected) / -np.asarray(expected)[:-1]
    for i in range(reference.shape[1]):
        before = gaps[i - 1] if i > 0 else np.inf
        after = gaps[i] if i < len(gaps) else 0.0
        if min(before, after) > 0.01:
            assert abs(np.corrcoef(scores[:, i], reference[:, i])[0, 1]) >= 1 - 1e-6, i


@pytest.mark.parametrize("case", cases(pipelines("pca.npz"), "pca"))
def test_components_of_standardised_genes(case: Path) -> None:
    adata, params, stored = variable(case), metrics(case)["params"], np.load(case / "pca.npz")
    sparse_way = adata.copy()
    fe.pp.pca(sparse_way, params["npc"], scale=True, max_value=params["scale_max"])
    fe.pp.scale(adata, max_value=params["scale_max"])
    fe.pp.pca(adata, params["npc"])
    for found in (sparse_way, adata):
        info = found.uns["pca"]
        check_components(found.obsm["X_pca"], info["variance"], stored["variance"], stored["scores"], 1e-5)
        close(info["variance_ratio"], stored["variance_ratio"], 1e-5)
        singular = np.sqrt(info["variance"].astype(float) * (found.n_obs - 1))
        close(singular, stored["singular_values_exact_f64"], 1e-5)
        signs = np.sign(np.take_along_axis(found.varm["PCs"], np.abs(found.varm["PCs"]).argmax(axis=0)[None], axis=0))
        assert (signs == 1).all()


@pytest.mark.parametrize("case", cases(pipelines("pca_unscaled.npz"), "pca_unscaled"))
def test_components_of_logarithms(case: Path) -> None:
    adata, stored = variable(case), np.load(case / "pca_unscaled.npz")
    fe.pp.pca(adata, len(stored["variance"]), dtype="float64")
    check_components(
        adata.obsm["X_pca"], adata.uns["pca"]["variance"], stored["variance"], stored["scores_first10"], 1e-5
    )


@pytest.mark.parametrize("case", cases(pipelines("knn_exact.npz"), "neighbours"))
def test_neighbours_and_connectivities(case: Path) -> None:
    stored = np.load(case / "knn_exact.npz")
    scores = np.load(case / "pca.npz")["scores"][:, : metrics(case)["params"]["use_pc"]]
    adata = ad.AnnData(np.zeros((len(scores), 1), dtype=np.float32), obsm={"X_pca": scores})
    for k in stored["k"].tolist():
        fe.pp.neighbors(adata, n_neighbors=k, use_rep="X_pca", transformer="exact")
        distances = adata.obsp["distances"]
        assert distances.nnz == len(scores) * (k - 1)
        check_neighbours(distances, stored["indices"][:, 1:k], stored["distances"][:, 1:k])
        check_weights(adata.obsp["connectivities"], np.load(case / f"connectivities_k{k}.npz"))


def check_neighbours(found: Any, indices: Any, distances: Any) -> None:
    for i, (row, far) in enumerate(zip(indices, distances, strict=True)):
        mine = found.indices[found.indptr[i] : found.indptr[i + 1]]
        values = found.data[found.indptr[i] : found.indptr[i + 1]]
        close(np.sort(values), np.sort(far), 1e-5, what=f"distances of cell {i}")
        for other in set(mine.tolist()) ^ set(row.tolist()):
            distance = values[mine == other] if other in mine else far[row == other]
            # Only those as far as the last may change places.
            assert abs(float(distance[0]) - float(far.max())) <= 1e-6 * float(far.max()), (i, other)


def check_weights(found: Any, stored: Any) -> None:
    n = found.shape[0]
    upper = sparse.coo_matrix((stored["weight"], (stored["row"].astype(int), stored["col"].astype(int))), shape=(n, n))
    expected = (upper + upper.T).tocsr()
    assert abs(found - expected).max() <= 2e-5
    assert abs(found - found.T).max() == 0
    pattern = (found > 1e-7) != (expected > 1e-7)
    assert abs(found - expected)[pattern].max() < 1e-7 if pattern.nnz else True


# ---- several batches


def batched(*files: str) -> list[Path]:
    return [case for case in folders("metrics.json", *files) if "hvg_params" in metrics(case)]


def kang(case: Path) -> ad.AnnData:
    path = DATA / "kang_ifnb_2k" / "kang_ifnb_2k_counts.h5ad"
    if not path.exists():
        pytest.skip(f"no input {path}")
    adata = ad.read_h5ad(path)
    fe.pp.filter_genes(adata, min_cells=3)
    assert adata.n_vars == metrics(case)["genes_kept"]
    return adata


@pytest.mark.parametrize("case", cases(batched("hvg_seurat_v3_batch.tsv.gz"), "hvg_batch"))
def test_variable_genes_of_batches(case: Path) -> None:
    adata, params = kang(case), metrics(case)["hvg_params"]
    words = {name: params[name] for name in ("batch_key", "n_top_genes", "span")}
    fe.pp.highly_variable_genes(adata, flavor="seurat_v3", **words)
    expected = table(case, "hvg_seurat_v3_batch.tsv.gz")
    check_variances(adata.var, expected)
    assert adata.var["highly_variable_nbatches"].tolist() == expected["highly_variable_nbatches"].tolist()
    low, high = possible_ranks(adata, **words)
    ours, theirs = adata.var["highly_variable"].to_numpy(), expected["highly_variable"].to_numpy(dtype=bool)
    cut = adata.var["highly_variable_rank"][ours].max()
    assert ((low - 1 <= cut) & (cut <= high + 1))[ours != theirs].all()
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.995
    paper = fe.pp.highly_variable_genes(adata, flavor="seurat_v3_paper", inplace=False, **words)
    stored = np.load(case / "hvg_seurat_v3_paper_batch.npz")["highly_variable"]
    np.testing.assert_array_equal(paper["highly_variable"], stored)


@pytest.mark.parametrize("case", cases(batched("hvg_seurat_batch.tsv.gz"), "hvg_seurat_batch"))
def test_variable_genes_of_batches_by_dispersion(case: Path) -> None:
    adata, params = kang(case), metrics(case)["hvg_params"]
    fe.pp.log_normalize(adata, target_sum=1e4)
    words = {name: params[name] for name in ("batch_key", "n_top_genes", "n_bins")}
    fe.pp.highly_variable_genes(adata, flavor="seurat", **words)
    expected = table(case, "hvg_seurat_batch.tsv.gz")
    check_dispersions(adata.var, expected)
    assert adata.var["highly_variable_nbatches"].tolist() == expected["highly_variable_nbatches"].tolist()


@pytest.mark.parametrize("case", cases(batched("scrublet.npz"), "scrublet"))
def test_scrublet(case: Path) -> None:
    stored, told = np.load(case / "scrublet.npz"), metrics(case)["scrublet"]
    path = DATA / "kang_ifnb_2k" / "kang_ifnb_2k_counts.h5ad"
    if not path.exists():
        pytest.skip(f"no input {path}")
    everything = ad.read_h5ad(path)
    ctrl = np.flatnonzero(everything.obs["sample"].astype(str) == "ctrl")[: len(stored["obs_score"])]
    adata = everything[ctrl].copy()
    fe.pp.scrublet(adata, parents=stored["parents"], **told["params"])
    record = adata.uns["scrublet"]
    found = np.concatenate([adata.obs["doublet_score"], record["doublet_scores_sim"]])
    expected = np.concatenate([stored["obs_score"], stored["sim_score"]])
    assert np.mean(np.abs(found - expected) <= 1e-6) >= 0.99
    assert abs(record["threshold"] - told["threshold"]) <= 1e-6
    assert np.mean(adata.obs["predicted_doublet"].to_numpy() == stored["predicted"]) >= 0.99


# ---- Harmony


def harmony_runs() -> list[Any]:
    found = []
    for case in folders("harmony_input.npz", "metrics.json"):
        for ridge in ("fixed", "dynamic"):
            for run in ("1round", "1iter", "full", "theta1_tau5"):
                if (case / f"harmony_{ridge}_{run}.npz").exists():
                    found.append(pytest.param(case, ridge, run, id=f"{case.name}-{ridge}-{run}"))
    return found or [pytest.param(None, "", "", marks=pytest.mark.skip(reason="no case of Harmony"), id="no-harmony")]


def points_of(case: Path) -> ad.AnnData:
    stored = np.load(case / "harmony_input.npz")
    adata = ad.AnnData(np.zeros((len(stored["Z"]), 1), dtype=np.float32), obsm={"X_pca": stored["Z"]})
    adata.obs["batch"] = pd.Categorical([f"b{batch}" for batch in stored["batch"]])
    return adata


@pytest.mark.parametrize(("case", "ridge", "run"), harmony_runs())
def test_harmony_from_given_centres(case: Path, ridge: str, run: str) -> None:
    adata, params = points_of(case), metrics(case)["harmony_params"]
    start = np.load(case / "harmony_input.npz")["Y0"].T
    fe.pp.harmony_integrate(
        adata,
        "batch",
        theta=params[run]["theta"],
        tau=params[run]["tau"],
        lamb=1.0 if ridge == "fixed" else "auto",
        alpha=params["alpha"],
        batch_prop_cutoff=0.0,
        sigma=params["sigma"],
        block_size=params["block_size"],
        max_iter_harmony=params[run]["max_iter"],
        max_iter_kmeans=params[run]["max_iter_kmeans"],
        epsilon_cluster=params["eps_cluster"],
        epsilon_harmony=params["eps_harmony"],
        start=start,
        shuffle=False,
    )
    stored = np.load(case / f"harmony_{ridge}_{run}.npz")
    # Some references were stored in 32 bits.
    least = np.abs(stored["Z"]).max() * 1e-7
    close(adata.obsm["X_pca_harmony"], stored["Z"], 1e-6, least)
    told = metrics(case)[f"harmony_{ridge}_{run}"]
    close(adata.uns["harmony"]["objective"], told["objective_harmony"], 1e-6)
    assert adata.uns["harmony"]["rounds"].tolist() == told["rounds"]


@pytest.mark.parametrize("case", cases(folders("harmony_fixed_full.npz", "harmony_input.npz"), "harmony_own_start"))
def test_harmony_from_its_own_centres(case: Path) -> None:
    adata, params = points_of(case), metrics(case)["harmony_params"]
    fe.pp.harmony_integrate(adata, "batch", nclust=params["K"])
    expected = np.load(case / "harmony_fixed_full.npz")["Z"]
    found = adata.obsm["X_pca_harmony"]
    worst = min(abs(np.corrcoef(found[:, i], expected[:, i])[0, 1]) for i in range(found.shape[1]))
    assert worst >= 0.985


# ---- edge cases


def edge(case: Path) -> tuple[dict[str, Any], ad.AnnData]:
    with open(case / "edge.json", encoding="utf-8") as file:
        told = json.load(file)
    return told, ad.AnnData(np.asarray(told["counts"], dtype=np.float32), var=pd.DataFrame(index=told["genes"]))


EDGES = cases(folders("edge.json"), "edge")


@pytest.mark.filterwarnings("ignore:.*seem to be logarithms")
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("case", EDGES)
def test_edge_normalisation(case: Path, dense: bool) -> None:
    told, adata = edge(case)
    for suffix, words in (
        ("median_target", {}),
        ("1e4", {"target_sum": 1e4}),
        ("exclude_highly", {"target_sum": 1e4, "exclude_highly_expressed": True, "max_fraction": 0.2}),
    ):
        found = adata.copy() if dense else ad.AnnData(sparse.csr_matrix(adata.X), var=adata.var)
        with pytest.warns(fe.FerrocyteWarning, match="no counts"):
            fe.pp.normalize_total(found, **words)
        close(found.X if dense else found.X.toarray(), told[f"norm_{suffix}"], 3e-7)
        fe.pp.log1p(found)
        close(found.X if dense else found.X.toarray(), told[f"lognorm_{suffix}"], 3e-7)


@pytest.mark.filterwarnings("ignore::ferrocyte.FerrocyteWarning")
@pytest.mark.parametrize("case", EDGES)
def test_edge_scale(case: Path) -> None:
    told = edge(case)[0]
    adata = ad.read_h5ad(case / "edge_lognorm.h5ad")
    fe.pp.scale(adata, max_value=3)
    close(adata.var["mean"], told["scale_mean"], 1e-6)
    close(adata.var["std"], told["scale_std"], 1e-6)
    close(adata.X, told["scaled_max3"], 0.0, 2e-6)


@pytest.mark.filterwarnings("ignore::ferrocyte.FerrocyteWarning")
@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
@pytest.mark.parametrize("case", EDGES)
def test_edge_variable_genes(case: Path, flavor: str) -> None:
    expected = edge(case)[0][f"hvg_{flavor}"]
    adata = ad.read_h5ad(case / "edge_lognorm.h5ad")
    words = {"n_bins": 5} if flavor == "seurat" else {"n_top_genes": 4}
    fe.pp.highly_variable_genes(adata, flavor=flavor, **words)
    z = np.asarray([np.nan if value is None else value for value in expected["dispersions_norm"]], dtype=float)
    check_dispersions(adata.var, pd.DataFrame({"dispersions_norm": z, "highly_variable": expected["highly_variable"]}))


@pytest.mark.parametrize("case", EDGES)
def test_edge_counts_that_break_a_fit_are_warned_of(case: Path) -> None:
    told, adata = edge(case)
    assert "error" in told["hvg_seurat_v3"]
    with pytest.warns(fe.FerrocyteWarning):
        fe.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=4)
    assert int(adata.var["highly_variable"].sum()) == 4


@pytest.mark.parametrize("case", EDGES)
def test_edge_graph_with_equal_points(case: Path) -> None:
    told = edge(case)[0]["fuzzy"]
    values = np.asarray(told["points"], dtype=float)
    k = len(told["knn"][0])
    adata = ad.AnnData(np.zeros((len(values), 1), dtype=np.float32), obsm={"X_pca": values})
    fe.pp.neighbors(adata, n_neighbors=k, use_rep="X_pca")
    distances = adata.obsp["distances"]
    assert (np.diff(distances.indptr) == k - 1).all()
    assert (distances.data == 0).any()
    close(adata.obsp["connectivities"].toarray(), told["connectivities"], 0.0, 2e-5)
