"""``ferrocyte ecotype discover`` and ``ferrocyte simulate ecotype``: what they write is what the package gives."""

from __future__ import annotations

import inspect
import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import _core

E = fe.ecotype
STUDY = ("--seed", "3", "--samples", "2", "--cells", "700", "--genes", "150", "--strength", "2", "--depth", "800")
HOW = ("--normalize", "log1p_cp10k", "--radius", "30", "--grid-size", "18", "--k", "10")
WORDS = {"normalize": "log1p_cp10k", "radius": 30, "grid_size": 18, "k": 10}


def ferrocyte(*words: object) -> None:
    assert _core.run_program(["ferrocyte", *map(str, words), "--quiet"]) == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("ecotype") / "study.h5ad"
    ferrocyte("simulate", "ecotype", *STUDY, "-o", path)
    return path


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[])


def test_the_simulated_study_is_that_of_the_package(study, tmp_path):
    found = ad.read_h5ad(study)
    made = E.simulate(3, samples=2, cells=700, genes=150, strength=2, depth=800, progress=False)
    assert list(found.obs_names) == list(made.obs_names)
    assert (found.X != made.X).nnz == 0
    for name in ("Sample", "CellType", "SE"):
        assert list(found.obs[name].astype(str)) == list(made.obs[name].astype(str))
    assert np.array_equal(found.obs[["X", "Y"]], made.obs[["X", "Y"]])
    truth = read(f"{study}.truth.tsv")
    assert list(truth["gene"]) == list(made.uns["programmes"]["gene"])
    ferrocyte("simulate", "ecotype", *STUDY, "-o", tmp_path / "again.h5ad", "--threads", 3)
    assert (tmp_path / "again.h5ad").read_bytes() == study.read_bytes()


def test_simulator_options_are_those_of_the_package():
    names = {"seed", "samples", "cells", "genes", "types", "ecotypes", "nonse", "patches", "depth", "strength"}
    words = {name: word for verb, name, word, _ in _core.simulate_arguments() if verb == "ecotype" and name in names}
    usual = inspect.signature(E.simulate).parameters
    assert set(words) == names
    assert all(float(word) == float(usual[name].default) for name, word in words.items())


def test_one_tissue_is_that_of_the_package(study, tmp_path):
    one = ad.read_h5ad(study)
    one = one[one.obs["Sample"] == "S1"].copy()
    one.write_h5ad(tmp_path / "one.h5ad")
    out, squares = tmp_path / "cells.tsv", tmp_path / "squares.tsv"
    ferrocyte("ecotype", "discover", tmp_path / "one.h5ad", *HOW, "-o", out, "--neighbourhoods", squares)
    found = E.discover(one, **WORDS)
    table = read(out)
    assert list(table["SE"]) == list(found.cells["SE"].fillna(""))
    assert list(table["reason"]) == list(found.cells["reason"])
    assert list(read(squares)["SE"]) == list(found.neighbourhoods["SE"])
    assert (tmp_path / "cells.tsv.config.toml").exists()
    again = tmp_path / "again.tsv"
    ferrocyte("ecotype", "discover", tmp_path / "one.h5ad", *HOW, "-o", again, "--threads", 3, "--max-memory", "3M")
    assert again.read_bytes() == out.read_bytes()
    ferrocyte("ecotype", "discover", tmp_path / "one.h5ad", *HOW, "-o", again, "--dropcell", "true")
    assert len(read(again)) == (found.cells["reason"] == "ok").sum()


def test_several_samples_are_those_of_the_package(study, tmp_path):
    how = ("--sample", "Sample", "--nmf-ranks", "3,4", "--n-runs", 4, "--subresolution", 5)
    out, fine = tmp_path / "cells.tsv", tmp_path / "fine.tsv"
    ferrocyte("ecotype", "discover", study, *HOW, *how, "-o", out, "--fine", fine)
    found = E.discover(ad.read_h5ad(study), sample="Sample", nmf_ranks=[3, 4], n_runs=4, subresolution=5, **WORDS)
    table = read(out)
    for name in ("InitSE", "SE"):
        assert list(table[name]) == list(found.cells[name].fillna(""))
    assert list(table["reason"]) == list(found.cells["reason"])
    assert list(read(fine)["SE"]) == list(found.clusters["SE"])
    assert _core.run_program(
        ["ferrocyte", "ecotype", "discover", str(study), "--clusters", "SE", "-o", str(tmp_path / "x.tsv"), "--quiet"]
    )
    assert not (tmp_path / "x.tsv").exists()


def test_statistics_are_those_of_the_package(study, tmp_path):
    obs = ad.read_h5ad(study).obs
    cells, out, tests = (tmp_path / name for name in ("cells.tsv", "out.tsv", "tests.tsv"))
    obs.to_csv(cells, sep="\t", index_label="CID")
    where = ("--sample", "Sample", "--n-permutations", 20, "--non-se", "nonSE", "-o", out)
    ferrocyte("ecotype", "stats", cells, *where, "--tests", tests)
    index = E.coassociation(obs, non_se="nonSE")
    assert np.allclose(read(out)["correlation"], index.to_numpy().ravel())
    expected = E.block_test(index, n_permutations=20, progress=False)
    assert np.allclose(read(tests)["Z"], expected["Z"])
    first = out.read_bytes()
    ferrocyte("ecotype", "stats", study, *where, "--threads", 3)
    assert out.read_bytes() == first
    near = ("--statistic", "colocalization", "--min-cell", 3, "--min-samples", 2)
    ferrocyte("ecotype", "stats", cells, *where, *near, "--tests", tests)
    one = obs[obs["Sample"] == "S1"].copy()
    one["CellState"] = one["SE"].astype(str) + "_" + one["CellType"].astype(str)
    found = E.colocalization(one, min_cell=3, n_permutations=20, progress=False)
    table = read(out)
    assert np.allclose(table.loc[table["Sample"] == "S1", "z"], found.z.to_numpy().ravel())
    assert set(read(tests)["Sample"]) == {"S1", "S2", "all"}
    ferrocyte("ecotype", "stats", cells, *where, "--statistic", "moran")
    moran = E.moran(one, n_permutations=20, progress=False)
    table = read(out)
    assert np.allclose(table.loc[table["Sample"] == "S1", ["I", "Z"]], moran[["I", "Z"]])
    ferrocyte("ecotype", "stats", cells, *where, "--statistic", "abundance")
    assert np.allclose(read(out)[sorted(set(obs["SE"]))].sum(axis=1), 1)
    ferrocyte("ecotype", "stats", cells, "-o", out, "--statistic", "partition", "--ncol", 3)
    assert list(read(out)["part"]) == list(E.partition_tissue(obs, nrow=2, ncol=3))
    pd.DataFrame({"sums": [10.0, 20.0, 30.0]}, index=["a", "b", "c"]).to_csv(cells, sep="\t", index_label="spot")
    ferrocyte("ecotype", "stats", cells, "-o", out, "--statistic", "ncells")
    assert list(read(out)["ncells"]) == list(E.infer_ncells([10, 20, 30]))


def test_a_study_is_written_again_with_its_ecotypes(study, tmp_path):
    one = ad.read_h5ad(study)
    one = one[one.obs["Sample"] == "S1"].copy()
    one.layers["twice"] = one.X * 2
    one.uns["kept"] = {"as": "it is"}
    one.write_h5ad(tmp_path / "one.h5ad")
    out = tmp_path / "found.h5ad"
    ferrocyte("ecotype", "discover", tmp_path / "one.h5ad", *HOW, "-o", out)
    found, expected = ad.read_h5ad(out), one.copy()
    result = E.discover(str(tmp_path / "one.h5ad"), **WORDS)
    result.store(expected)
    for name in ("SE", "SE_reason", "SN"):
        assert list(found.obs[name].astype(object)) == list(expected.obs[name].astype(object)), name
        assert list(found.obs[name].cat.categories) == list(expected.obs[name].cat.categories), name
    assert (found.X != one.X).nnz == 0
    assert (found.layers["twice"] != one.layers["twice"]).nnz == 0
    assert found.uns["kept"]["as"] == "it is"
    told = found.uns["ecotype_discovery"]
    assert list(told["cell_types"]) == result.cell_types == expected.uns["ecotype_discovery"]["cell_types"]
    provenance = json.loads(told["provenance"])
    assert provenance["method"] == result.provenance["method"] == "ecotype.discover"
    assert provenance["inputs"][0]["fingerprint"] == result.provenance["inputs"][0]["fingerprint"]
    assert (out.parent / "found.h5ad.run.json").exists()
    # The table is that of the same command.
    ferrocyte("ecotype", "discover", tmp_path / "one.h5ad", *HOW, "-o", tmp_path / "found.tsv")
    assert [label or np.nan for label in read(tmp_path / "found.tsv")["SE"]] == list(found.obs["SE"].astype(object))


def test_several_samples_are_written_again(study, tmp_path):
    how = ("--sample", "Sample", "--nmf-ranks", "3", "--n-runs", "3", "--subresolution", "10")
    ferrocyte("ecotype", "discover", study, *HOW, *how, "-o", tmp_path / "found.h5ad")
    found, expected = ad.read_h5ad(tmp_path / "found.h5ad"), ad.read_h5ad(study)
    words = {"sample": "Sample", "nmf_ranks": 3, "n_runs": 3, "subresolution": 10}
    E.discover(str(study), **WORDS, **words).store(expected)
    for name in ("SE", "SE_reason", "SN", "InitSE"):
        assert list(found.obs[name].astype(object)) == list(expected.obs[name].astype(object)), name


def test_only_annotated_files_are_written_again(tmp_path, capfd):
    (tmp_path / "x.tsv").write_text("cell\ta\nc1\t1\n")
    words = ["ferrocyte", "ecotype", "discover", str(tmp_path / "x.tsv"), "-o", str(tmp_path / "y.h5ad"), "--quiet"]
    assert _core.run_program(words) != 0
    assert not (tmp_path / "y.h5ad").exists()


def test_statistics_tell_what_they_were_made_of(study, tmp_path):
    def inputs(name: str, *words: object) -> list[dict[str, str]]:
        ferrocyte("ecotype", "stats", study, "-o", tmp_path / name, *words)
        return json.loads((tmp_path / f"{name}.run.json").read_text())["provenance"]["inputs"]

    words = ("--statistic", "abundance", "--ecotype", "SE", "--sample", "Sample")
    (told,) = inputs("a.tsv", *words)
    assert told["name"] == "study.h5ad"
    assert told["fingerprint"].startswith("1400 cells, ")
    assert inputs("b.tsv", *words) == [told]
    other = ad.read_h5ad(study)
    other.obs["X"] = other.obs["X"] + 1.0
    other.write_h5ad(tmp_path / "other.h5ad")
    ferrocyte("ecotype", "stats", tmp_path / "other.h5ad", "-o", tmp_path / "c.tsv", *words)
    changed = json.loads((tmp_path / "c.tsv.run.json").read_text())["provenance"]["inputs"][0]
    assert changed["fingerprint"] != told["fingerprint"]
