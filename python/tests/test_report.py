"""`fe.report`: the page of a study, from memory and from files."""

from __future__ import annotations

import base64
import gzip
import inspect
import json
import re
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte._examples import small_study


def about(page: str) -> dict:
    """What a page says of its data."""
    number = re.search(r"const ABOUT = (\d+);", page)[1]
    return json.loads(blob(page, int(number)))


def blob(page: str, number: int) -> bytes:
    """An array of a page."""
    text = re.search(rf'id="blob-{number}">([^<]*)<', page)[1]
    return gzip.decompress(base64.b64decode(text))


@pytest.fixture(scope="module")
def study():
    adata = small_study()
    adata.obs["kind"] = pd.Categorical(["a", "b"] * (adata.n_obs // 2))
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(adata.n_obs, 2)).astype(np.float32)
    fe.pp.calculate_qc_metrics(adata, percent_top=None, inplace=True)
    fe.pp.normalize_total(adata, target_sum=1e4)
    fe.pp.log1p(adata)
    fe.tl.rank_genes_groups(adata, "kind")
    return adata


def test_options_have_one_home():
    options = {name: default for name, default, _ in _core.report_options()}
    program = {name: default for _, name, default, _ in _core.report_arguments() if name != "output"}
    assert program == options
    signature = inspect.signature(fe.report)
    words = {name: parameter.default for name, parameter in signature.parameters.items()}
    assert set(options) <= set(words)
    for name, default in options.items():
        ours = {None: "", (): ""}.get(words[name], str(words[name]))
        assert ours == default, name


def test_the_page_of_an_anndata_has_its_parts(study, tmp_path):
    path = fe.report(study, tmp_path / "page.html", title="Study & <co>")
    page = path.read_text()
    assert "<title>Study &amp; &lt;co&gt;</title>" in page
    told = about(page)
    assert (told["n_obs"], told["n_var"]) == study.shape
    assert told["sections"] == ["overview", "cells", "quality", "composition", "markers", "provenance"]
    markers = next(table for table in told["tables"] if table["markers"])
    assert markers["rows"] == 2 * study.n_vars
    assert told["expression"]["n_genes"] == int((study.X.sum(axis=0) > 0).sum())
    assert not list(tmp_path.glob(".*")), "nothing else is left"


def test_means_of_markers_are_those_of_the_matrix(study, tmp_path):
    told = about(fe.report(study, tmp_path / "page.html", clusters="kind").read_text())
    dots = told["expression"]["dots"]
    values = pd.DataFrame(study.X.toarray(), columns=study.var_names)[dots["genes"]]
    groups = values.groupby(study.obs["kind"].to_numpy())
    np.testing.assert_allclose(np.array(dots["means"]).T, groups.mean(), rtol=1e-5)
    np.testing.assert_allclose(np.array(dots["shares"]).T, (values > 0).groupby(study.obs["kind"].to_numpy()).mean())


def test_a_file_and_its_anndata_give_the_same_data(study, tmp_path):
    fe.io.write_h5ad(study, tmp_path / "study.h5ad")
    one = about(fe.report(tmp_path / "study.h5ad", tmp_path / "a.html", title="x").read_text())
    two = about(fe.report(study, tmp_path / "b.html", title="x").read_text())
    for key in ("n_obs", "sections", "cells", "layouts", "programs", "steps", "expression"):
        assert one[key] == two[key], key


def test_tables_of_results_are_found_with_their_statuses(tmp_path):
    adata = small_study()
    fit = fe.lmm.fit(adata, "~ condition + donor + (1 | sample)")
    fit.store(adata, "model")
    told = about(fe.report(adata, tmp_path / "page.html").read_text())
    (table,) = told["tables"]
    assert table["path"] == "uns/model/tests"
    roles = {column["role"] for column in table["columns"]}
    assert {"gene", "effect", "p", "adjusted", "status"} <= roles
    assert sum(status["rows"] for status in table["statuses"]) == table["of"]
    assert told["components"][0]["place"] == "model"
    assert any(step["told"].get("method") == "lmm.fit" for step in told["steps"])


def test_p_values_too_small_for_numbers_are_kept_as_logarithms(tmp_path):
    adata = small_study()
    adata.uns["t"] = pd.DataFrame(
        {"gene": ["a", "b"], "log_fc": [1.0, 2.0], "p_value": [0.0, 0.01], "log10_p_value": [-400.0, -2.0]}
    )
    page = fe.report(adata, tmp_path / "page.html").read_text()
    (table,) = about(page)["tables"]
    p = next(column for column in table["columns"] if column["role"] == "p")
    np.testing.assert_allclose(np.frombuffer(blob(page, p["values"]["blob"]), "<f4"), [-400, -2])


@pytest.mark.parametrize(
    ("table", "effect"),
    [
        (pd.DataFrame({"logFC": [1.0], "P.Value": [0.1], "adj.P.Val": [0.2]}, index=["a"]), "logFC"),
        (pd.DataFrame({"log2FoldChange": [1.0], "pvalue": [0.1], "padj": [0.2]}, index=["a"]), "log2FoldChange"),
        (pd.DataFrame({"logFC": [1.0], "PValue": [0.1], "FDR": [0.2]}, index=["a"]), "logFC"),
        (pd.DataFrame({"gene": ["a"], "cluster": [3], "logFC": [1.0], "p": [0.1]}), "logFC"),
    ],
    ids=["limma", "DESeq2", "edgeR", "numbered clusters"],
)
def test_tables_of_others_are_known_by_their_columns(tmp_path, table, effect):
    adata = small_study()
    adata.uns["t"] = table
    (found,) = about(fe.report(adata, tmp_path / "page.html").read_text())["tables"]
    columns = {column["role"]: column for column in found["columns"] if column["role"]}
    assert columns["effect"]["name"] == effect
    assert {"gene", "effect", "p"} <= set(columns)
    for role in {"gene", "group"} & set(columns):
        assert "levels" in columns[role], "names are texts, also where they are numbers"


def test_p_values_that_are_texts_make_no_table(tmp_path):
    adata = small_study()
    adata.uns["t"] = pd.DataFrame({"gene": ["a"], "p_value": ["small"]})
    assert about(fe.report(adata, tmp_path / "page.html").read_text())["tables"] == []


def test_the_program_writes_the_page_of_the_package(study, tmp_path):
    fe.io.write_h5ad(study, tmp_path / "study.h5ad")
    fe.report(tmp_path / "study.h5ad", tmp_path / "a.html", seed=3)
    words = ["report", str(tmp_path / "study.h5ad"), "-o", str(tmp_path / "b.html"), "--seed", "3"]
    code = f"import sys; sys.argv = ['ferrocyte', *{words!r}]; from ferrocyte._cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clusters": "kindd"}, "obs has no column `kindd`"),
        ({"genes": ["nothing"]}, "there is no gene `nothing`"),
        ({"genes": "GENE1"}, "expected a list of names"),
        ({"layer": "nothing"}, "there is no matrix"),
        ({"modality": "rna"}, "an AnnData has no modalities"),
        ({"max_size": 10}, "are too few"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(study, tmp_path, options, words):
    with pytest.raises(fe.FerrocyteError, match=re.escape(words)):
        fe.report(study, tmp_path / "page.html", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["page.txt", "no/page.html"])
def test_places_that_cannot_be_written_are_refused(study, tmp_path, name):
    with pytest.raises(fe.BadInputError):
        fe.report(study, tmp_path / name)


def test_scaled_values_give_way_to_raw(study, tmp_path):
    adata = study.copy()
    adata.raw = adata
    adata.X = (adata.X.toarray() - 1).astype(np.float32)
    assert about(fe.report(adata, tmp_path / "page.html").read_text())["expression"]["matrix"] == "raw/X"
    adata.raw = None
    assert about(fe.report(adata, tmp_path / "page.html").read_text())["expression"]["matrix"] == "X"


def test_empty_studies_have_a_page(tmp_path):
    adata = ad.AnnData(obs=pd.DataFrame(index=["a", "b"]), var=pd.DataFrame(index=["g"]))
    assert about(fe.report(adata, tmp_path / "page.html").read_text())["sections"] == ["overview"]


def test_ecotypes_have_a_section_where_they_were_stored(tmp_path):
    cells = fe.ecotype.simulate(3, samples=2, cells=300, genes=60, types=2, ecotypes=2)
    models = fe.ecotype.train(cells, sample="Sample", normalize="log1p_cp10k")
    cells.obs["SE"] = cells.obs["SE"].astype(str)
    assert "ecotypes" not in about(fe.report(cells, tmp_path / "page.html").read_text())["sections"]
    fe.ecotype.recover(cells, models, normalize="log1p_cp10k").store(cells, key="found")
    told = about(fe.report(cells, tmp_path / "page.html").read_text())
    assert told["sections"].index("ecotypes") == told["sections"].index("space") - 1
    columns = told["cells"]["columns"]
    column, reason = (columns[told["ecotypes"][name]] for name in ("column", "reason"))
    assert column["name"] == "found"
    counts = cells.obs["found"].value_counts()
    assert dict(zip(column["levels"], column["counts"], strict=True)) == counts.to_dict()
    assert reason["name"] == "found_reason"
