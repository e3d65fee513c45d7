"""``ferrocyte cells``: its words are those of the package, and what it writes is what the package gives."""

from __future__ import annotations

import inspect

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import DATA
from scipy import sparse

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte._keys import DIALECTS

# The same words


def test_keys_are_those_of_the_crate():
    rust = {word: {"scanpy": scanpy, "exprmat": exprmat} for word, scanpy, exprmat, _ in _core.cells_keys()}
    for dialect, keys in DIALECTS.items():
        for field, name in vars(keys).items():
            if field == "second_graph":
                continue
            if field == "hvg":
                for measure, column in name.items():
                    assert rust[measure][dialect] == column, (dialect, measure)
            else:
                assert rust[field][dialect] == name, (dialect, field)


def argument(of: str) -> inspect.Parameter:
    """The argument of the package that an option is."""
    function, name = of.split(":")
    module, function = function.split(".")
    return inspect.signature(getattr(getattr(fe, module), function)).parameters[name]


@pytest.mark.parametrize("option", [o for o in _core.cells_options() if o[5]], ids=lambda o: f"{o[0]}-{o[1][0]}")
def test_defaults_are_those_of_the_package(option):
    _, _, word, _, _, of = option
    default = argument(of).default
    if default is None:
        assert word == ""
    elif isinstance(default, bool):
        assert word == str(default).lower()
    elif isinstance(default, (int, float)):
        assert float(word) == float(default)
    elif isinstance(default, tuple):
        assert [float(part) for part in word.split(",")] == list(default)
    else:
        assert word == default


def test_options_are_those_of_the_program():
    arguments = {(verb, name): (default, choices) for verb, name, default, choices in _core.cells_arguments()}
    options = {
        (verb, name): (default, choices)
        for name, verbs, default, choices, _, _ in _core.cells_options()
        for verb in verbs
    }
    beside = {"output", "table", "name", "mapping"}
    assert {key: value for key, value in arguments.items() if key[1] not in beside} == options


# The same numbers

LOOSE = {"min_genes": 100, "max_mito": 100}
SHAPE = {"n_top_genes": 400, "n_comps": 12, "n_neighbors": 12, "resolution": 0.8, "maxiter": 40, "seed": 3}


def program(*words: object) -> int:
    return _core.run_program(["ferrocyte", *(str(word) for word in words), "--quiet"])


def flags(options: dict[str, object]) -> list[object]:
    return [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two samples of 450 cells, as files, with a table."""
    folder = tmp_path_factory.mktemp("samples")
    study = fe.io.read_h5ad(DATA / "kang_ifnb_2k" / "kang_ifnb_2k_counts.h5ad")
    rows = ["location\tsample\tbatch"]
    for name in ("ctrl", "stim"):
        cells = np.flatnonzero((study.obs["sample"] == name).to_numpy())[:450]
        one = ad.AnnData(sparse.csr_matrix(study.X[cells], dtype=np.float32), var=study.var[[]].copy())
        one.obs_names = [f"cell{i}" for i in range(one.n_obs)]
        fe.io.write_h5ad(one, folder / f"{name}.h5ad")
        rows.append(f"{name}.h5ad\t{name}\tbatch_{name}")
    (folder / "samples.tsv").write_text("\n".join(rows) + "\n")
    return folder


def same(found, expected) -> bool:
    """The same values of one type, to the last bit."""
    if sparse.issparse(expected):
        found, expected = found.tocsr(), expected.tocsr()
        parts = ("indptr", "indices", "data")
        return found.shape == expected.shape and all(
            np.array_equal(getattr(found, part), getattr(expected, part)) for part in parts
        )
    found, expected = np.asarray(found), np.asarray(expected)
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


@pytest.fixture(scope="module", params=["scanpy", "exprmat"])
def written(request, samples):
    """The dialect, and what the command made of the samples."""
    out = samples / f"study_{request.param}"
    options = [*flags(LOOSE), *flags(SHAPE), "--style", request.param, "--threads", 2]
    assert program("cells", "run", samples / "samples.tsv", "-o", out, *options) == 0
    return request.param, out


@pytest.mark.filterwarnings("ignore:no gene is flagged")
def test_samples_are_judged_as_by_the_package(samples, written):
    style, out = written
    if style != "scanpy":
        pytest.skip("quality in the package has scanpy's names")
    for name in ("ctrl", "stim"):
        found = fe.io.read_h5ad(out / "rna" / f"{name}.h5ad")
        adata = fe.io.read_h5ad(samples / f"{name}.h5ad")
        assert list(found.obs_names[:2]) == [f"{name}:1", f"{name}:2"]
        assert list(found.obs["barcode"][:1]) == [f"{name}:cell0"]
        adata.var["mt"] = adata.var_names.str.upper().str.startswith("MT-")
        adata.var["ribo"] = adata.var_names.str.upper().str.startswith(("RPS", "RPL"))
        fe.pp.calculate_qc_metrics(adata, qc_vars=["mt", "ribo"], inplace=True)
        assert same(found.X, adata.X)
        for column in adata.obs:
            assert same(found.obs[column], adata.obs[column]), column
        for column in adata.var:
            assert same(found.var[column], adata.var[column]), column
        total = adata.obs["total_counts"].to_numpy(dtype=float)
        enough = (adata.obs["n_genes_by_counts"] >= 100).to_numpy()
        middle = np.median(total[enough])
        spread = np.median(np.abs(total[enough] - middle))
        within = enough & (np.abs(total - middle) <= 5 * spread)
        assert np.array_equal(found.obs["filter"], within)
        kept = adata[within].copy()
        fe.pp.filter_genes(kept, min_cells=3)
        fe.pp.scrublet(kept, random_state=3)
        assert same(found.obs["doublet_score"][within], kept.obs["doublet_score"])
        assert found.obs["doublet_score"][~within].isna().all()
        assert np.array_equal(found.obs["predicted_doublet"][within], kept.obs["predicted_doublet"])
        assert np.array_equal(found.obs["qc"][within], ~kept.obs["predicted_doublet"])
        assert np.array_equal(found.var["qc"], adata.var_names.isin(kept.var_names))


def test_the_study_is_that_of_the_package_step_by_step(samples, written):
    style, out = written
    found = fe.io.read_h5mu(out / "integrated.h5mu")["rna"]
    parts = []
    for name in ("ctrl", "stim"):
        part = fe.io.read_h5ad(out / "rna" / f"{name}.h5ad")
        parts.append(part[part.obs["qc"].to_numpy(), part.var["qc"].to_numpy()].copy())
    adata = ad.concat(parts, join="outer", fill_value=0)
    adata = adata[:, sorted(adata.var_names)].copy()
    adata.X = sparse.csr_matrix(adata.X)
    adata.X.sort_indices()
    assert list(found.obs_names) == list(adata.obs_names)
    assert list(found.var_names) == list(adata.var_names)
    assert same(found.layers["counts"], adata.X)
    keys = DIALECTS[style]
    fe.pp.log_normalize(adata)
    assert same(found.X, adata.X)
    adata.obs["batch"] = pd.Categorical(adata.obs["batch"])
    fe.pp.highly_variable_genes(adata, n_top_genes=400, batch_key="batch", style=style)
    fe.pp.pca(adata, 12, style=style)
    fe.pp.harmony_integrate(adata, "batch", random_state=3, style=style)
    fe.pp.neighbors(adata, 12, use_rep=keys.harmony, random_state=3, style=style)
    fe.tl.leiden(adata, 0.8, random_state=3)
    fe.tl.umap(adata, maxiter=40, random_state=3, style=style)
    fe.tl.rank_genes_groups(adata, "leiden", style=style)
    for column in keys.hvg.values():
        if column in adata.var:
            assert same(found.var[column], adata.var[column]), column
    for slot in ("obsm", "varm", "obsp"):
        expected = getattr(adata, slot)
        assert set(expected) <= set(getattr(found, slot)), slot
        for name in expected:
            assert same(getattr(found, slot)[name], expected[name]), (slot, name)
    assert list(found.obs["leiden"].cat.categories) == list(adata.obs["leiden"].cat.categories)
    assert np.array_equal(found.obs["leiden"].cat.codes, adata.obs["leiden"].cat.codes)
    for name in ("hvg", "pca", "harmony", "neighbors", "leiden", "umap", keys.markers):
        compare(found.uns[name], adata.uns[name], name)
    # The tables say the same.
    table = pd.read_csv(out / "markers.tsv", sep="\t", dtype={"group": str})
    first = table[table["group"] == "0"]["names"].to_list()[:20]
    assert first == list(adata.uns[keys.markers]["names"]["0"][:20])
    shares = pd.read_csv(out / "proportions.tsv", sep="\t", index_col=0, float_precision="round_trip")
    shares = shares.drop(columns="n_cells")
    expected = fe.tl.proportion(adata, "sample", "leiden")
    assert np.array_equal(shares.to_numpy(), expected.to_numpy())


def compare(found, expected, place: str) -> None:
    """Entries of uns, whatever they are."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), (place, set(found) ^ set(expected))
        for name in expected:
            compare(found[name], expected[name], f"{place}/{name}")
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_index_type=False, obj=place)
    elif isinstance(expected, np.ndarray) and expected.dtype.names:
        for field in expected.dtype.names:
            assert np.array_equal(found[field], expected[field], equal_nan=found[field].dtype.kind == "f"), (
                place,
                field,
            )
    elif isinstance(expected, (list, np.ndarray)):
        assert np.array_equal(np.asarray(found), np.asarray(expected)), place
    else:
        assert found == expected, (place, found, expected)


def test_the_study_is_read_by_mudata(written):
    mudata = pytest.importorskip("mudata")
    style, out = written
    study = mudata.read_h5mu(out / "integrated.h5mu")
    assert list(study.mod) == ["rna"]
    assert study.n_obs == study["rna"].n_obs
    assert DIALECTS[style].umap in study["rna"].obsm


def test_a_sample_from_a_10x_folder(tmp_path):
    """Ten cells of three genes; a mitochondrial one; names and barcodes."""
    import gzip

    folder = tmp_path / "tenx"
    folder.mkdir()
    genes = [("E1", "CD3D"), ("E2", "MT-CO1"), ("E3", "LYZ")]
    entries = [(gene + 1, cell + 1, cell + gene + 1) for cell in range(10) for gene in range(3)]
    body = "%%MatrixMarket matrix coordinate integer general\n" + f"3 10 {len(entries)}\n"
    body += "".join(f"{a} {b} {c}\n" for a, b, c in entries)
    for name, text in (
        ("matrix.mtx", body),
        ("features.tsv", "".join(f"{a}\t{b}\tGene Expression\n" for a, b in genes)),
        ("barcodes.tsv", "".join(f"BC{i}-1\n" for i in range(10))),
    ):
        with gzip.open(folder / f"{name}.gz", "wt") as file:
            file.write(text)
    assert program("cells", "import", folder, "-o", tmp_path / "s.h5ad", "--sample", "s") == 0
    found = fe.io.read_h5ad(tmp_path / "s.h5ad")
    assert list(found.var_names) == ["CD3D", "MT-CO1", "LYZ"]
    assert list(found.obs["ubc"][:1]) == ["BC0-1"]
    assert found.X[3].toarray().tolist() == [[4.0, 5.0, 6.0]]
    bounds = {"min_genes": 1, "outliers": "none", "min_cells": 1, "doublets": "false"}
    some = flags({**bounds, "max_mito": 34})
    assert program("cells", "qc", tmp_path / "s.h5ad", "-o", tmp_path / "q.h5ad", *some) == 0
    kept = fe.io.read_h5ad(tmp_path / "q.h5ad")
    # A third of 1 + 2 + 3 counts and of those after is mitochondrial.
    assert kept.n_obs == 10
    assert (kept.obs["pct_counts_mt"] < 34).all()
    none = flags({**bounds, "max_mito": 33})
    assert program("cells", "qc", tmp_path / "s.h5ad", "-o", tmp_path / "no.h5ad", *none) == 1
    assert not (tmp_path / "no.h5ad").exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda x: x.data.__setitem__(5, np.nan), "missing, infinite"),
        (lambda x: x.data.__setitem__(5, -2.0), "negative"),
    ],
    ids=["missing", "negative"],
)
def test_values_that_are_no_counts_are_named(samples, tmp_path, capfd, damage, told):
    adata = fe.io.read_h5ad(samples / "ctrl.h5ad")
    damage(adata.X)
    fe.io.write_h5ad(adata, tmp_path / "bad.h5ad")
    for verb in ("qc", "embed"):
        assert program("cells", verb, tmp_path / "bad.h5ad", "-o", tmp_path / "x.h5ad") == 1
        message = capfd.readouterr().err
        assert told in message, message
        assert "cell0" in message, message
    assert not (tmp_path / "x.h5ad").exists()
