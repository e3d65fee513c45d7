"""Consensus factorisations against the reference cases in `cnmf`: every case that its index files have.

Parameters come from the JSON files alone: `run_summary.json`, `stage_index.json`, `exprmat_index.json`,
`edge_index.json`. A kind whose index is absent has no case; none at all is a failure.
"""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import GOLDEN
from scipy import io, sparse

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte._run import means
from ferrocyte.cnmf._inputs import HowFound, HowMade, HowPrepared, inputs

CNMF = GOLDEN / "cnmf"
MEANS = means(progress=False)


class Comparison:
    """Differences as shares of the largest expected size; counts what was compared."""

    def __init__(self, name: str) -> None:
        self.name, self.values = name, 0

    def relative(self, what: str, found: Any, expected: Any, tolerance: float) -> None:
        expected = np.asarray(expected, dtype=float)
        self.absolute(what, found, expected, tolerance * np.nanmax(np.abs(expected)))

    def absolute(self, what: str, found: Any, expected: Any, tolerance: float) -> None:
        found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
        assert found.shape == expected.shape, f"{what}: {found.shape}, expected {expected.shape}"
        assert np.array_equal(np.isnan(found), np.isnan(expected)), f"{what}: missing values"
        off = float(np.nanmax(np.abs(found - expected), initial=0.0))
        assert off <= tolerance, f"{what}: off by {off:.3e}, at most {tolerance:.3e}"
        self.values += found.size

    def same(self, what: str, found: Any, expected: Any) -> None:
        assert list(found) == list(expected), what
        self.values += len(list(expected))

    def tell(self) -> None:
        print(f"{self.name}: {self.values:,} values compared")


def index(name: str) -> dict[str, Any]:
    path = CNMF / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no {name}.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def arrays(name: str) -> Any:
    return np.load(CNMF / f"{name}.npz")


def csr(stored: Any, name: str, n_columns: int) -> sparse.csr_matrix:
    parts = tuple(stored[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_matrix(parts, shape=(len(parts[2]) - 1, n_columns))


def numbered(x: Any) -> ad.AnnData:
    obs = pd.DataFrame(index=[f"c{i}" for i in range(x.shape[0])])
    return ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{j}" for j in range(x.shape[1])]))


def lines(name: str) -> list[str]:
    return (CNMF / name).read_text(encoding="utf-8").split()


def test_there_are_cases() -> None:
    assert list(CNMF.glob("*.json")), f"no case in {CNMF}"


def run_counts() -> ad.AnnData:
    counts = sparse.csr_matrix(io.mmread(CNMF / "run_counts.mtx.gz")).astype(np.float64)
    obs, var = (pd.DataFrame(index=lines(f"run_{what}.txt")) for what in ("cells", "genes"))
    return ad.AnnData(counts, obs=obs, var=var)


@pytest.fixture(scope="module")
def whole() -> tuple[dict[str, Any], ad.AnnData, fe.cnmf.ConsensusNMF]:
    summary = index("run_summary")
    config, counts = summary["config"], run_counts()
    run = fe.cnmf.fit(counts, config["ks"], n_iter=config["n_iter"], seed=config["seed"], n_genes=config["hvg"])
    return summary, counts, run


def test_genes_of_the_run(whole: Any) -> None:
    _, counts, run = whole
    compare, stored = Comparison("run, genes"), arrays("run_prepare")
    table = fe.cnmf.variable_genes(counts, len(run.genes))
    for name, column in (("mean", "mean"), ("tpm_std", "sd"), ("fano", "fano"), ("expected_fano", "expected_fano")):
        compare.relative(name, table[column], stored[name], 1e-8)
    compare.relative("fano_ratio", table["fano_ratio"], stored["fano_ratio"], 1e-8)
    compare.same("high_var", table["selected"], stored["high_var"].astype(bool))
    compare.same("genes", run.genes, lines("run_hvgs.txt"))
    auto = fe.cnmf.variable_genes(counts)
    compare.same("high_var_auto", auto["selected"], stored["high_var_auto"].astype(bool))
    found = [auto.attrs[name] for name in ("a", "b", "threshold", "min_mean")]
    compare.relative("A, B, T", found, stored["A_B_T_minmean_auto"], 1e-8)
    compare.tell()


def test_replicates_and_their_spectra(whole: Any) -> None:
    summary, _, run = whole
    config, compare = summary["config"], Comparison("run, replicates")
    expected = pd.read_csv(CNMF / "run_replicates.tsv", sep="\t")
    found = run.replicates
    for column in ("k", "iter", "seed", "n_iter"):
        compare.same(column, found[column], expected[column])
    compare.relative("sq_error", found["error"], expected["sq_error"], 1e-10)
    rounded = arrays("run_merged_other_f32")
    for k in sorted(set(config["ks"])):
        merged = run.merged(k)
        if k in config["ks_full"]:
            compare.relative(f"merged k{k}", merged, np.load(CNMF / f"run_merged_k{k}.npy"), 1e-9)
            compare.same(f"rows k{k}", merged.index, lines(f"run_merged_k{k}_rows.txt"))
        else:
            compare.relative(f"merged k{k}", merged, rounded[f"k{k}"], 1e-6)
    compare.tell()


def test_k_selection(whole: Any) -> None:
    _, _, run = whole
    compare = Comparison("run, k selection")
    expected = pd.read_csv(CNMF / "run_k_selection.tsv", sep="\t").set_index("k")
    found = run.selection
    compare.same("k", found.index, expected.index)
    compare.absolute("silhouette", found["silhouette"], expected["silhouette"], 1e-9)
    compare.relative("error", found["prediction_error"], expected["prediction_error"], 1e-10)
    compare.tell()


def test_consensus_of_the_run(whole: Any) -> None:
    summary, _, run = whole
    config, compare = summary["config"], Comparison("run, consensus")
    assert config["cons"]
    for k, threshold in config["cons"]:
        name = f"run_consensus_k{k}_dt{str(float(threshold)).replace('.', '_')}"
        stored = arrays(name)
        found = run.consensus(k, threshold, local_neighborhood_size=config["ln"])
        compare.absolute("local_density", found.local_density, stored["local_density"], 1e-7)
        compare.same("kept", found.kept, stored["kept"].astype(bool))
        compare.same("kmeans_label", found.labels, stored["kmeans_label"])
        compare.same("clustergram_order", found.clustergram_order, stored["clustergram_order"])
        tables = {
            "consensus_spectra": found.spectra,
            "usages": found.usages,
            "gene_spectra_tpm": found.spectra_tpm,
            "gene_spectra_score": found.spectra_score,
            "starcat_spectra": found.starcat_spectra,
        }
        for table, values in tables.items():
            compare.relative(f"{name} {table}", values, stored[table], 1e-8)
        about = summary["consensus"][f"k{k}_dt{float(threshold)}"]
        genes = found.spectra_tpm.columns
        for program, expected in about["top50_gene_index"].items():
            compare.same("top genes", found.top_genes(50)[int(program)], genes[expected])
    compare.tell()


def test_stage_refits() -> None:
    about, compare = index("stage_index"), Comparison("stages, refits")
    stored = arrays("stage_inputs")
    n, g = (int(x) for x in stored["shape"])
    cells = numbered(csr(stored, "counts", g).astype(np.float64))
    assert cells.n_obs == n
    genes = [f"g{j}" for j in stored["hvg_index"]]
    spectra = np.ascontiguousarray(stored["consensus_spectra"])
    given = inputs(cells)
    for name, loss in (("cd", "frobenius"), ("kl", "kullback-leibler")):
        reference = arrays(f"stage_{name}")
        core = _core.cnmf_prepare(given, HowPrepared(genes=genes), HowMade(beta_loss=loss), MEANS)
        compare.relative("norm_counts", core.matrix()[0], stored["norm_counts_data"], 1e-12)
        found = core.programs(spectra, given, HowFound(), MEANS)
        order = reference["program_order"]
        compare.same("order", found["order"], order)
        pairs = {
            "first_usages": reference["usage_refit"][:, order],
            "spectra_tpm": reference["spectra_tpm"],
            "spectra_score": reference["gene_spectra_score"],
            "usages": reference["final_usage"],
            "reference": reference["starcat"],
        }
        for what, expected in pairs.items():
            compare.relative(f"{name} {what}", found[what], expected, 1e-10)
        compare.relative("error", [found["prediction_error"]], [about[name]["prediction_error"]], 1e-10)
        if "usage_exact_nnls" in reference:
            exact = core.programs(spectra, given, HowFound(refit="exact"), MEANS)
            compare.relative("exact usages", exact["first_usages"], reference["usage_exact_nnls"][:, order], 1e-8)
        if "peer_wrong_spectra_tpm" in reference:
            # The fault of the peer: its answer is far from the right one.
            assert np.abs(found["spectra_tpm"] - reference["peer_wrong_spectra_tpm"]).max() > 1.0
    compare.tell()


def test_stage_variable_genes() -> None:
    index("stage_index")
    stored, compare = arrays("stage_highvar"), Comparison("stages, variable genes")
    cells = numbered(stored["counts"].astype(np.float64))
    for name, n in (("auto", None), ("top60", 60), ("all", cells.n_vars)):
        table = fe.cnmf.variable_genes(cells, n)
        ratio, selected = table["fano_ratio"].to_numpy(), table["selected"].to_numpy()
        compare.relative(f"{name} ratio", ratio, stored[f"{name}_sparse_ratio"], 1e-10)
        expected = stored[f"{name}_sparse_high_var"].astype(bool)
        least = ratio[selected].min() if selected.any() else np.nan
        for j in np.flatnonzero(selected != expected):
            # Equal ratios may be cut either way; a gene that does not vary is never taken.
            assert table["sd"].iloc[j] == 0.0 or abs(ratio[j] - least) < 1e-9 * least, f"{name}: gene {j}"
        a, b, t = stored[f"{name}_sparse_A_B_T"]
        compare.relative("A, B", [table.attrs["a"], table.attrs["b"]], [a, b], 1e-10)
        if n is None:
            compare.relative("T", [table.attrs["threshold"]], [t], 1e-10)
    own = fe.cnmf.variable_genes(cells, threshold=1.3, min_mean=2000.0)["selected"]
    compare.same("own threshold", own, stored["thr1p3_min2000_high_var"].astype(bool))
    compare.tell()


def test_stage_kmeans() -> None:
    k = index("stage_index")["kmeans"]["k"]
    stored, compare = arrays("stage_kmeans"), Comparison("stages, k-means")
    found = _core.cnmf_kmeans(np.ascontiguousarray(stored["L"]), k, 1, MEANS)
    compare.same("labels", found["labels"], stored["labels"])
    compare.relative("centres", found["centres"], stored["centers"], 1e-10)
    compare.relative("inertia", [found["inertia"]], [stored["inertia"]], 1e-10)
    compare.same("iterations", [found["iterations"]], [int(stored["n_iter"])])
    compare.absolute("silhouette", [found["silhouette"]], [stored["silhouette"]], 1e-9)
    compare.tell()


def test_stage_projection() -> None:
    index("stage_index")
    stored, compare = arrays("stage_project"), Comparison("stages, projection")
    cells = numbered(stored["query_counts"].astype(np.float64))
    spectra = stored["reference"]
    known = pd.DataFrame(spectra, columns=cells.var_names, index=[f"GEP{t + 1}" for t in range(len(spectra))])
    compare.relative("peer's rule", fe.cnmf.project(cells, known).usages, stored["usage_mu"], 1e-10)
    exact = fe.cnmf.project(cells, known, refit="exact")
    compare.relative("exact", exact.usages, stored["usage_exact"], 1e-8)
    compare.relative("exact shares", exact.shares, stored["usage_exact_normalised"], 1e-8)
    compare.tell()


def test_exprmat_variant() -> None:
    about, compare = index("exprmat_index"), Comparison("exprmat")
    config, stored, expected = about["config"], arrays("exprmat_inputs"), arrays("exprmat_outputs")
    n, g = (int(x) for x in stored["shape"])
    counts = csr(stored, "counts", g)
    norm = sparse.csr_matrix((stored["norm_data"], counts.indices, counts.indptr), shape=counts.shape)
    cells = numbered(counts)
    assert cells.n_obs == n
    cells.layers["counts"], cells.layers["norm"] = counts, norm
    cells.var["vst.hvg"] = stored["hvg"].astype(bool)
    run = fe.cnmf.consensus_nmf(cells, config["ks"], min_counts=0, n_permutation=config["n_iter"], seed=config["nseed"])
    stats = cells.uns["cnmf.stats"]
    for k, row in about["stats"]["ncpus1"].items():
        compare.same(f"k{k}", stats.loc[k, ["ncomps", "threshold"]], row[:2])
        compare.absolute(f"k{k} silhouette", [stats.loc[k, "silhoutte"]], [row[2]], 1e-9)
        compare.relative(f"k{k} error", [stats.loc[k, "error"]], [row[3]], 1e-10)
    k = config["k"]
    found = fe.cnmf.consensus_nmf_extract_k(cells, k)
    compare.relative("merged", run.merged(k), expected["ncpus1_merged"], 1e-9)
    compare.absolute("local_density", cells.uns[f"cnmf.density.{k}"]["local.density"], expected["local_density"], 1e-7)
    compare.absolute("dist", cells.uns[f"cnmf.dist.{k}"], expected["dist"], 1e-7)
    compare.relative("consensus_spectra", found.spectra, expected["consensus_spectra"], 1e-8)
    compare.relative("usages", cells.obsm[f"cnmf.{k}"], expected["usages"], 1e-8)
    mask = cells.var["vst.hvg"].to_numpy()
    compare.relative("spectra_tpm", cells.varm[f"cnmf.{k}"][mask].T, expected["spectra_tpm"], 1e-8)
    compare.relative("usage_coef", cells.varm[f"cnmf.coef.{k}"][mask].T, expected["usage_coef"], 1e-8)
    assert not cells.varm[f"cnmf.{k}"][~mask].any()
    compare.tell()


# Bad and borderline input


def whole_numbers(text: str) -> list[int]:
    """The whole numbers of a sentence, those of `hvg_index[..]` too."""
    return [int(found) for found in re.findall(r"(?<![\w.])-?\d+(?![\w.]*\.\d)", text.replace("..", " "))]


def number(text: str, name: str, usual: float) -> float:
    """A number that a sentence gives as NAME=NUMBER."""
    found = re.search(rf"\b{name}=([-+0-9.e]+)", text)
    return usual if found is None else float(found[1])


class Edge:
    """The base input and its run, with the numbers that the sentences of the base and of a case give."""

    def __init__(self, base: str, change: str) -> None:
        stored = arrays("edge_inputs")
        self.x, self.hvg = stored["counts"].astype(np.float64), [int(j) for j in stored["hvg_index"]]
        self.cells = [f"c{i}" for i in range(len(self.x))]
        self.genes = [f"g{j}" for j in range(self.x.shape[1])]
        replicates = [re.search(r"(\d+) replicates", text) for text in (change, base)]
        n_iter = int(next(found for found in replicates if found)[1])
        seed = int(re.search(r"seed (\d+)", base)[1])  # type: ignore[index]
        n_genes = int(re.search(r"(\d+) genes", base)[1])  # type: ignore[index]
        self.k = int(number(change, "k", number(base, "k", 3)))
        self.threshold = number(change, "density_threshold", 0.5)
        self.numbers = whole_numbers(change)
        self.options: dict[str, Any] = {
            "n_iter": int(number(change, "n_iter", n_iter)),
            "seed": seed,
            "n_genes": int(number(change, "num_highvar_genes", n_genes)),
            "max_nmf_iter": int(number(change, "max_NMF_iter", 1000)),
        }

    def listed(self) -> Edge:
        self.options["genes"] = [self.genes[j] for j in self.hvg]
        return self

    def data(self) -> ad.AnnData:
        cells = numbered(self.x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells.obs_names, cells.var_names = self.cells, self.genes
        return cells

    def all(self) -> tuple[fe.cnmf.ConsensusNMF, fe.cnmf.Programs]:
        run = fe.cnmf.fit(self.data(), self.k, **self.options)
        assert len(run.selection) == 1
        found = run.consensus(self.k, self.threshold)
        for table in (found.usages, found.shares, found.spectra, found.spectra_tpm, found.spectra_score):
            assert np.isfinite(table.to_numpy()).all()
        assert np.isfinite(found.starcat_spectra.to_numpy()).all()
        return run, found

    def refused(self, *words: str) -> None:
        with pytest.raises(fe.FerrocyteError) as raised:
            self.all()
        text = f"{raised.value} {getattr(raised.value, 'hint', '')}"
        for word in words:
            assert word in text, f"`{word}` is not in: {text}"

    def warned(self, word: str) -> tuple[fe.cnmf.ConsensusNMF, fe.cnmf.Programs]:
        with pytest.warns(fe.FerrocyteWarning) as caught:
            found = self.all()
        assert any(word in str(one.message) for one in caught), [str(one.message) for one in caught]
        return found


def held(case: str, edge: Edge, tmp_path: Any) -> None:
    """Make the change of a case, and hold ferrocyte to what it requires."""
    n = edge.numbers
    if case == "base":
        edge.all()
    elif case == "empty_cell":
        edge.x[n[0]] = 0.0
        edge.refused(f"`c{n[0]}`")
        edge.options["drop_empty"] = True
        run, _ = edge.warned("1 cells are left out")
        assert run.dropped["cells"] == [f"c{n[0]}"]
    elif case == "cell_without_selected_genes":
        edge.x[np.ix_(n[:2], edge.hvg)] = 0.0
        edge.listed().refused("2 cells", f"`c{n[0]}`", f"`c{n[1]}`")
    elif case == "zero_gene_in_list":
        gene = edge.hvg[n[0]]
        edge.x[:, gene] = 0.0
        run, _ = edge.listed().warned(f"`g{gene}`")
        assert run.dropped["genes"] == [f"g{gene}"]
    elif case == "more_genes_asked_than_vary":
        edge.x[:, n[0] : n[1] + 1] = 0.0
        edge.warned(f"{edge.options['n_genes']} genes were asked for")
    elif case == "constant_gene_in_list":
        gene = edge.hvg[n[0]]
        edge.x[:, gene] = n[1]
        edge.listed().warned(f"`g{gene}`")
    elif case in ("nan", "infinite", "negative"):
        cell, gene = n[0], edge.hvg[n[1]]
        edge.x[cell, gene] = {"nan": np.nan, "infinite": np.inf, "negative": n[-1]}[case]
        edge.refused(f"`c{cell}`", f"`g{gene}`", *(["logarithmic"] if case == "negative" else []))
    elif case == "duplicate_gene_names":
        edge.genes[n[0]] = edge.genes[n[1]]
        edge.refused(f"`g{n[1]}`")
    elif case == "duplicate_cell_names":
        edge.cells[n[0]] = edge.cells[n[1]]
        edge.warned("several cells")
    elif case == "unknown_gene_in_list":
        edge.options["genes"] = ["g1", "nope", "g3"]
        edge.refused("`nope`")
    elif case == "three_replicates":
        _, found = edge.warned("every spectrum is kept")
        assert found.kept.all()
    elif case == "one_replicate":
        run, found = edge.warned("too few")
        assert np.isnan(found.silhouette)
        assert run.selection["reason"].iloc[0]
    elif case == "k_is_1":
        run, found = edge.all()
        assert np.isnan(found.silhouette)
        assert run.selection["reason"].iloc[0]
        assert run.selection["prediction_error"].iloc[0] > 0.0
    elif case == "k_above_genes":
        edge.warned(f"{edge.k} programs")
    elif case == "threshold_removes_all":
        edge.refused("smallest", "median", "largest", "would do")
    elif case == "threshold_leaves_fewer_than_k":
        edge.refused(f" of {edge.k * edge.options['n_iter']}", f"{edge.k} programs")
    elif case == "itakura_saito_with_zeros":
        edge.options["beta_loss"] = "itakura-saito"
        edge.refused("are 0", "kullback-leibler")
    elif case == "max_iter_reached":
        run, _ = edge.all()
        assert (run.replicates["status"] == "max_iter").sum() == edge.options["n_iter"]
        assert run.selection["n_at_limit"].iloc[0] == edge.options["n_iter"]
    elif case == "tpm_has_fewer_cells":
        edge.options["tpm"] = edge.data()[: n[0]].copy()
        edge.refused(str(len(edge.x)), str(n[0]))
    elif case == "tpm_cells_in_other_order":
        edge.options["tpm"] = edge.data()[::-1].copy()
        _, found = edge.warned("matched by name")
        edge.options["tpm"] = edge.data()
        assert np.array_equal(found.usages, edge.all()[1].usages)
    elif case == "k_not_prepared":
        run = fe.cnmf.cNMF(tmp_path, "run")
        asked, prepared = n[:2]
        run.prepare(edge.data(), [prepared], n_iter=5, seed=1, num_highvar_genes=edge.options["n_genes"])
        run.factorize()
        run.combine()
        with pytest.raises(fe.MissingKeyError, match=f"k = {asked}") as raised:
            run.consensus(asked)
        assert f"`{prepared}`" in str(raised.value.hint)
    else:
        pytest.fail(f"the case `{case}` is not known here")


@pytest.mark.filterwarnings("ignore")
def test_bad_and_borderline_input(tmp_path: Any) -> None:
    cases = index("edge_index")["cases"]
    base = next(case["change"] for case in cases if case["case"] == "base")
    for at, case in enumerate(cases):
        held(case["case"], Edge(base, case["change"]), tmp_path / str(at))
    print(f"edge: {len(cases)} cases held")
