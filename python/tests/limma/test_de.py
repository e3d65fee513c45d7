"""`de` is the chain of the verbs; the program and the package give the same table; threads change no bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from ferrocyte import _core, limma
from ferrocyte._examples import small_counts
from ferrocyte.errors import BadInputError


@pytest.fixture(scope="module")
def study():
    """Counts of three groups and four donors, some genes too small, and the table of samples."""
    counts, _ = small_counts(n_genes=150, n_samples=12)
    counts.iloc[::9] //= 60
    names = list(counts)
    samples = pd.DataFrame(
        {"group": np.repeat(["a", "b", "c"], 4), "donor": list("wxyz") * 3, "age": np.linspace(30, 41, 12)}, index=names
    )
    return counts, samples


CONTRASTS = {"b": "groupb - groupa", "mean": "(groupb + groupc)/2 - groupa"}


def _chain(counts, samples, method="voom_lm_fit", *, block=None, sample_weights=False):
    """The verbs one after the other, up to the contrasts."""
    design = limma.model_matrix("~ 0 + group", samples)
    kept = counts[limma.filter_by_expr(counts, design)]
    y = limma.calc_norm_factors(limma.DGEList(kept))
    if method == "voom_lm_fit":
        fit = limma.voom_lm_fit(y, design, block=block, sample_weights=sample_weights)
    elif method == "voom":
        fit = limma.lm_fit(limma.voom(y, design), design)
    else:
        fit = limma.lm_fit(limma.cpm(y, log=True, prior_count=3), design)
    matrix = limma.make_contrasts(contrasts=CONTRASTS, levels=design)
    return limma.contrasts_fit(fit, matrix)


def _same(found, moderated, *, odds=True):
    for name in CONTRASTS:
        ours = found.select(contrast=name).set_index("gene")
        chain = limma.top_table(moderated, name, math.inf, sort_by="none")
        ours.index = ours.index.astype(str)
        assert (ours.loc[chain.index, "status"] == "ok").all()
        assert (ours.drop(chain.index)["status"] == "few_counts").all()
        rows = ours.loc[chain.index]
        columns = ["log_fc", "ave_expr", "t", "p_value", "adj_p_value"] + (["b"] if odds else [])
        for column in columns:
            np.testing.assert_allclose(rows[column], chain[column], rtol=1e-13, err_msg=column)
        k = list(moderated.coef_names).index(name)
        se = moderated.stdev_unscaled[:, k] * np.sqrt(moderated.s2_post)
        np.testing.assert_allclose(rows["se"], se, rtol=1e-13)
        np.testing.assert_allclose(rows["df"], moderated.df_total, rtol=1e-13)
        np.testing.assert_allclose(rows["log10_p_value"], np.log10(rows["p_value"]), rtol=1e-9)


@pytest.mark.parametrize("method", ["voom_lm_fit", "voom"])
@pytest.mark.parametrize("robust", [False, True])
def test_de_is_the_chain_of_the_verbs(study, method, robust):
    counts, samples = study
    found = limma.de(counts, "~ 0 + group", CONTRASTS, samples=samples, method=method, robust=robust)
    _same(found, limma.e_bayes(_chain(counts, samples, method), robust=robust))


def test_de_by_the_trend_is_the_chain_of_the_verbs(study):
    counts, samples = study
    found = limma.de(limma.DGEList(counts, samples=samples), "~ 0 + group", CONTRASTS, method="trend")
    _same(found, limma.e_bayes(_chain(counts, samples, "trend"), trend=True))


def test_de_against_a_threshold_is_treat(study):
    counts, samples = study
    found = limma.de(counts, "~ 0 + group", CONTRASTS, samples=samples, lfc=0.3)
    moderated = limma.treat(_chain(counts, samples), lfc=0.3)
    for name in CONTRASTS:
        ours = found.select(contrast=name).set_index("gene")
        chain = limma.top_treat(moderated, name, math.inf)
        ours.index = ours.index.astype(str)
        for column in ("log_fc", "t", "p_value", "adj_p_value"):
            np.testing.assert_allclose(ours.loc[chain.index, column], chain[column], rtol=1e-13, err_msg=column)


def test_de_with_blocks_and_weights_is_the_chain_of_the_verbs(study):
    counts, samples = study
    found = limma.de(counts, "~ 0 + group", CONTRASTS, samples=samples, block="donor", sample_weights=True)
    _same(found, limma.e_bayes(_chain(counts, samples, block=samples["donor"], sample_weights=True)))


def test_groups_are_studies_of_their_own(study):
    counts, samples = study
    both = pd.concat([counts, counts.iloc[::-1].set_axis(counts.index).add_suffix("_2")], axis=1)
    table = pd.concat([samples.assign(cell="one"), samples.assign(cell="two").rename(lambda name: name + "_2")])
    found = limma.de(both, "~ group", samples=table, groups="cell")
    alone = limma.de(counts, "~ group", samples=samples)
    for column in ("log_fc", "t", "p_value", "adj_p_value"):
        np.testing.assert_array_equal(found.select("one")[column], alone.table[column])
    pooled = limma.de(both, "~ group", samples=table, groups="cell", adjust="all")
    assert (pooled.table["p_value"].to_numpy() == found.table["p_value"].to_numpy())[
        pooled.table["p_value"].notna()
    ].all()
    tested = pooled.table["p_value"].notna()
    whole = limma.p_adjust(pooled.table["p_value"])
    np.testing.assert_allclose(pooled.table["adj_p_value"][tested], whole[tested], rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"method": "voom"}, {"block": "donor"}, {"robust": True}])
def test_threads_and_runs_change_no_bit(study, options):
    counts, samples = study
    tables = [
        limma.de(counts, "~ group + age", samples=samples, n_threads=n_threads, **options).table
        for n_threads in (1, 2, 2)
    ]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(other, tables[0], check_exact=True)


def test_the_program_gives_the_same_table(study, tmp_path):
    counts, samples = study
    counts.to_csv(tmp_path / "counts.tsv.gz", sep="\t", index_label="gene")
    # Rows of the table of samples in any order: that of the counts is taken.
    samples = samples.iloc[np.random.default_rng(3).permutation(len(samples))]
    samples.to_csv(tmp_path / "samples.tsv", sep="\t", index_label="sample")
    command = ["ferrocyte", "limma", "de", str(tmp_path / "counts.tsv.gz"), str(tmp_path / "samples.tsv"), "-q"]
    command += ["--formula", "~ 0 + group", "--block", "donor"]
    command += [f"--contrast={name}={expression}" for name, expression in CONTRASTS.items()]
    written = []
    for threads in ("1", "2"):
        out = tmp_path / f"out{threads}"
        assert _core.run_program([*command, "--threads", threads, "-o", str(out)]) == 0
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert {"de.tsv", "groups.tsv", "samples.tsv"} <= set(written[0])
    for name, text in written[0].items():
        # What is told about the run itself may name its folder and threads.
        if name.endswith(".tsv"):
            assert written[1][name] == text, name
    program = pd.read_csv(tmp_path / "out1" / "de.tsv", sep="\t", float_precision="round_trip")
    package = limma.de(counts, "~ 0 + group", CONTRASTS, samples=samples, block="donor").table
    assert list(program) == list(package)
    for name in package:
        if pd.api.types.is_numeric_dtype(package[name]):
            np.testing.assert_array_equal(program[name].to_numpy(float), package[name].to_numpy(float), err_msg=name)
        else:
            assert program[name].fillna("").astype(str).tolist() == package[name].astype(str).tolist(), name


def test_provenance_tells_every_option(study):
    counts, samples = study
    found = limma.de(counts, "~ group", samples=samples, min_count=5)
    options = found.provenance["options"]
    own = {name for name, verbs, *_ in _core.limma_options() if verbs == ["de"]} - {"contrast"}
    assert own <= set(options)
    assert float(options["min_count"]) == 5
    json.dumps(found.provenance)
    assert "limma de" in repr(found)


@pytest.mark.parametrize("name", ["lfc", "min_count", "min_total_count"])
def test_numbers_from_zero_on(study, name):
    counts, samples = study
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(BadInputError, match=f"{name}: expected a number from 0 on"):
            limma.de(counts, "~ group", samples=samples, **{name: value})
