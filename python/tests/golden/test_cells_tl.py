"""Clusters, layouts, markers and shares against the reference cases, each step on the stored result of the one before.

A folder below `cells` with `metrics.json` that has `params` and `input` is a pipeline case, one with `edge.json` an
edge case. Bars of what is random are those of the reference over its seeds, less what the specification allows.
"""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import DATA, GOLDEN
from scipy import sparse
from scipy.sparse.csgraph import connected_components

import ferrocyte as fe
from ferrocyte.errors import FerrocyteWarning

CELLS = GOLDEN / "cells"

#: Files of markers: what they were made with, beside the t-test against the rest.
VARIANTS: dict[str, dict[str, Any]] = {
    "markers_t-test.npz": {"pts": True},
    "markers_t-test_overestim_var.npz": {"method": "t-test_overestim_var"},
    "markers_wilcoxon.npz": {"method": "wilcoxon", "tie_correct": False},
    "markers_wilcoxon_tiecorrect.npz": {"method": "wilcoxon", "tie_correct": True},
    "markers_t-test_ref{}.npz": {"reference": "{}"},
}

#: Fields of the edge case's markers: how the name of a case says what it was made with.
METHODS = {"wilcoxon": ("wilcoxon", False), "wilcoxon_tie": ("wilcoxon", True)}


@cache
def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def pipelines() -> list[Path]:
    folders = [path.parent for path in sorted(CELLS.glob("*/metrics.json"))]
    return [folder for folder in folders if {"params", "input"} <= set(metrics(folder))]


def edges() -> list[Path]:
    return [path.parent for path in sorted(CELLS.glob("*/edge.json"))]


def name_of(value: Any) -> str:
    return value.name if isinstance(value, Path) else str(value)


def stored(folder: Path, name: str) -> Any:
    """A file of a case; the test is skipped where the case has none."""
    path = folder / name
    if not path.exists():
        pytest.skip(f"{folder.name} has no {name}")
    if name.endswith(".npz"):
        return np.load(path)
    if name.endswith(".json"):
        return json.loads(path.read_text())
    return pd.read_csv(path, sep="\t", index_col=0, keep_default_na=False)


# ---- the stored results of the steps before


@cache
def lognorm(folder: Path) -> ad.AnnData:
    """The filtered cells: logarithms of normalised counts, computed in 64 bits and rounded once."""
    path = DATA / metrics(folder)["input"]
    if not path.exists():
        pytest.skip(f"no {path.name} in the data folder")
    kept = stored(folder, "filter.npz")
    adata = fe.io.read_h5ad(path)
    adata = adata[kept["cells"]][:, kept["genes"]].copy()
    counts = sparse.csr_matrix(adata.X, dtype=np.float64)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    target = metrics(folder)["params"]["target"]
    target = np.median(totals) if target is None else target
    counts.data = np.log1p(counts.data * np.repeat(target / totals, np.diff(counts.indptr)))
    adata.X = counts.astype(np.float32)
    return adata


@cache
def chosen(folder: Path) -> ad.AnnData:
    """The same with the chosen genes as a column of var, and the groups of the markers."""
    adata = lognorm(folder).copy()
    table = stored(folder, "hvg_seurat_v3.tsv.gz")
    adata.var["hvg"] = (table["highly_variable"].astype(str) == "True").to_numpy()
    codes = stored(folder, "marker_groups.npz")["g"]
    adata.obs["g"] = pd.Categorical([str(code) for code in codes])
    return adata


@cache
def graph(folder: Path) -> ad.AnnData:
    """The cells with the stored graph, scores and groups."""
    params = metrics(folder)["params"]
    k = params.get("graph_k", params["ks"][0])
    edges = stored(folder, f"connectivities_k{k}.npz")
    scores = stored(folder, "pca.npz")["scores"]
    n = len(scores)
    upper = sparse.coo_matrix((edges["weight"], (edges["row"], edges["col"])), shape=(n, n)).tocsr()
    adata = ad.AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]))
    adata.obsp["connectivities"] = upper + upper.T
    adata.obsm["X_pca"] = scores
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": k, "method": "umap", "use_rep": "X_pca", "n_pcs": params["use_pc"]},
    }
    adata.obs["g"] = pd.Categorical([str(code) for code in stored(folder, "marker_groups.npz")["g"]])
    return adata


def pairwise(labels: list[Any]) -> list[float]:
    return [fe.tl.adjusted_rand(a, b) for a, b in combinations(labels, 2)]


# ---- comparisons


def close(what: str, found: Any, expected: Any, tolerance: float) -> None:
    """``|found - expected| <= tolerance (1 + |expected|)``, the same infinities."""
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=tolerance, atol=tolerance, err_msg=what
    )


def same_p(what: str, log10_p: Any, p: Any) -> None:
    """Logarithms of p-values; where the reference has 0, below e^-700."""
    ln_p, p = -np.asarray(log10_p, dtype=float) * math.log(10), np.asarray(p, dtype=float)
    zero = p == 0
    assert (ln_p[zero] < -700).all(), what
    close(what, ln_p[~zero], np.log(p[~zero]), 1e-6)


def same_markers(what: str, table: pd.DataFrame, genes: list[str], expected: dict[str, Any]) -> None:
    """A table of one group against arrays in the order of `genes`."""
    table = table.set_index("names").loc[genes]
    close(f"{what}: scores", table["scores"], expected["scores"], 1e-6)
    if "logfoldchanges" in expected:
        close(f"{what}: fold changes", table["logfoldchanges"], expected["logfoldchanges"], 2e-6)
        same_p(f"{what}: p", table["log10_p"], expected["pvals"])
    same_p(f"{what}: q", table["log10_q"], expected["pvals_adj"])


# ---- the cases


def test_there_are_cases() -> None:
    assert pipelines() or edges(), f"no reference cases under {CELLS}"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_markers_of_chosen_genes(folder: Path, variant: str) -> None:
    reference = str(metrics(folder)["params"].get("marker_reference"))
    expected = stored(folder, variant.format(reference))
    adata = chosen(folder).copy()
    arguments = {
        name: value.format(reference) if name == "reference" else value for name, value in VARIANTS[variant].items()
    }
    fe.tl.rank_genes_groups(adata, "g", mask_var="hvg", **arguments)
    genes = list(adata.var_names[adata.var["hvg"]])
    for row, group in enumerate(expected["groups"]):
        table = fe.get.rank_genes_groups_df(adata, str(group))
        arrays = {name: expected[name][row] for name in ("scores", "logfoldchanges", "pvals", "pvals_adj")}
        same_markers(f"{variant}, group {group}", table, genes, arrays)
        if "pts" in expected:
            table = table.set_index("names").loc[genes]
            close("fractions", table["pct_nz_group"], expected["pts"][row], 1e-6)
            close("fractions of the rest", table["pct_nz_reference"], expected["pts_rest"][row], 1e-6)


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_markers_of_all_genes_and_their_filter(folder: Path) -> None:
    tables = stored(folder, "marker_tables.json")
    expected = stored(folder, "markers_all_genes_group0_top3000.tsv.gz")
    adata = chosen(folder).copy()
    fe.tl.rank_genes_groups(adata, "g", pts=True)
    first = fe.get.rank_genes_groups_df(adata, str(adata.obs["g"].cat.categories[0])).head(len(expected))
    close("scores by order", first["scores"], expected["scores"], 1e-6)
    # Genes may change places only where scores tie in 32 bits.
    scores = expected["scores"].to_numpy()
    tied = np.zeros(len(scores), dtype=bool)
    tied[1:] |= scores[1:] == scores[:-1]
    tied[:-1] |= scores[1:] == scores[:-1]
    assert (tied | (first["names"].to_numpy() == expected["names"].to_numpy())).all()
    fe.tl.filter_rank_genes_groups(
        adata, min_in_group_fraction=0.25, max_out_group_fraction=0.75, min_fold_change=1.0, key_added="kept"
    )
    for group, wanted in tables["groups"].items():
        kept = fe.get.rank_genes_groups_df(adata, group, key="kept", pval_cutoff=0.05)
        assert len(kept) == wanted["n_pass"], group
        top = pd.DataFrame(wanted["top10"])
        assert kept["names"].head(len(top)).tolist() == top["name"].tolist(), group
        kept = kept.head(len(top))
        close("scores", kept["scores"], top["score"], 1e-6)
        close("fold changes", kept["logfoldchanges"], top["lfc"], 2e-6)
        close("fractions", kept["pct_nz_group"], top["pct"], 1e-12)
        close("fractions of the rest", kept["pct_nz_reference"], top["pct_reference"], 1e-12)


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_annotate(folder: Path, tmp_path: Path) -> None:
    """Groups get names by a mapping of numbers, lists and texts; the others keep theirs, and levels are sorted."""
    expected = stored(folder, "marker_tables.json")["annotate"]
    groups = chosen(folder).obs["g"]
    cells = ad.AnnData(np.ones((len(groups), 2), dtype=np.float32), pd.DataFrame(index=groups.index))
    fe.io.write_h5ad(cells, tmp_path / "cells.h5ad")
    expm = fe.Experiment(pd.DataFrame({"location": ["cells.h5ad"], "sample": ["s"]}), base=tmp_path)
    expm.rna.merge()
    expm["rna"].obs["g"] = groups.to_numpy()
    named = {str(id) for ids in expected["mapping"].values() for id in (ids if isinstance(ids, list) else [ids])}
    with pytest.warns(FerrocyteWarning) if set(groups) - named else nullcontext():
        expm.rna.annotate(annotation="name", cluster="g", mapping=expected["mapping"])
    found = expm["rna"].obs["name"]
    assert list(found.cat.categories) == expected["categories"]
    assert found.value_counts().to_dict() == expected["counts"]


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_groups_added_up(folder: Path) -> None:
    tables = stored(folder, "marker_tables.json")
    made = fe.get.aggregate(chosen(folder), "g", ["mean", "count_nonzero"])
    cells = made.obs["n_obs_aggregated"].to_numpy()
    for gene, shares in tables["dot_size_fraction"].items():
        at = made.var_names.get_loc(gene)
        close(gene, made.layers["count_nonzero"][:, at] / cells, shares, 1e-12)
        close(gene, made.layers["mean"][:, at], tables["dot_color_mean"][gene], 1e-6)


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_leiden(folder: Path) -> None:
    params = metrics(folder)["params"]
    manner = params.get("leiden", {"n_iterations": 2, "seeds": 10})
    adata = graph(folder).copy()
    found = metrics(folder)["leiden"]
    for name in (name for name in found if not name.endswith("_pairwise")):
        resolution, expected = float(name), found[name]
        theirs = [run["modularity"] for run in expected]
        runs, qualities = [], []
        for seed in range(manner["seeds"]):
            fe.tl.leiden(adata, resolution, random_state=seed, n_iterations=manner["n_iterations"], flavor="igraph")
            runs.append(adata.obs["leiden"].to_numpy())
            qualities.append(adata.uns["leiden"]["modularity"])
        what = f"resolution {resolution}"
        assert np.mean(qualities) >= np.mean(theirs) - 1e-4, what
        assert max(qualities) >= max(theirs) - 5e-4, what
        numbers = [len(set(run)) for run in runs]
        assert abs(np.median(numbers) - np.median([run["n"] for run in expected])) <= 1, what
        assert np.mean(pairwise(runs)) >= found[f"{name}_pairwise"]["ARI"] - 0.01, what
        for cluster in set(runs[0]):
            inside = np.flatnonzero(runs[0] == cluster)
            assert connected_components(adata.obsp["connectivities"][inside][:, inside])[0] == 1, what


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_modularity_of_given_labels(folder: Path) -> None:
    labels = stored(folder, "leiden_labels.npz")
    adata = graph(folder).copy()
    for name, expected in metrics(folder)["modularity_def"].items():
        adata.obs["given"] = pd.Categorical([str(label) for label in labels[name][0]])
        resolution = float(name.removeprefix("res_"))
        assert fe.tl.modularity(adata, "given") == pytest.approx(expected["igraph_modularity_gamma1"], abs=1e-9)
        found = fe.tl.modularity(adata, "given", resolution=resolution)
        assert found == pytest.approx(expected["igraph_modularity_gamma"], abs=1e-9)


def curve_of(min_dist: float, spread: float) -> list[float]:
    """a and b, by a layout of a few cells."""
    adata = ad.AnnData(obs=pd.DataFrame(index=list("abcdefgh")))
    adata.obsp["connectivities"] = sparse.csr_matrix(np.ones((8, 8)) - np.eye(8))
    fe.tl.umap(adata, min_dist=min_dist, spread=spread, maxiter=1)
    params = adata.uns["umap"]["params"]
    return [params["a"], params["b"]]


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_curve_of_umap(folder: Path) -> None:
    for name, expected in metrics(folder)["umap_ab"].items():
        min_dist, spread = (float(part) for part in name.split("/"))
        np.testing.assert_allclose(curve_of(min_dist, spread), expected, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_umap(folder: Path) -> None:
    params = metrics(folder)["params"]
    manner = params.get("umap", {"min_dist": 0.5, "spread": 1.0, "seeds": 5})
    k = params.get("graph_k", params["ks"][0])
    near = stored(folder, "knn_exact.npz")["indices"][:, 1:k].astype(int)
    adata = graph(folder).copy()
    found: dict[str, list[float]] = {"trustworthiness_k15": [], "knn_recall_2d": [], "silhouette_leiden": []}
    for seed in range(manner["seeds"]):
        fe.tl.umap(adata, min_dist=manner["min_dist"], spread=manner["spread"], random_state=seed)
        found["trustworthiness_k15"].append(fe.tl.trustworthiness(adata, n_pcs=params["use_pc"], n_neighbors=15))
        found["silhouette_leiden"].append(fe.tl.silhouette(adata, "g", use_rep="X_umap"))
        found["knn_recall_2d"].append(recall(adata.obsm["X_umap"], near))
    bars = {"trustworthiness_k15": 0.005, "knn_recall_2d": 0.01, "silhouette_leiden": 0.03}
    for name, allowed in bars.items():
        theirs = np.mean([run[name] for run in metrics(folder)["umap"].values()])
        assert np.mean(found[name]) >= theirs - allowed, name


def recall(layout: np.ndarray, near: np.ndarray) -> float:
    """The share of the neighbours that are neighbours in the layout too."""
    from scipy.spatial import cKDTree

    found = cKDTree(layout).query(layout, near.shape[1] + 1)[1]
    hits = [len(set(row) - {i} & set(truth)) for i, (row, truth) in enumerate(zip(found, near, strict=True))]
    return sum(hits) / near.size


@pytest.mark.parametrize("folder", pipelines(), ids=name_of)
def test_sc3(folder: Path) -> None:
    expected = stored(folder, "sc3_stats.json")
    manner = metrics(folder)["params"]["sc3"]
    adata = graph(folder).copy()
    adata.obsm["basis"] = adata.obsm["X_pca"][:, : expected["dims"]].astype(np.float64)
    labels = adata.obs["g"] if manner["labels"] == "marker_groups" else truth(folder)
    numbers = [int(k) for k in expected["K"]]
    runs: dict[int, list[Any]] = {k: [] for k in numbers}
    for seed in range(manner["seeds"]):
        fe.tl.sc3(adata, numbers, basis="basis", n_runs=manner["n_runs"], random_state=seed)
        for k in numbers:
            runs[k].append(adata.obs[f"sc3s_{k}"].to_numpy())
    for k in numbers:
        theirs = expected["K"][str(k)]
        inertia = [inertia_per_cell(adata.obsm["basis"], run) for run in runs[k]]
        assert np.mean(inertia) <= np.mean(theirs["inertia_per_cell"]), k
        assert np.mean(pairwise(runs[k])) >= min(theirs["pairwise_ari_mean"] + 0.1, 0.98), k
        if k == 10:
            ari = np.mean([fe.tl.adjusted_rand(run, labels) for run in runs[k]])
            assert ari >= np.mean(theirs["ari_vs_labels"]) - 0.02


def truth(folder: Path) -> pd.Series:
    return lognorm(folder).obs[metrics(folder)["params"]["truth"]]


def inertia_per_cell(points: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance to the mean of the cluster."""
    total = 0.0
    for label in set(labels):
        members = points[labels == label]
        total += float(((members - members.mean(axis=0)) ** 2).sum())
    return total / len(points)


# ---- the edge case


def edge_cells(folder: Path, expected: dict[str, Any]) -> ad.AnnData:
    adata = fe.io.read_h5ad(folder / "edge_lognorm.h5ad")
    adata.obs["g"] = pd.Categorical(expected["groups"])
    return adata


def same_edge(what: str, adata: ad.AnnData, wanted: dict[str, dict[str, Any]]) -> None:
    """Rows of the reference are by falling score, its fractions in the order of genes."""
    for group, expected in wanted.items():
        table = fe.get.rank_genes_groups_df(adata, group)
        same_markers(f"{what}, {group}", table, expected["names"], expected)
        shares = table.set_index("names").loc[list(adata.var_names)]
        for column, name in (("pct_nz_group", "pts"), ("pct_nz_reference", "pts_rest")):
            if expected.get(name) is not None:
                close(f"{what}, {group}: {name}", shares[column], expected[name], 1e-12)


@pytest.mark.parametrize("folder", edges(), ids=name_of)
def test_markers_of_the_edge_case(folder: Path) -> None:
    expected = stored(folder, "edge.json")
    for name, wanted in expected["markers"].items():
        parts = name.split("|")
        if len(parts) != 3 or not parts[1].startswith("ref="):
            continue
        method, tie_correct = METHODS.get(parts[0], (parts[0], True))
        adata = edge_cells(folder, expected)
        fe.tl.rank_genes_groups(
            adata,
            "g",
            method=method,
            tie_correct=tie_correct,
            reference=parts[1].removeprefix("ref="),
            corr_method=parts[2],
            pts=True,
        )
        same_edge(name, adata, {group: values for group, values in wanted.items() if isinstance(values, dict)})


@pytest.mark.parametrize("folder", edges(), ids=name_of)
def test_the_rest_keeps_cells_of_other_groups_and_of_none(folder: Path) -> None:
    expected = stored(folder, "edge.json")
    for name, wanted in expected["markers"].items():
        parts = name.split("|")
        adata = edge_cells(folder, expected)
        if len(parts) == 3 and parts[1].startswith("groups="):
            fe.tl.rank_genes_groups(adata, "g", groups=parts[1].removeprefix("groups=").split(","))
        elif name.startswith("NaN group"):
            # Its first four cells have no label.
            adata.obs.loc[adata.obs_names[:4], "g"] = None
            with pytest.warns(fe.FerrocyteWarning, match="4 cells have no group"):
                fe.tl.rank_genes_groups(adata, "g")
        else:
            continue
        assert set(adata.uns["rank_genes_groups"]["names"].dtype.names) == set(wanted)
        for group, values in wanted.items():
            table = fe.get.rank_genes_groups_df(adata, group).set_index("names").loc[values["names"]]
            close(f"{name}, {group}: scores", table["scores"], values["scores"], 1e-6)
            if "pvals_adj" in values:
                same_p(f"{name}, {group}: q", table["log10_q"], values["pvals_adj"])


@pytest.mark.parametrize("folder", edges(), ids=name_of)
def test_a_group_of_one_cell_is_refused_by_name(folder: Path) -> None:
    expected = stored(folder, "edge.json")
    adata = edge_cells(folder, expected)
    adata.obs["g"] = adata.obs["g"].cat.add_categories("lonely")
    adata.obs.loc[adata.obs_names[0], "g"] = "lonely"
    with pytest.raises(fe.BadInputError, match="`lonely`"):
        fe.tl.rank_genes_groups(adata, "g")


@pytest.mark.parametrize("folder", edges(), ids=name_of)
def test_proportions_of_the_edge_case(folder: Path) -> None:
    expected = stored(folder, "edge.json")["proportions"]
    obs = pd.DataFrame(
        {
            "sample": pd.Categorical(expected["sample"], categories=expected["sample_categories"]),
            "ct": pd.Categorical(expected["ct"]),
        },
        index=[f"c{i}" for i in range(len(expected["ct"]))],
    )
    adata = ad.AnnData(obs=obs)
    for word in ("False", "index", "columns", "all"):
        table = fe.tl.proportion(adata, "sample", "ct", normalize=word)
        assert table.index.tolist() == expected[word]["index"]
        assert table.columns.tolist() == expected[word]["columns"]
        np.testing.assert_allclose(table.to_numpy(), expected[word]["data"], rtol=1e-15, err_msg=word)


@pytest.mark.parametrize("folder", edges(), ids=name_of)
def test_curves_of_the_edge_case(folder: Path) -> None:
    for name, expected in stored(folder, "edge.json")["umap_ab"].items():
        min_dist, spread = (float(part.split("=")[1]) for part in name.split(","))
        np.testing.assert_allclose(curve_of(min_dist, spread), expected, rtol=1e-4, err_msg=name)
