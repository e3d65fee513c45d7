"""Simulated studies: their shape, their laws, the same words on all fronts, and their files as anndata reads them."""

from __future__ import annotations

import inspect
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import golden

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte.compat import flashmm

SIMULATORS = {"study": fe.sim.study, "cohort": fe.sim.cohort, "rnaseq": fe.sim.rnaseq, "programs": fe.sim.programs}


def program(*arguments: str) -> None:
    assert _core.run_program(["ferrocyte", *arguments, "-q"]) == 0, arguments


# The same words in Rust, Python and the program


def word(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@pytest.mark.parametrize("verb", SIMULATORS)
def test_options_are_those_of_the_crate(verb):
    table = {name: default for name, verbs, default, _, _ in _core.sim_options() if verb in verbs}
    parameters = inspect.signature(SIMULATORS[verb]).parameters
    python = {name: word(p.default) for name, p in parameters.items() if name not in ("n_threads", "progress")}
    # The matrix of a reference is a file's name in the program.
    for extra in ("reference", "layer"):
        python.pop(extra, None)
    assert python == table
    arguments = {name: default for v, name, default, _ in _core.simulate_arguments() if v == verb}
    for extra in ("reference", "layer", "output", "values", "gzip"):
        arguments.pop(extra, None)
    assert arguments == table


@pytest.mark.parametrize(("name", "verb", "choices"), [(o[0], o[1][0], o[3]) for o in _core.sim_options() if o[3]])
def test_every_choice_is_taken(name, verb, choices):
    sizes = {"n_genes": 20, "n_cells": 200}
    for choice in choices:
        SIMULATORS[verb](**sizes, **{name: {"true": True, "false": False}.get(choice, choice)})
    if choices != ["true", "false"]:
        with pytest.raises(fe.BadInputError, match="there is no choice `nonsense`"):
            SIMULATORS[verb](**sizes, **{name: "nonsense"})


def test_the_alias_is_the_function():
    assert fe.lmm.simulate is fe.sim.study


# Files


@pytest.mark.parametrize("options", [[], ["--gzip", "0"], ["--gzip", "9", "--values", "int32"]], ids=str)
def test_files_of_the_program_are_the_studies_of_the_package(tmp_path, options):
    path = str(tmp_path / "a.h5ad")
    shared = ["--genes", "120", "--cells", "1500", "--donors", "3", "--paired", "true", "--batches", "2", "--seed", "5"]
    program("simulate", "cohort", *shared, "-o", path, *options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_back = ad.read_h5ad(path)
    adata = fe.sim.cohort(120, 1500, n_donors=3, paired=True, n_batches=2, seed=5)
    assert read_back.X.format == "csr"
    assert read_back.X.dtype == ("int32" if "int32" in options else "float32")
    assert read_back.X.has_canonical_format
    assert (read_back.X.astype(np.float32) != adata.X).nnz == 0
    pd.testing.assert_frame_equal(read_back.obs, adata.obs)
    pd.testing.assert_frame_equal(read_back.var, adata.var)
    truth = adata.uns["truth"].astype({"gene": read_back.uns["truth"]["gene"].dtype})
    pd.testing.assert_frame_equal(read_back.uns["truth"], truth, check_index_type=False)
    told = pd.read_csv(f"{path}.truth.tsv", sep="\t", float_precision="round_trip")
    np.testing.assert_array_equal(told["log_effect"], truth["log_effect"])


@pytest.mark.parametrize("verb", ["study", "rnaseq"])
def test_files_of_the_other_simulators(tmp_path, verb):
    path = str(tmp_path / "a.h5ad")
    program("simulate", verb, "--genes", "60", "--cells", "900", "--seed", "2", "-o", path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_back = ad.read_h5ad(path)
    adata = SIMULATORS[verb](n_genes=60, n_cells=900, seed=2)
    assert (read_back.X != adata.X).nnz == 0
    pd.testing.assert_frame_equal(read_back.obs, adata.obs)
    np.testing.assert_array_equal(read_back.uns["truth"]["log_effect"], adata.uns["truth"]["log_effect"])


def test_simulated_studies_are_written_and_read_by_anndata(tmp_path):
    for name, simulate in SIMULATORS.items():
        adata = simulate(n_genes=30, n_cells=300)
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
        again = ad.read_h5ad(tmp_path / f"{name}.h5ad")
        assert all(list(again.uns["truth"][c]) == list(adata.uns["truth"][c]) for c in adata.uns["truth"])


def test_readers_of_other_programs_find_plain_types(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = str(tmp_path / "a.h5ad")
    program("simulate", "cohort", "--genes", "50", "--cells", "200", "-o", path)
    with h5py.File(path) as file:
        assert file.attrs["encoding-type"] == "anndata"
        assert dict(file["X"].attrs)["encoding-type"] == "csr_matrix"
        assert list(file["X"].attrs["shape"]) == [200, 50]
        assert (file["X/indices"].dtype, file["X/indptr"].dtype) == (np.int32, np.int32)
        assert file["obs/cell_type/codes"].dtype == np.int8
        assert h5py.check_string_dtype(file["obs/_index"].dtype).encoding == "utf-8"
        assert list(file["obs"].attrs["column-order"])[:2] == ["sample", "donor"]
        for group in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            assert file[group].attrs["encoding-type"] == "dict"


# Cohorts


def test_cohorts_depend_on_the_seed_only():
    one, two = (fe.sim.cohort(200, 3000, seed=5, n_threads=n) for n in (1, 2))
    assert (one.X != two.X).nnz == 0
    assert one.obs.equals(two.obs)
    assert (one.X != fe.sim.cohort(200, 3000, seed=6).X).nnz > 0


def test_the_design_of_a_cohort():
    adata = fe.sim.cohort(
        20, 4000, n_donors=6, arms=("a", "b", "c"), samples_per_donor=2, n_batches=3, batch_of="donor", seed=1
    )
    obs = adata.obs
    samples = obs.drop_duplicates("sample")
    assert len(samples) == 36
    assert (samples.groupby("condition", observed=True)["donor"].nunique() == 6).all()
    assert (obs.groupby("donor", observed=True)[["condition", "batch", "age", "sex"]].nunique() == 1).all().all()
    assert (samples.groupby(["condition", "batch"], observed=True).size() == 4).all()
    # Cells of a sample stand together.
    assert (obs["sample"].cat.codes.diff().dropna() >= 0).all()
    assert obs["age"].between(20, 80).all()
    assert set(adata.uns["truth"]["condition"]) <= {"b", "c"}


def test_planted_effects_are_found_by_the_model():
    adata = fe.sim.cohort(
        400,
        16000,
        n_donors=10,
        n_cell_types=1,
        log_mean=-0.5,
        log_mean_sd=0.5,
        donor_variance=0.02,
        sample_variance=0.0,
        de_share=0.1,
        effect_min=0.8,
        seed=4,
    )
    # The true depth: totals of cells shift with the effects themselves.
    table = fe.lmm.fit(adata, "~ log(depth) + condition + (1 | donor)").contrast("condition", "case", "control")
    table = table.set_index("gene")
    found = set(table.index[table["adj_p_value"] < 0.05])
    truth = adata.uns["truth"].set_index("gene")["log_effect"]
    assert len(truth) > 20
    assert len(found & set(truth.index)) >= 0.9 * len(truth)
    assert len(found - set(truth.index)) <= 0.15 * len(found)
    hits = sorted(found & set(truth.index))
    assert (np.sign(table.loc[hits, "estimate"]) == np.sign(truth[hits])).all()


def test_a_cell_type_that_does_not_exist_is_named():
    with pytest.raises(fe.MissingKeyError, match="there is no cell type `T7`"):
        fe.sim.cohort(10, 100, affected=["T1", "T7"])
    with pytest.raises(fe.BadInputError, match="n_cells: 3 cells of 16 samples"):
        fe.sim.cohort(10, 3)


# Counts like those of a reference


def test_moments_of_a_reference_are_kept():
    """Without sample effects, counts have the means and variances of the reference's law."""
    folder = golden("flashmm") / "data"
    moments, reference = (
        pd.read_csv(folder / name, sep="\t", index_col=0, float_precision="round_trip")
        for name in ("moments_of_counts.tsv", "counts.tsv.gz")
    )
    n_cells = 20_000
    adata = fe.sim.rnaseq(
        reference.T.to_numpy(dtype=float),
        n_cells=n_cells,
        n_de_genes=0,
        sample_variance=0.0,
        adjust_library_size=False,
        seed=9,
    )
    np.testing.assert_allclose(adata.var["mean"], moments.iloc[:, 0], rtol=1e-12)
    np.testing.assert_allclose(adata.var["size"], moments.iloc[:, 1], rtol=1e-9)
    mean, size = adata.var["mean"].to_numpy(), adata.var["size"].to_numpy()
    variance = mean + mean**2 / size
    counts = adata.X.toarray().astype(float)
    z = (counts.mean(axis=0) - mean) / np.sqrt(variance / n_cells)
    assert np.abs(z).max() < 4.5
    assert 0.5 < np.mean(z**2) < 1.7
    np.testing.assert_allclose(counts.var(axis=0, ddof=1), variance, rtol=0.15)
    zeros = (1 + mean / size) ** -size
    z = ((counts == 0).mean(axis=0) - zeros) / np.sqrt(zeros * (1 - zeros) / n_cells)
    assert np.abs(z).max() < 4.5


def test_a_reference_may_be_an_anndata_or_a_file(tmp_path):
    reference = fe.sim.cohort(40, 500, log_mean=0.0, n_donors=2, seed=1)
    reference.write_h5ad(tmp_path / "r.h5ad")
    made = [fe.sim.rnaseq(r, seed=3) for r in (reference, tmp_path / "r.h5ad", reference.X, reference.X.toarray())]
    assert made[0].shape == (500, 40)
    for other in made[1:]:
        assert (made[0].X != other.X).nnz == 0
    with pytest.raises(fe.BadInputError, match="neither a reference"):
        fe.sim.rnaseq()


def test_treatment_effects_are_in_the_cluster_that_is_named():
    """With more than nine clusters their names sort otherwise than their numbers."""
    made = flashmm.simu_rnaseq(
        nGenes=60, nCells=30_000, nsam=4, ncls=12, nDEgenes=24, minbeta=1.0, maxbeta=1.2, var_randomeffects=0.0, seed=2
    )
    metadata, counts = made["metadata"], made["counts"].toarray()
    for gene, beta, cluster in made["DEgenes"].itertuples(index=False):
        row = counts[made["genes"].index(gene)]
        inside = (metadata["cls"] == cluster).to_numpy()
        treated = (metadata["trt"] == made["treatment"]).to_numpy()
        effect = np.log(row[inside & treated].mean() / row[inside & ~treated].mean())
        assert abs(effect - beta) < 0.35, (gene, cluster, beta, effect)
    adata = fe.sim.rnaseq(n_genes=60, n_cells=300, n_clusters=12, n_de_genes=24, seed=2)
    assert set(adata.uns["truth"]["cluster"]) <= set(adata.obs["cls"].cat.categories)


def test_sample_effects_have_their_variance():
    adata = fe.sim.rnaseq(n_genes=80, n_cells=40_000, n_samples=40, n_de_genes=0, sample_variance=0.2, seed=8)
    counts = adata.to_df().groupby(adata.obs["sam"], observed=True).mean()
    noise = adata.to_df().groupby(adata.obs["sam"], observed=True).var() / counts**2
    noise = noise.div(adata.obs["sam"].value_counts(), axis=0)
    found = (np.log(counts).var(ddof=1) - noise.mean()).mean()
    # Nested samples: 40 of them, 80 genes.
    assert abs(found / 0.2 - 1) < 0.1
