"""Cell type-specific mixed models: bad input by name, results that come back, one home of the options."""

from __future__ import annotations

import inspect
import json
import pickle

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import DATA, GOLDEN
from scipy import sparse

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte.compat import ctmm as peer

BAD = {entry["id"]: entry for entry in json.loads((GOLDEN / "ctmm" / "bad_inputs.json").read_text(encoding="utf-8"))}

# Names that stand for what the case names itself: each test looks for those.
SPOKEN = {"covariate name", "the ids on each side", "cell id", "column name", "available columns", "pair"}


@pytest.fixture
def made():
    return fe.sim.ctmm(n_genes=3, n_individuals=30, truth="free", seed=4)[0]


def fails(name, call, error=fe.FerrocyteError):
    """The entry is refused, and the message has the names that it must have."""
    with pytest.raises(error) as caught:
        call()
    told = str(caught.value).lower()
    for word in BAD[name]["names"]:
        if word not in {
            "covariate name",
            "the ids on each side",
            "cell id",
            "column name",
            "available columns",
            "pair",
        }:
            assert word.lower() in told, (word, told)
    return told


def arrays(made):
    return made.ctp.copy(), made.ctnu.copy(), made.P.copy()


def test_every_entry_about_ctmm_has_a_test():
    tested = {name.removeprefix("test_bad_") for name in globals() if name.startswith("test_bad_")}
    assert {name.lower() for name in BAD if not name.startswith("gxe_")} <= tested


def test_bad_nan_in_p(made):
    y, noise, share = arrays(made)
    share[2, 1] = np.nan
    fails("nan_in_P", lambda: fe.ctmm.fit(y, noise, share), fe.BadInputError)


def test_bad_nan_ctp_without_nan_ctnu(made):
    y, noise, share = arrays(made)
    y[0, 3, 1] = np.nan
    fails("nan_ctp_without_nan_ctnu", lambda: fe.ctmm.fit(y, noise, share), fe.BadInputError)


def test_bad_negative_noise(made):
    y, noise, share = arrays(made)
    noise[0, 4, 0] = -0.01
    fails("negative_noise", lambda: fe.ctmm.fit(y, noise, share), fe.BadInputError)


def test_bad_shape_mismatch(made):
    y, noise, share = arrays(made)
    fails("shape_mismatch", lambda: fe.ctmm.fit(y, noise[:, :-1], share), fe.BadInputError)


def test_bad_id_mismatch(made):
    ids = [*made.individuals[:-1], "somebody"]
    share = pd.DataFrame(made.P, index=ids)
    told = fails("id_mismatch", lambda: fe.ctmm.fit(made, P=share))
    assert "`somebody`" in told
    assert f"`{made.individuals[-1]}`" in told


def test_bad_reordered_ids(made):
    order = np.random.default_rng(1).permutation(30)
    share = pd.DataFrame(made.P, index=made.individuals).iloc[order]
    expected = fe.ctmm.fit(made).to_df()
    pd.testing.assert_frame_equal(fe.ctmm.fit(made, P=share).to_df(), expected)


def test_bad_constant_covariate(made):
    told = fails("constant_covariate", lambda: fe.ctmm.fit(made, fixed={"flat": np.ones(30)}), fe.BadInputError)
    assert "`flat`" in told


def test_bad_collinear_covariates(made):
    a = np.random.default_rng(2).normal(size=30)
    told = fails("collinear_covariates", lambda: fe.ctmm.fit(made, fixed={"a": a, "b": 2 * a}), fe.BadInputError)
    assert "`b`" in told


def test_bad_df_not_positive(made):
    few = made.subset(individuals=made.individuals[:8])
    for method in ("he", "reml"):
        found = fe.ctmm.fit(few, method=method, jackknife=method == "he").to_df()
        assert found["p[V]"].isna().all()
        assert np.isfinite(found["hom2"]).all()
        assert (found["df"] < 0).all()
        ok = found["status"] == "no_df"
        assert found.loc[ok, "reason"].str.contains("degrees of freedom").all()
        if method == "he":
            assert ok.any() or (found["status"] == "singular").any()


def test_bad_constant_gene(made):
    y, noise, share = arrays(made)
    whole = fe.ctmm.fit(y, noise, share, method="reml", jackknife=False).to_df()
    y[1], noise[1] = 2.5, 0.0
    for method in ("he", "reml", "ml"):
        found = fe.ctmm.fit(y, noise, share, method=method, jackknife=False).to_df()
        assert found["status"][1] == "constant"
        assert found["hom2"][1] == 0
        assert np.isnan(found["p[V]"][1])
        if method == "reml":
            pd.testing.assert_frame_equal(
                found.drop(1).filter(regex="^(hom2|V|p)"), whole.drop(1).filter(regex="^(hom2|V|p)")
            )
    assert np.isnan(fe.ctmm.score_tests(y, noise, share)["p[V]"][1])


def test_bad_one_cell_type(made):
    y, noise, share = arrays(made)
    fails("one_cell_type", lambda: fe.ctmm.fit(y[..., :1], noise[..., :1], share[:, :1]), fe.BadInputError)


def test_bad_p_rows_not_one(made):
    y, noise, share = arrays(made)
    share[0] *= 0.5
    fails("P_rows_not_one", lambda: fe.ctmm.fit(y, noise, share, level="op"), fe.BadInputError)
    with pytest.warns(fe.FerrocyteWarning, match="individual 0"):
        fe.ctmm.fit(y, noise, share)


def test_bad_random_not_membership(made):
    half = np.full((30, 2), 0.5)
    half[::3, 0] = 2.0
    found = fe.ctmm.fit(made, random={"batch": half}, method="reml", jackknife=False)
    scaled = fe.ctmm.fit(made, random={"batch": 2 * half}, method="reml", jackknife=False)
    np.testing.assert_allclose(found.log_likelihood, scaled.log_likelihood, atol=1e-7)
    np.testing.assert_allclose(found.theta[:, -1], 4 * scaled.theta[:, -1], atol=1e-4 * np.abs(found.theta).max())
    with pytest.raises(fe.BadInputError, match="batch"):
        fe.ctmm.fit(made, random={"batch": np.zeros((30, 2))})


def test_bad_all_pairs_missing(made):
    y, noise, share = arrays(made)
    y[:, 5], noise[:, 5] = np.nan, np.nan
    with pytest.warns(fe.FerrocyteWarning, match="individual 5"):
        found = fe.ctmm.fit(y, noise, share)
    kept = np.arange(30) != 5
    without = fe.ctmm.fit(y[:, kept], noise[:, kept], share[kept])
    pd.testing.assert_frame_equal(found.to_df(), without.to_df())
    assert found.dropped == ["individual5"]


def cells(empty=None):
    rng = np.random.default_rng(3)
    counts = rng.poisson(1.5, size=(60, 6)).astype(np.float32)
    counts[:, 0] += 1
    if empty is not None:
        counts[empty] = 0
    obs = pd.DataFrame({"donor": np.repeat(list("abcdef"), 10), "type": np.tile(["B", "T"], 30)})
    obs.index = [f"cell{i}" for i in range(60)]
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs)


def test_bad_empty_cell():
    adata = cells(empty=7)
    told = fails("empty_cell", lambda: fe.ctmm.prepare(adata, "donor", "type"), fe.BadInputError)
    assert "`cell7`" in told
    with pytest.warns(fe.FerrocyteWarning, match="1 cells without a count"):
        made = fe.ctmm.prepare(adata, "donor", "type", drop_empty=True)
    assert np.isfinite(made.ctp).all()


def test_bad_one_cell_pair():
    adata = cells()
    adata.obs["type"] = ["NK", *adata.obs["type"].tolist()[1:]]
    made = fe.ctmm.prepare(adata, "donor", "type", min_cells_pair=0)
    assert made.cell_types == ["B", "NK", "T"]
    assert np.isnan(made.ctp[:, 0, 1]).all()
    assert ("a", "NK", 1) in made.too_few


def test_bad_duplicate_cells():
    adata = cells()
    adata.obs_names = ["cell0", "cell0", *adata.obs_names[2:]]
    told = fails("duplicate_cells", lambda: fe.ctmm.prepare(adata, "donor", "type"), fe.BadInputError)
    assert "`cell0`" in told


def test_bad_unknown_column():
    told = fails("unknown_column", lambda: fe.ctmm.prepare(cells(), "person", "type"), fe.MissingKeyError)
    assert "person" in told
    assert "donor" in told


# What the specification asks of bad input beyond these entries (its section 9), and where it is tested:
# NaN in covariates: test_covariates_must_be_finite; no noise: test_two_silent_values_make_hom_singular,
# test_values_without_noise_say_so; P of cell types not summing to 1: test_proportions_off_one_are_told;
# ids that are there twice: test_ids_must_differ; a gene without values: test_a_gene_without_values_stops_no_other.


@pytest.mark.parametrize("kind", ["fixed", "random"])
def test_covariates_must_be_finite(made, kind):
    values = np.ones((30, 2))
    values[7, 1] = np.inf
    with pytest.raises(fe.BadInputError, match=r"covariate `age` must be finite, found inf for individual 7"):
        fe.ctmm.fit(made, **{kind: {"age": values}})


def test_proportions_off_one_are_told(made):
    y, noise, share = arrays(made)
    share[3] *= 0.5
    with pytest.warns(fe.FerrocyteWarning, match="the sum of individual 3"):
        found = fe.ctmm.fit(y, noise, share)
    np.testing.assert_array_equal(found.theta, fe.ctmm.fit(made).theta)


def test_ids_must_differ(made):
    with pytest.raises(fe.BadInputError, match="found twice: `a`"):
        fe.ctmm.fit(made.ctp, made.ctnu, made.P, individuals=["a", "a", *map(str, range(28))])


def test_values_without_noise_say_so(made):
    y, noise, share = arrays(made)
    y[1, ::3, :2], noise[1, ::3, :2] = 0.0, 0.0
    for method in ("reml", "ml"):
        found = fe.ctmm.fit(y, noise, share, method=method, jackknife=False).to_df()
        assert found["status"][1] in {"ok", "boundary", "unbounded"}
        assert found["status"][0] != "unbounded"
    tests = fe.ctmm.score_tests(y, noise, share)
    assert (tests["status"] == ["ok", "unbounded", "ok"]).all()
    assert tests["reason"][1].startswith("values without noise")
    assert np.isfinite(fe.ctmm.fit(y, noise, share).hom2).all(), "moments have an answer"


def test_silent_types_are_left_out(made):
    y, noise, share = arrays(made)
    y[0, :, 2], noise[0, :, 2] = 0.0, 0.0
    y[1, :, 1:], noise[1, :, 1:] = 0.0, 0.0
    for method in ("he", "reml"):
        found = fe.ctmm.fit(y, noise, share, method=method, jackknife=False)
        assert found.table["status"][1] == "one_type"
        assert found.table["status"][0] in {"silent_types", "boundary"}
        less = fe.ctmm.fit(*(np.delete(x[:1], 2, axis=2) for x in (y, noise)), method=method, jackknife=False)
        np.testing.assert_array_equal(np.delete(found.theta[0], 3), less.theta[0])
        assert np.isnan(found.theta[0, 3])
        assert np.isnan(found.table["mean[type2]" if "mean[type2]" in found.table else "mean[type3]"][0])
    tests = fe.ctmm.score_tests(y, noise, share)
    assert list(tests["status"][:2]) == ["silent_types", "one_type"]
    assert np.isfinite(tests["p[V]"][0])


def test_real_genes_of_low_counts_have_answers():
    path = next(path for depth in ("", "*/") for path in DATA.glob(f"{depth}onek1k_40donors.h5ad"))
    pb = fe.ctmm.prepare(path, "donor", "cell_type", min_cells_pair=5)
    pb = pb.subset(genes=pb.genes[:150])
    assert np.nanmean(pb.ctp == 0) > 0.02, "there are pairs without a count"
    tests = fe.ctmm.score_tests(pb)
    answered = tests["status"].isin(["ok", "silent_types"])
    assert tests.loc[answered, ["p[V]", "p[hom2]", "p[V equal]", "p[mean]"]].notna().all(axis=None)
    assert set(tests.loc[~answered, "status"]) <= {"one_type", "constant"}
    assert answered.mean() > 0.95
    fit = fe.ctmm.fit(pb, method="reml", jackknife=False)
    assert set(fit.table["status"]) <= {"ok", "boundary", "silent_types", "one_type", "constant"}


def test_two_silent_values_make_hom_singular(made):
    y, noise, share = arrays(made)
    noise[1, 3, :2] = 0.0
    found = fe.ctmm.fit(y, noise, share, model="hom", method="reml", jackknife=False).to_df()
    assert found["status"][1] == "hom_singular"
    assert found["status"][0] == "ok"


def test_a_gene_without_values_stops_no_other(made):
    y, noise, share = arrays(made)
    expected = fe.ctmm.fit(y, noise, share).to_df()
    y[2], noise[2] = np.nan, np.nan
    found = fe.ctmm.fit(y, noise, share).to_df()
    assert found["status"][2] == "no_values"
    pd.testing.assert_series_equal(found["hom2"][:2], expected["hom2"][:2])


def test_overall_values_leave_out_incomplete_individuals(made):
    y, noise, share = arrays(made)
    y[:, 4, 2], noise[:, 4, 2] = np.nan, np.nan
    with pytest.warns(fe.FerrocyteWarning, match="lack the value of a cell type"):
        found = fe.ctmm.fit(y, noise, share, level="op", model="hom")
    assert (found.to_df()["n_individuals"] == 29).all()
    kept = np.arange(30) != 4
    op = np.einsum("gnc,nc->gn", y[:, kept], share[kept])
    nu = np.einsum("gnc,nc->gn", noise[:, kept], share[kept] ** 2)
    direct = fe.ctmm.fit(op, nu, share[kept], level="op", model="hom")
    np.testing.assert_allclose(found.theta, direct.theta, rtol=1e-10)


def test_scale_does_not_matter(made):
    for method in ("he", "reml"):
        one = fe.ctmm.fit(made.ctp, made.ctnu, made.P, method=method, jackknife=False)
        big = fe.ctmm.fit(1024 * made.ctp, 1024**2 * made.ctnu, made.P, method=method, jackknife=False)
        np.testing.assert_array_equal(1024**2 * one.theta, big.theta)
        np.testing.assert_array_equal(one.to_df()["p[mean]"], big.to_df()["p[mean]"])


def test_one_step_is_near_the_exact_jackknife():
    made = fe.sim.ctmm(n_genes=2, n_individuals=300, truth="free", seed=9)[0]
    exact = fe.ctmm.fit(made, method="reml", jackknife=True)
    step = fe.ctmm.fit(made, method="reml", jackknife="onestep")
    good = (exact.bad_refits == 0) & (step.bad_refits == 0)
    assert good.any()
    scale = np.abs(exact.theta_covariance[good]).max()
    np.testing.assert_allclose(step.theta_covariance[good], exact.theta_covariance[good], atol=0.15 * scale)


def test_threads_change_no_bit(made):
    for method in ("he", "reml"):
        one = fe.ctmm.fit(made, method=method, n_threads=1).to_df()
        pd.testing.assert_frame_equal(one, fe.ctmm.fit(made, method=method, n_threads=2).to_df(), check_exact=True)


def test_results_come_back(made, tmp_path):
    found = fe.ctmm.fit(made, method="reml", jackknife=False, fixed={"age": np.arange(30.0) ** 2})
    found.save(tmp_path / "fit.npz")
    for back in (fe.ctmm.load(tmp_path / "fit.npz"), pickle.loads(pickle.dumps(found))):
        pd.testing.assert_frame_equal(back.to_df(), found.to_df(), check_exact=True)
        np.testing.assert_array_equal(back.V, found.V)
        assert back.provenance == found.provenance
    adata = ad.AnnData(np.zeros((2, 2)))
    found.store(adata)
    adata.write_h5ad(tmp_path / "study.h5ad")
    assert "model free by reml" in repr(found)
    assert found.to_df().attrs["meanings"]["hom2"]
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(fe.BadFileError):
        fe.ctmm.load(tmp_path / "other.npz")


def test_pseudobulk_comes_back_and_the_program_reads_it(made, tmp_path):
    made.save(tmp_path / "pb.npz")
    back = fe.ctmm.Pseudobulk.load(tmp_path / "pb.npz")
    np.testing.assert_array_equal(back.ctp, made.ctp)
    table = tmp_path / "fit.tsv"
    assert _core.run_program(["ferrocyte", "ctmm", "fit", str(tmp_path / "pb.npz"), "-o", str(table)]) == 0
    found = pd.read_csv(table, sep="\t", float_precision="round_trip")
    expected = fe.ctmm.fit(made).to_df()
    np.testing.assert_allclose(found["hom2"], expected["hom2"], rtol=1e-12)
    np.testing.assert_allclose(found["p[V]"], expected["p[V]"], rtol=1e-9)


def test_the_program_goes_from_cells_to_a_table(tmp_path):
    adata = cells()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    words = ["--donor", "donor", "--cell-type", "type"]
    pb = tmp_path / "pb.npz"
    assert _core.run_program(["ferrocyte", "ctmm", "prepare", str(tmp_path / "cells.h5ad"), *words, "-o", str(pb)]) == 0
    ours = fe.ctmm.prepare(adata, "donor", "type")
    np.testing.assert_array_equal(fe.ctmm.Pseudobulk.load(pb).ctp, ours.ctp)
    ages = pd.DataFrame({"age": [30.0, 41, 22, 64, 50, 35]}, index=pd.Index(list("fedcba"), name="donor"))
    ages.to_csv(tmp_path / "ages.tsv", sep="\t")
    tables = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    rest = ["--model", "hom", "--covariates", str(tmp_path / "ages.tsv"), "--fixed", "age"]
    for table, source in zip(tables, ([str(tmp_path / "cells.h5ad"), *words], [str(pb)]), strict=True):
        assert _core.run_program(["ferrocyte", "ctmm", "fit", *source, *rest, "-o", str(table)]) == 0
    assert tables[0].read_bytes() == tables[1].read_bytes()
    found = pd.read_csv(tables[0], sep="\t", float_precision="round_trip")
    expected = fe.ctmm.fit(ours, model="hom", fixed=ages).to_df()
    np.testing.assert_allclose(found["age"], expected["age"], rtol=1e-12)


def test_options_have_one_home():
    functions = {"prepare": fe.ctmm.prepare, "fit": fe.ctmm.fit}
    program = {(verb, name): (default, choices) for verb, name, default, choices in _core.ctmm_arguments()}
    words = {"none": False, "exact": True, "true": True, "false": False, "": None}
    for name, verbs, default, choices, _ in _core.ctmm_options():
        for verb in verbs:
            assert program[verb, name] == (default, choices)
            parameters = inspect.signature(functions[verb]).parameters
            if name not in parameters:
                assert verb == "fit", name
                continue
            ours = parameters[name].default
            if default == "-":
                assert ours is inspect.Parameter.empty
            else:
                assert ours == words.get(default, default) or str(ours) == default, name


def test_peer_names(made, tmp_path):
    y, noise, share = made.ctp[0], made.ctnu[0], made.P
    for name, values in (("y", y), ("P", share), ("ctnu", noise)):
        np.savetxt(tmp_path / f"{name}.txt", values, fmt="%.18g")
    estimates, p = peer.ctp.free_HE(*(str(tmp_path / f"{name}.txt") for name in ("y", "P", "ctnu")))
    expected = fe.ctmm.fit(made).to_df()
    assert estimates["hom2"] == pytest.approx(expected["hom2"][0], rel=1e-12)
    assert p["V"] == pytest.approx(expected["p[V]"][0], rel=1e-9)
    assert estimates["beta"]["ct_beta"].shape == (4,)
    with pytest.warns(fe.FerrocyteWarning, match="no effect"):
        only = peer.ctp.full_REML(y, share, noise, optim_by_R=True)
    assert "l" in only
    assert only["V"].shape == (4, 4)
    estimates, p = peer.op.hom_ML(made.op[0], share, made.nu[0])
    assert estimates["nu"] == pytest.approx(made.nu[0].mean())
    assert set(p) == {"hom2", "ct_beta"}
    for level in (peer.op, peer.ctp):
        for model in ("hom", "iid", "free", "full"):
            for method in ("ML", "REML", "HE"):
                assert getattr(level, f"{model}_{method}").__name__ == f"{model}_{method}"


def test_nested_models_are_compared(made):
    fits = {model: fe.ctmm.fit(made, model=model, method="ml", jackknife=False, variance="nonnegative")
            for model in ("hom", "free")}  # fmt: skip
    found = fe.ctmm.lrt(fits["free"], fits["hom"])
    assert (found["df"] == 4).all()
    assert (found["stat"] > -1e-9).all()
    with pytest.raises(fe.BadInputError, match="larger model"):
        fe.ctmm.lrt(fits["hom"], fits["free"])
