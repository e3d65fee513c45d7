"""Studies of several samples: how they are read, put together, cut, named and kept, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ferrocyte as fe
from ferrocyte._examples import small_samples, small_tenx
from ferrocyte.errors import (
    BadFileError,
    BadInputError,
    FerrocyteWarning,
    MissingKeyError,
    UnsupportedError,
)
from ferrocyte.experiment import Metadata


@pytest.fixture
def expm(tmp_path) -> fe.Experiment:
    """Two samples, not together yet."""
    return fe.Experiment(small_samples(), tmp_path / "study")


@pytest.fixture
def merged(expm) -> fe.Experiment:
    """Two samples together, with clusters."""
    expm.rna.merge()
    expm.rna.log_normalize()
    expm.rna.scale_pca(hvg=None, n_comps=5)
    expm.rna.knn(n_neighbors=10)
    expm.rna.leiden(resolution=1.5)
    return expm


# Reading


def test_cells_get_the_columns_of_their_sample(expm):
    ctrl = expm.samples["rna"]["ctrl"]
    assert list(ctrl.obs_names[:2]) == ["ctrl:1", "ctrl:2"]
    first = ["sample", "batch", "group", "modality", "taxa", "barcode", "ubc"]
    assert list(ctrl.obs.columns[:7]) == first
    assert "donor" in ctrl.obs
    assert set(ctrl.obs["batch"]) == {"b1"}
    assert ctrl.obs["barcode"].iloc[0].startswith("ctrl:cell")
    assert ctrl.X.format == "csr"
    assert ctrl.X.dtype == np.float32
    assert list(ctrl.var.columns) == ["gene", "id"]


def test_samples_of_other_forms_are_read(tmp_path):
    counts = pd.DataFrame([[1, 0, 3], [0, 2, 0]], index=["g1", "g2"], columns=["c1", "c2", "c3"])
    for name, sep in (("a.csv", ","), ("b.tsv.gz", "\t"), ("c.ssv", " ")):
        counts.to_csv(tmp_path / name, sep=sep)
    table = pd.DataFrame({"location": ["a.csv", "b.tsv.gz", "c.ssv", small_tenx()], "sample": list("abct")})
    expm = fe.Experiment(table, base=tmp_path)
    for name in "abc":
        found = expm.samples["rna"][name]
        np.testing.assert_array_equal(found.X.toarray(), counts.to_numpy().T)
        assert list(found.var_names) == ["g1", "g2"]
        assert found.obs["barcode"].iloc[2] == f"{name}:c3"
    tenx = expm.samples["rna"]["t"]
    assert list(tenx.var["id"]) == ["E1", "E2", "E3"]
    assert list(tenx.var["gene"]) == ["TP53", "TP53-1", "ISG15"]
    assert expm.metadata.dataframe["batch"].tolist() == ["."] * 4


@pytest.mark.filterwarnings("ignore:.*cells have no counts")
@pytest.mark.parametrize("form", ["tsv", "gtf", "frame"])
def test_genes_are_looked_up_in_a_table(tmp_path, form, capsys):
    genes = pd.DataFrame(
        {
            "id": ["gene3", "gene1", "ENSG9"],
            "gene": ["C", "A", "gene2"],
            "chr": ["MT", "1", "2"],
            "start": [1, 5, 9],
            "end": [3, 8, 11],
            "strand": ["+", "-", "+"],
        }
    )
    path = tmp_path / f"genes.{form}"
    if form == "tsv":
        genes.to_csv(path, sep="\t", index=False)
    elif form == "gtf":
        lines = [
            f'{g.chr}\tx\tgene\t{g.start}\t{g.end}\t.\t{g.strand}\t.\tgene_id "{g.id}"; gene_name "{g.gene}";'
            for g in genes.itertuples()
        ]
        path.write_text("#!remark\n" + "\n".join(lines) + "\n")
    expm = fe.Experiment(small_samples(), genes=genes if form == "frame" else path)
    found = expm.samples["rna"]["ctrl"]
    assert list(found.var_names) == ["gene1", "gene2", "gene3"]
    assert list(found.var["gene"]) == ["A", "gene2", "C"]
    assert list(found.var["chr"].astype(str)) == ["1", "2", "MT"]
    assert "37 genes (out of 40) not in the table of genes." in capsys.readouterr().out
    expm.rna.qc(mt_seqid="MT", mt_percent=1, min_genes=1, outlier_mode=(0, 1e9), doublet_method=None)
    sample = expm.samples["rna"]["ctrl"]
    np.testing.assert_allclose(sample.obs["n.mito"], found[sample.obs_names].X[:, 2].toarray().ravel())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"location": None}, MissingKeyError, "column `location` is missing"),
        ({"sample": None}, MissingKeyError, "column `sample` is missing"),
        ({"sample": ["a", "a"]}, BadInputError, "sample `a` stands there twice, in row 0 and row 1"),
        ({"sample": ["a", "x/y"]}, BadInputError, "`x/y`"),
        ({"sample": ["a", ""]}, BadInputError, "a name is missing"),
        ({"modality": ["rna", "atac"]}, UnsupportedError, "modality `atac`"),
        ({"location": ["ctrl.h5ad", "nowhere.h5ad"]}, BadFileError, "sample `b`: there is nothing at `nowhere.h5ad`"),
        ({"barcode": ["x", "y"]}, BadInputError, "cannot be called `barcode`"),
    ],
)
def test_tables_with_mistakes_are_refused(change, error, message):
    columns = {"location": ["ctrl.h5ad", "stim.h5ad"], "sample": ["a", "b"]} | change
    table = pd.DataFrame({name: values for name, values in columns.items() if values is not None})
    with pytest.raises(error, match=message):
        fe.Experiment(table, base=Path(small_samples()).parent)


def test_what_is_no_table_or_no_sample_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="expected a path or a data frame, found int"):
        fe.Experiment(3)
    with pytest.raises(BadFileError, match="cannot be read"):
        fe.Experiment(tmp_path / "none.tsv")
    with pytest.raises(BadInputError, match="1 values for 2 samples"):
        Metadata(["a", "b"], names=["a"])
    for value in (-2.0, np.nan, np.inf):
        spoilt = ad.AnnData(sparse.csr_matrix(np.array([[1.0, 0.0], [0.0, value]])))
        spoilt.write_h5ad(tmp_path / "n.h5ad")
        with pytest.raises(BadInputError, match=r"n\.h5ad: 1 values are .* the first in cell `1`, gene `1`"):
            fe.Experiment(pd.DataFrame({"location": ["n.h5ad"], "sample": ["n"]}), base=tmp_path)
    half = ad.AnnData(sparse.csr_matrix(np.array([[1.0, 2.5]])))
    half.write_h5ad(tmp_path / "h.h5ad")
    with pytest.warns(FerrocyteWarning, match="not whole numbers"):
        fe.Experiment(pd.DataFrame({"location": ["h.h5ad"], "sample": ["h"]}), base=tmp_path)


# On what verbs work


def test_samples_are_chosen_by_name_list_and_pattern(expm):
    chosen = {
        name: list(expm.rna._targets(where))
        for name, where in {
            "all": True,
            "list": ["stim"],
            "name": "ctrl",
            "pattern": "s.*|c.*",
            "order": ["stim", "ctrl"],
        }.items()
    }
    assert chosen == {
        "all": ["ctrl", "stim"],
        "list": ["stim"],
        "name": ["ctrl"],
        "pattern": ["ctrl", "stim"],
        "order": ["ctrl", "stim"],
    }


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        (False, MissingKeyError, "call expm.rna.merge"),
        ("stym", MissingKeyError, "did you mean `stim`"),
        (["ctrl", "nobody"], MissingKeyError, "there is no sample `nobody`"),
        ("(", BadInputError, "neither a sample nor a regular expression"),
        ([], BadInputError, "no sample is named"),
    ],
)
def test_samples_that_do_not_exist_are_named(expm, where, error, message):
    with pytest.raises(error, match=message):
        expm.rna.log_normalize(run_on_samples=where)


@pytest.mark.filterwarnings("ignore:no gene is mitochondrial")
@pytest.mark.parametrize(
    ("verb", "arguments", "error", "message"),
    [
        ("qc", {"mt_percent": 15}, BadInputError, "0.15 is 15 percent"),
        ("qc", {"outlier_mode": "sd"}, BadInputError, "no way `sd`"),
        ("qc", {"outlier_mode": (5, 1)}, BadInputError, "two rising numbers"),
        ("qc", {"outlier_n": -1}, BadInputError, "factor of at least 0"),
        ("qc", {"doublet_method": "solo"}, UnsupportedError, "Scrublet"),
        ("qc", {"min_genes": 5000}, BadInputError, "none of 120 cells is good"),
        ("qc", {"ribo_genes": ["RPS3"]}, UnsupportedError, "told by symbol"),
        ("qc", {"paralel": True}, BadInputError, "is `parallel` meant"),
        ("filter", {}, MissingKeyError, "no column `qc`"),
        ("hvg", {"method": "seurat"}, BadInputError, "vst, binned, cellranger"),
        ("hvg", {"sort_hvg_rank_first": True}, UnsupportedError, "more batches come first"),
        ("merge", {"run_on_samples": False}, BadInputError, "nothing to merge"),
        ("merge", {"join": "left"}, BadInputError, "left"),
        ("merge", {"variables": ["nothing"]}, MissingKeyError, "no sample has the column `nothing`"),
        ("merge", {"variables": {"gene": "mean"}}, BadInputError, "takes numbers"),
        ("merge", {"variables": {"gene": "sum"}}, BadInputError, "no rule `sum`"),
        ("merge", {"obsm": ["pca"]}, MissingKeyError, "sample `ctrl` has no `pca`"),
    ],
)
def test_bad_arguments_of_samples_are_refused(expm, verb, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(expm.rna, verb)(**{"run_on_samples": True, **arguments})


@pytest.mark.parametrize(
    ("verb", "arguments", "error", "message"),
    [
        ("exclude", {"annotation": "laiden", "remove": ["0"]}, MissingKeyError, "`leiden`"),
        ("keep", {"annotation": "sample", "values": []}, BadInputError, "no value is named"),
        ("annotate", {"cluster": "leiden", "mapping": {}}, BadInputError, "no cluster is given a name"),
        ("annotate", {"mapping": {"A": [0], "B": "0"}}, BadInputError, "cluster `0` is called both `A` and `B`"),
        ("annotate", {"cluster": "nothing", "mapping": {"A": 0}}, MissingKeyError, "nothing"),
        ("annotate_merge", {"annotation": "leiden", "merge": ["x"], "into": "y"}, MissingKeyError, "no level to merge"),
        ("annotate_paste", {"froms": "sample", "into": "both"}, BadInputError, "expected a list of columns"),
        ("annotate_paste", {"froms": [], "into": "both"}, BadInputError, "no column is named"),
        ("proportion", {"major": "sample", "minor": "leidn"}, MissingKeyError, "leiden"),
        ("proportion", {"major": "sample", "minor": "leiden", "within": "rows"}, BadInputError, "rows"),
        ("get_markers", {"group": "0"}, MissingKeyError, "call markers first"),
        ("plot_markers", {}, MissingKeyError, "call markers first"),
        ("plot_markers", {"plot_type": "violin"}, BadInputError, "stacked_violin"),
        ("plot_embedding", {"annotate": True, "annotate_style": "circle"}, BadInputError, "`text` or `index`"),
        ("plot_embedding", {"run_on_splits": True}, UnsupportedError, "run_on_samples"),
        ("knn", {"use_rep": "harmoni"}, MissingKeyError, "harmoni"),
        ("knn", {"metric_kwds": {"p": 3}}, UnsupportedError, "no parameters"),
        ("sc3", {"batch_size": 50}, UnsupportedError, "clustered in full"),
        ("umap", {"method": "rapids"}, UnsupportedError, "processors"),
        ("leiden", {"resolutions": 1}, BadInputError, "no argument `resolutions`"),
        ("markers", {"groupby": "leiden", "groups": ["99"]}, MissingKeyError, "99"),
    ],
)
def test_bad_arguments_of_the_whole_are_refused(merged, verb, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(merged.rna, verb)(**arguments)


def test_modalities_and_what_is_put_into_them(expm):
    with pytest.raises(MissingKeyError, match="no modality `atac`"):
        expm["atac"]
    with pytest.raises(BadInputError, match="expected an AnnData"):
        expm["rna"] = np.zeros((2, 2))
    expm["rna"] = expm.samples["rna"]["ctrl"].copy()
    expm["rna"].layers["twice"] = expm["rna"].X * 2
    assert "twice" in expm["rna"].layers
    assert "layers : twice <csr:f32>" in str(expm)


# Together


@pytest.mark.filterwarnings("ignore:no gene is mitochondrial")
def test_only_good_cells_and_genes_are_merged(expm):
    expm.rna.qc(min_genes=25, outlier_mode=(0, 1e9), mt_percent=1, doublet_method=None, min_cells=40)
    parts = expm.samples["rna"]
    expm.rna.merge(join="outer")
    whole = expm["rna"]
    assert whole.n_obs == sum(int(part.obs["qc"].sum()) for part in parts.values())
    genes = set().union(*(part.var_names[part.var["qc"]] for part in parts.values()))
    assert list(whole.var_names) == sorted(genes)
    lost = next((gene for gene in genes if not parts["ctrl"].var["qc"].get(gene, False)), None)
    if lost is not None:
        assert whole[whole.obs["sample"] == "ctrl", lost].X.nnz == 0
    expm.rna.merge(join="inner")
    both = [gene for gene in parts["ctrl"].var_names if all(part.var["qc"].get(gene, False) for part in parts.values())]
    assert list(expm["rna"].var_names) == both


def test_columns_of_genes_become_one_by_their_rules(expm):
    ctrl, stim = (expm.samples["rna"][name] for name in ("ctrl", "stim"))
    ctrl.var["seen"], stim.var["seen"] = True, False
    ctrl.var["length"], stim.var["length"] = 3, 5
    ctrl.var["kind"], stim.var["kind"] = "a", "b"
    expm.samples["rna"]["stim"] = stim[:, 1:].copy()
    rules = {"seen": "and", "length": "max", "kind": "concat", "gene": None}
    expm.rna.merge(variables=rules)
    var = expm["rna"].var
    assert list(var.columns) == list(rules)
    assert var.loc["gene1", ["seen", "length", "kind"]].tolist() == [True, 3, "a"]
    assert var.loc["gene2", ["seen", "length", "kind", "gene"]].tolist() == [False, 5, "a;b", "gene2"]
    expm.rna.merge(variables=["seen", "length", "kind"])
    assert expm["rna"].var.loc["gene2", ["seen", "length", "kind"]].tolist() == [True, 4.0, "a;b"]


def test_two_cells_of_one_name_are_refused(expm):
    stim = expm.samples["rna"]["stim"]
    stim.obs_names = expm.samples["rna"]["ctrl"].obs_names
    with pytest.raises(BadInputError, match="cell `ctrl:1` stands there twice"):
        expm.rna.merge()


def test_columns_that_a_sample_lacks_are_missing(expm):
    stim = expm.samples["rna"]["stim"]
    del stim.obs["age"]
    stim.obs["extra"] = pd.Categorical(["x"] * stim.n_obs)
    stim.obs["n"] = 1
    expm.rna.merge(join="outer")
    obs = expm["rna"].obs
    from_ctrl = obs["sample"] == "ctrl"
    assert obs["age"][~from_ctrl].isna().all()
    assert obs["extra"][from_ctrl].isna().all()
    assert obs["n"].dtype == np.float64
    assert next(iter(obs.columns)) == "sample"
    expm.rna.merge(join="inner")
    assert not {"age", "extra", "n"} & set(expm["rna"].obs)


# Cells and their names


def test_labels_are_compared_as_texts_and_unknown_ones_are_said(merged, capsys):
    n = int((merged["rna"].obs["leiden"] == "0").sum())
    before = merged["rna"].n_obs
    with pytest.warns(FerrocyteWarning, match="has no label `77`"):
        merged.rna.exclude(annotation="leiden", remove=[0, 77])
    assert merged["rna"].n_obs == before - n
    assert f"keep {before - n} observations from {before}." in capsys.readouterr().out
    assert merged["rna"].uns["neighbors"]["stale"]
    assert "knn" not in merged["rna"].obsm
    for verb in ("umap", "leiden"):
        with pytest.raises(BadInputError, match="graph is that of more cells"):
            getattr(merged.rna, verb)()
    merged.rna.leiden(allow_stale=True, key_added="anyway")
    with pytest.raises(BadInputError, match="no cell would be left"), pytest.warns(FerrocyteWarning, match="no label"):
        merged.rna.keep(annotation="sample", values="ctrl", run_on_samples=["stim"])
    merged.rna.keep(annotation="sample", values="ctrl")
    assert set(merged["rna"].obs["sample"]) == {"ctrl"}


def test_clusters_get_names(merged, capsys):
    levels = list(merged["rna"].obs["leiden"].cat.categories)
    assert len(levels) > 1
    merged["rna"].uns["cell.type.colors"] = ["#000000"]
    with pytest.warns(FerrocyteWarning) as said:
        merged.rna.annotate(annotation="cell.type", cluster="leiden", mapping={"T": [0], "none": ["99"]})
    texts = [str(one.message) for one in said]
    assert any("keep their own: 1, 2" in text for text in texts)
    assert any("there is no `99`" in text for text in texts)
    types = merged["rna"].obs["cell.type"]
    assert list(types.cat.categories) == sorted(["T", *levels[1:]])
    assert "cell.type.colors" not in merged["rna"].uns
    assert f"  T   {int((types == 'T').sum())}\n" in capsys.readouterr().out
    merged.rna.annotate_merge(merge=[1, "T"], into="all", annotation="cell.type")
    assert "all" in merged["rna"].obs["cell.type"].cat.categories
    merged.rna.annotate_paste(froms=["sample", "leiden"], into="both", sep=".")
    assert merged["rna"].obs["both"].astype(str).str.match(r"(ctrl|stim)\.\d+").all()
    assert "both <cat> <c>" in str(merged)


def test_shares_are_those_of_the_cells(merged):
    counts = merged.rna.proportion("sample", "leiden", normalize=False)["integrated"]
    expected = pd.crosstab(merged["rna"].obs["sample"], merged["rna"].obs["leiden"])
    np.testing.assert_array_equal(counts.to_numpy(), expected.to_numpy())
    assert set(merged.rna.proportion("donor", "cell_type", run_on_samples=True)) == {"ctrl", "stim"}


def test_normalised_layers_are_those_of_the_mean_total(expm):
    before = expm.samples["rna"]["ctrl"].X.toarray()
    expm.rna.log_normalize(run_on_samples="ctrl")
    after = expm.samples["rna"]["ctrl"]
    totals = before.sum(axis=1, keepdims=True)
    norm = before * totals.mean() / totals
    np.testing.assert_array_equal(after.layers["counts"].toarray(), before)
    np.testing.assert_allclose(after.layers["norm"].toarray(), norm, rtol=1e-6)
    np.testing.assert_allclose(after.X.toarray(), np.log1p(norm), rtol=1e-6)
    assert "log1p" not in after.uns
    assert (after.layers["lognorm"] != after.X).nnz == 0
    assert "norm" not in expm.samples["rna"]["stim"].layers


def test_markers_within_bounds(merged):
    merged.rna.markers(groupby="condition")
    table = merged.rna.get_markers("stim", min_lfc=None, min_pct=0, max_pct_reference=1)["integrated"]
    assert set(table["names"][:2]) == {"gene1", "gene2"}
    assert len(table) == 40
    assert list(table.columns[:2]) == ["names", "scores"]
    assert "gene" in table
    few = merged.rna.get_markers("stim", min_lfc=0, max_pct_reference=1, max_q=1e-3)["integrated"]
    assert 0 < len(few) < 40
    assert (few["lfc"] >= 0).all()
    assert (few["q"] <= 1e-3).all()
    assert set(merged.rna.get_markers(min_lfc=None, max_pct_reference=1)["integrated"]["group"]) == {"ctrl", "stim"}
    with pytest.raises(MissingKeyError, match="no group `STIM`"):
        merged.rna.get_markers("STIM")


def test_threads_change_no_bit(tmp_path):
    found = []
    for n_threads in (1, 2):
        expm = fe.Experiment(small_samples(), tmp_path / str(n_threads), n_threads=n_threads, progress=False)
        expm.rna.log_normalize(run_on_samples=True)
        expm.rna.merge()
        expm.rna.hvg(method="binned", n_top_genes=30)
        expm.rna.scale_pca(n_comps=8)
        expm.rna.harmony()
        expm.rna.knn(n_neighbors=15)
        expm.rna.umap()
        expm.rna.leiden()
        expm.rna.sc3(n_clusters=[3])
        expm.rna.markers(groupby="condition")
        expm.save()
        found.append((tmp_path / str(n_threads) / "integrated.h5mu").read_bytes())
    assert found[0] == found[1]


# The folder


def test_a_saved_study_is_the_same(merged, tmp_path, capsys):
    merged.save()
    out = capsys.readouterr().out
    assert f"saving integrated dataset to {tmp_path / 'study' / 'integrated.h5mu'}" in out
    again = fe.load_experiment(tmp_path / "study")
    assert list(again.samples["rna"]) == ["ctrl", "stim"]
    assert again.metadata.dataframe.equals(merged.metadata.dataframe)
    a, b = merged["rna"], again["rna"]
    assert a.obs["leiden"].equals(b.obs["leiden"])
    assert (a.X != b.X).nnz == 0
    assert a.uns["commands"] == b.uns["commands"]
    # Items that no step registered have no class before, and that of their type afterwards.
    assert "age <f64>" in str(merged)
    assert "age <f64> <f>" not in str(merged)
    assert "age <f64> <f>" in str(again)
    assert "sample <cat> <c/sample>" in str(again)
    merged.save(save_samples=False)
    first = (tmp_path / "study" / "integrated.h5mu").read_bytes()
    merged.save(save_samples=False)
    assert first == (tmp_path / "study" / "integrated.h5mu").read_bytes()


def test_parts_of_a_study(merged, tmp_path, capsys):
    obs = merged["rna"].obs
    n = int(((obs["leiden"] == "0") & (obs["sample"] == "ctrl")).sum())
    merged.build_subset("first", slot="rna", keys=["leiden", "sample"], values=[[0], ["ctrl"]])
    assert f"selected {n} observations from {len(obs)}." in capsys.readouterr().out
    part = fe.load_experiment(tmp_path / "study", load_samples=False, load_subset="first")
    assert part["rna"].n_obs == n
    assert f"subset first of size {n} × 40" in str(part)
    part.save()
    assert "samples were not loaded" in capsys.readouterr().out
    assert not (tmp_path / "study" / "integrated.h5mu").exists()
    for arguments, error, message in (
        ({"subset_name": "a/b", "keys": ["leiden"], "values": [["0"]]}, BadInputError, "subset_name"),
        ({"subset_name": "x", "keys": ["leiden"], "values": []}, BadInputError, "1 columns, but 0 lists"),
        ({"subset_name": "x", "keys": ["nothing"], "values": [["0"]]}, MissingKeyError, "nothing"),
        ({"subset_name": "x", "slot": "atac", "keys": ["leiden"], "values": [["0"]]}, MissingKeyError, "atac"),
    ):
        with pytest.raises(error, match=message):
            merged.build_subset(**arguments)
    with pytest.raises(BadInputError, match="no cell has all"), pytest.warns(FerrocyteWarning, match="no label"):
        merged.build_subset("x", keys=["leiden"], values=[["77"]])
    with pytest.raises(MissingKeyError, match=r"there are `first`"):
        fe.load_experiment(tmp_path / "study", load_subset="firts")


def test_damaged_and_later_folders_are_refused(expm, tmp_path):
    with pytest.raises(BadFileError, match=r"no table of samples `metadata.tsv`"):
        fe.load_experiment(tmp_path / "nothing")
    expm.save()
    study = tmp_path / "study"
    (study / "rna" / "stim.h5ad").unlink()
    with pytest.warns(FerrocyteWarning, match="1 of 2 samples are not in the folder: `stim`"):
        assert list(fe.load_experiment(study).samples["rna"]) == ["ctrl"]
    (study / "spec.json").unlink()
    assert fe.load_experiment(study, load_samples=False).samples is None
    (study / "spec.json").write_text(json.dumps({"spec": 99}))
    with pytest.raises(UnsupportedError, match="later ferrocyte"):
        fe.load_experiment(study)
    (study / "spec.json").write_text("{")
    with pytest.raises(BadFileError, match="damaged"):
        fe.load_experiment(study)
    (study / "spec.json").unlink()
    shutil.rmtree(study / "rna")
    with pytest.warns(FerrocyteWarning, match="2 of 2 samples"):
        found = fe.load_experiment(study)
    assert str(found) == "[!] dataset not integrated.\n[*] samples not loaded from disk."
    with pytest.raises(MissingKeyError, match="not loaded"):
        found.rna.qc(run_on_samples=True)


def test_samples_of_other_modalities_stay_in_the_table(expm, tmp_path):
    expm.save()
    path = tmp_path / "study" / "metadata.tsv"
    path.write_text(path.read_text() + "v.loom\tctrl\tb1\tctrl\trna.splicing\thsa\n")
    with pytest.warns(FerrocyteWarning, match=r"not supported are not loaded: `ctrl` \(rna.splicing\)"):
        again = fe.load_experiment(tmp_path / "study")
    assert list(again.samples["rna"]) == ["ctrl", "stim"]
    again.save()
    assert path.read_text().endswith("rna.splicing\thsa\n")


def test_the_working_directory_and_the_version(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    fe.setwd("below")
    assert Path.cwd() == tmp_path / "below"
    assert fe.version() == fe.__version__
    assert f"ferrocyte {fe.__version__}" in capsys.readouterr().out
    with pytest.raises(BadFileError, match="no such folder"):
        fe.setwd("nowhere")
