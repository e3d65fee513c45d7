"""Heritability by environment: bad input by name, statuses, files, results that come back, one home of the options."""

from __future__ import annotations

import gzip
import inspect
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from common import GOLDEN

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte.compat import gxemm as peer

BAD = {entry["id"]: entry for entry in json.loads((GOLDEN / "ctmm" / "bad_inputs.json").read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def made():
    return fe.sim.gxemm(200, 60, seed=3)


def study(made, **changed):
    return {key: made[key] for key in ("y", "X", "K", "Z")} | changed


def fails(name, call, error=fe.FerrocyteError):
    """The entry is refused, and the message has the names that it must have."""
    with pytest.raises(error) as caught:
        call()
    told = str(caught.value)
    for word in BAD[name]["names"]:
        assert word.lower() in told.lower(), (word, told)
    return told


def test_every_entry_about_gxemm_has_a_test():
    tested = {name.removeprefix("test_bad_") for name in globals() if name.startswith("test_bad_")}
    assert {name.lower() for name in BAD if name.startswith("gxe_")} <= tested


def test_bad_gxe_collinear(made):
    told = fails("gxe_collinear", lambda: fe.gxemm.fit(**study(made, X=made["Z"])), fe.BadInputError)
    assert "`env2`" in told


def test_bad_gxe_k_not_symmetric(made):
    K = made["K"].copy()
    K.iloc[0, 1] += 1
    fails("gxe_K_not_symmetric", lambda: fe.gxemm.fit(**study(made, K=K)), fe.BadInputError)


def test_bad_gxe_missing_main_effect(made):
    with pytest.warns(fe.FerrocyteWarning) as caught:
        found = fe.gxemm.fit(**study(made, X=None), gtype="free")
    told = "\n".join(str(w.message) for w in caught)
    for word in BAD["gxe_missing_main_effect"]["names"]:
        assert word in told
    assert any("main effects" in warning for warning in found.provenance["warnings"])


def test_bad_gxe_y_nan(made):
    y = made["y"].copy()
    y.iloc[3] = np.nan
    with pytest.warns(fe.FerrocyteWarning, match="1 individual") as caught:
        found = fe.gxemm.fit(**study(made, y=y), gtype="free", etype="free")
    assert "y" in str(caught[0].message)
    keep = y.notna()
    ids = y.index[keep]
    without = fe.gxemm.fit(
        y[keep], made["X"][keep], made["K"].loc[ids, ids], made["Z"][keep], gtype="free", etype="free"
    )
    pd.testing.assert_frame_equal(found.table, without.table)


def test_bad_gxe_binary_no_prev(made):
    y = (made["y"] > made["y"].median()).astype(float)
    fails("gxe_binary_no_prev", lambda: fe.gxemm.fit(**study(made, y=y), method="pcgc"))
    with pytest.raises(fe.BadInputError, match="between 0 and 1"):
        fe.gxemm.fit(**study(made, y=y), method="pcgc", prev=1.5)


def test_bad_gxe_k_identity(made):
    n = len(made["y"])
    fails("gxe_K_identity", lambda: fe.gxemm.fit(made["y"], None, np.eye(n)), fe.BadInputError)


def test_singular_and_indefinite_kinships(made):
    # Of 60 markers among 200 individuals the kinship has rank 60.
    assert np.linalg.matrix_rank(made["K"].to_numpy()) < 200
    assert fe.gxemm.fit(**study(made)).status[0] == "ok"
    bad = made["K"].to_numpy() - 0.3 * np.eye(200)
    with pytest.warns(fe.FerrocyteWarning, match="not positive semidefinite"):
        found = fe.gxemm.fit(**study(made, K=bad))
    assert any("semidefinite" in warning for warning in found.provenance["warnings"])


def test_ids_are_matched_by_name(made):
    order = np.random.default_rng(1).permutation(200)
    ids = made["K"].index[order]
    mixed = study(made, K=made["K"].loc[ids, ids], X=made["X"].iloc[order[::-1]], Z=made["Z"].loc[ids])
    how = {"gtype": "free", "etype": "free"}
    expected = fe.gxemm.fit(**study(made), **how).table
    pd.testing.assert_frame_equal(fe.gxemm.fit(**mixed, **how).table, expected, check_exact=True)
    strange = made["Z"].rename(index={"i7": "somebody"})
    with pytest.raises(fe.BadInputError) as caught:
        fe.gxemm.fit(**study(made, Z=strange), **how)
    assert "`i7`" in str(caught.value)
    assert "`somebody`" in str(caught.value)
    fewer = study(made, y=made["y"].iloc[:150])
    with pytest.warns(fe.FerrocyteWarning) as told:
        assert fe.gxemm.fit(**fewer).table["n"][0] == 150
    assert any("50 individuals of K" in str(w.message) for w in told)
    twice = made["X"].rename(index={"i7": "i8"})
    with pytest.raises(fe.BadInputError, match="twice"):
        fe.gxemm.fit(**study(made, X=twice))


def test_environments_that_tell_nothing(made):
    flat = made["Z"].assign(all=1.0)
    with pytest.raises(fe.BadInputError, match="`all` is constant"):
        fe.gxemm.fit(**study(made, Z=flat), gtype="free")
    with pytest.raises(fe.FerrocyteError, match="needs environments"):
        fe.gxemm.fit(**study(made, Z=None), gtype="free")
    few = np.zeros(200)
    few[:6] = 1.0
    with pytest.warns(fe.FerrocyteWarning, match="`rare` has only 6 individuals"):
        fe.gxemm.fit(**study(made, X=few, Z=pd.DataFrame({"rare": few}, index=made["Z"].index)), gtype="free")


def test_wrong_shapes_and_numbers(made):
    with pytest.raises(fe.BadInputError, match="199 rows"):
        fe.gxemm.fit(**study(made, X=np.ones((199, 1))))
    with pytest.raises(fe.BadInputError, match=r"200 x 200"):
        fe.gxemm.fit(**study(made, K=np.eye(199)))
    with pytest.raises(fe.BadInputError, match="needs the kinship"):
        fe.gxemm.fit(made["y"])
    hole = made["X"].copy()
    hole.iloc[4, 0] = np.nan
    with pytest.raises(fe.BadInputError, match="individual 4"):
        fe.gxemm.fit(**study(made, X=hole))
    with pytest.raises(fe.BadInputError, match="infinite"):
        fe.gxemm.fit(**study(made, y=made["y"].replace(made["y"].iloc[2], np.inf)))


def test_one_bad_trait_stops_no_other(made):
    traits = pd.DataFrame(
        {
            "good": made["y"],
            "flat": 1.0,
            "explained": made["X"]["env1"] * 2 + 1,
            "rare": made["y"].where(made["y"] > 9e9),
        }
    )
    with pytest.warns(fe.FerrocyteWarning):
        found = fe.gxemm.fit(traits, made["X"], made["K"], made["Z"], gtype="free", etype="free")
    assert found.status.tolist() == ["ok", "constant", "constant", "too_few"]
    alone = fe.gxemm.fit(made["y"], made["X"], made["K"], made["Z"], gtype="free", etype="free")
    assert found.table["g_hom"][0] == alone.table["g_hom"][0]
    assert found.table.iloc[1:]["g_hom"].isna().all()


def test_cases_that_cannot_be_modelled(made):
    inside = made["X"]["env1"]
    found = fe.gxemm.fit(inside, inside.to_frame("same"), made["K"], method="pcgc", prev=0.1)
    assert found.status[0] == "one_class"
    with pytest.raises(fe.BadInputError, match="two values"):
        fe.gxemm.fit(**study(made), method="pcgc", prev=0.1)


def test_boundary_and_zero(made):
    # Kin that are less alike than strangers: the genetic variance is at zero.
    rng = np.random.default_rng(8)
    family = np.repeat(np.arange(60), 2)
    K = (family[:, None] == family[None, :]).astype(float)
    y = np.repeat(rng.normal(size=60), 2) * np.tile([1.0, -1.0], 60) + 0.3 * rng.normal(size=120)
    low = fe.gxemm.fit(y, None, K, variance="nonnegative")
    assert low.status[0] == "zero"
    assert low.table["g_hom"][0] == 0
    assert np.isnan(low.table["p[g_hom]"][0])
    free = fe.gxemm.fit(y, None, K)
    assert free.status[0] in ("ok", "boundary")
    assert free.table["g_hom"][0] < 0 or free.status[0] == "boundary"
    he = fe.gxemm.fit(y, None, K, method="he")
    assert he.table["g_hom"][0] < 0


def test_moments_match_their_definition(made):
    how = {"gtype": "free", "etype": "free"}
    found = fe.gxemm.fit(**study(made), method="he", errors="jackknife", **how).trait()
    K, Z = made["K"].to_numpy(), made["Z"].to_numpy()
    x = np.column_stack([np.ones(200), made["X"]])
    m = np.eye(200) - x @ np.linalg.pinv(x)
    kernels = [K, K * np.outer(Z[:, 0], Z[:, 0]), K * np.outer(Z[:, 1], Z[:, 1]), np.diag(Z[:, 0]), np.eye(200)]
    rows, columns = np.tril_indices(200)
    weight = np.where(rows == columns, 0.5, 1.0)
    a = np.array([(m @ k @ m)[rows, columns] * weight for k in kernels])
    r = m @ made["y"].to_numpy()
    r /= r.std(ddof=1)
    b = np.outer(r, r)[rows, columns] * weight
    np.testing.assert_allclose(found["theta"], np.linalg.solve(a @ a.T, a @ b), rtol=1e-9)
    refits = []
    for i in range(200):
        keep = (rows != i) & (columns != i)
        refits.append(np.linalg.solve(a[:, keep] @ a[:, keep].T, a[:, keep] @ b[keep]))
    refits = np.array(refits) - np.mean(refits, axis=0)
    jackknife = 199 / 200 * refits.T @ refits
    np.testing.assert_allclose(found["theta_covariance"], jackknife, rtol=1e-7, atol=1e-12)
    # Pulls of pairs of two individuals are counted twice.
    corrected = fe.gxemm.fit(**study(made), method="he", **how).trait()
    apart = rows != columns
    pulls = np.linalg.solve(a @ a.T, a[:, apart] * (b - found["theta"] @ a)[apart])
    doubled = pulls @ pulls.T
    share = min(1.0, 0.5 / np.linalg.eigvals(np.linalg.solve(jackknife, doubled)).real.max())
    np.testing.assert_allclose(corrected["theta_covariance"], jackknife - share * doubled, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(corrected["theta"], found["theta"])


def test_errors_of_moments_are_those_of_repeats():
    # Few markers: kin pull together; many: each pair on its own, and the jackknife as it is would tell too much.
    for markers, low, high in ((60, 0.75, 1.3), (1500, 0.8, 1.25)):
        made = fe.sim.gxemm(300, markers, seed=1)
        scaled = made["genotypes"] - made["genotypes"].mean(axis=0)
        rng = np.random.default_rng(4)
        effects = rng.normal(size=(markers, 150))
        y = 0.6 * scaled @ effects / np.sqrt(0.42 * markers) + 0.8 * rng.normal(size=(300, 150))
        found, plain = (
            fe.gxemm.fit(y, None, made["K"].to_numpy(), method="he", errors=errors).table
            for errors in ("corrected", "jackknife")
        )
        told = np.sqrt(np.mean(found["se[g_hom]"] ** 2)) / np.std(found["g_hom"])
        assert low < told < high, (markers, told)
        assert (found["se[g_hom]"] <= plain["se[g_hom]"]).all()
    assert np.sqrt(np.mean(plain["se[g_hom]"] ** 2)) / np.std(plain["g_hom"]) > 1.25


def test_pcgc_weights_pairs():
    made = fe.sim.gxemm(400, 60, seed=5)
    y = (made["y"] > made["y"].quantile(0.7)).astype(float)
    plain = fe.gxemm.fit(**study(made, y=y), method="pcgc", prev=0.1)
    weighted = fe.gxemm.fit(**study(made, y=y), method="pcgc", prev=0.1, weighted=True)
    assert plain.table["g_hom"][0] != weighted.table["g_hom"][0]
    # Without covariates everybody has the same weight, and weights change nothing.
    how = {"method": "pcgc", "prev": 0.1}
    same = [fe.gxemm.fit(y, None, made["K"], weighted=w, **how).table["g_hom"][0] for w in (False, True)]
    np.testing.assert_allclose(same[0], same[1], rtol=1e-9)


def test_single_precision_is_near(made):
    how = {"gtype": "free", "etype": "free"}
    double = fe.gxemm.fit(**study(made), **how).table
    single = fe.gxemm.fit(**study(made, K=made["K"].to_numpy().astype(np.float32)), **how).table
    np.testing.assert_allclose(single["g_hom"], double["g_hom"], rtol=1e-4)
    assert single["g_hom"][0] != double["g_hom"][0]


def test_units_of_the_trait_change_its_scale_only(made):
    for method in ("reml", "he"):
        one = fe.gxemm.fit(**study(made), method=method).table.iloc[0]
        big = fe.gxemm.fit(**study(made, y=1024 * made["y"]), method=method).table.iloc[0]
        np.testing.assert_allclose(big["g_hom"], one["g_hom"], rtol=1e-12)
        np.testing.assert_allclose(big["scale"], 1024**2 * one["scale"], rtol=1e-12)


def test_threads_change_no_bit(made):
    for method in ("reml", "he"):
        tables = [fe.gxemm.fit(**study(made), gtype="free", method=method, n_threads=t).table for t in (1, 2)]
        pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_labels_are_a_partition(made):
    labels = made["Z"].idxmax(axis=1).rename("site")
    found = fe.gxemm.fit(**study(made, Z=labels), gtype="free", etype="free")
    expected = fe.gxemm.fit(**study(made), gtype="free", etype="free")
    assert found.variances == ["g_hom", "g[site[env1]]", "g[site[env2]]", "e[site[env1]]", "e_hom"]
    np.testing.assert_array_equal(found.trait()["theta"], expected.trait()["theta"])


def test_results_come_back(made, tmp_path):
    found = fe.gxemm.fit(**study(made), gtype="free", etype="free")
    found.save(tmp_path / "fit.npz")
    for back in (fe.gxemm.load(tmp_path / "fit.npz"), pickle.loads(pickle.dumps(found))):
        pd.testing.assert_frame_equal(back.to_df(), found.to_df())
        assert back.provenance == found.provenance
        for key, value in found.trait().items():
            np.testing.assert_array_equal(back.trait()[key], value)
        pd.testing.assert_frame_equal(back.h2, found.h2)
    assert found.shares["estimate"].sum() == pytest.approx(1.0)
    assert found.components["name"].tolist() == found.variances
    assert repr(found) == "GxemmResult: 1 traits, 2 environments, gtype free, etype free by reml: 1 ok"
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    with pytest.raises(fe.BadFileError):
        fe.gxemm.load(tmp_path / "other.npz")
    with pytest.raises(fe.MissingKeyError):
        found.trait("nobody")


def test_likelihood_ratios(made):
    how = {"variance": "nonnegative"}
    large = fe.gxemm.fit(**study(made), gtype="free", etype="free", **how)
    small = fe.gxemm.fit(**study(made), **how)
    plain = fe.gxemm.lrtest(large, small)
    mixed = fe.gxemm.lrtest(large, small, mixture=True)
    assert plain["df"][0] == 3
    assert plain["stat"][0] >= 0
    assert mixed["p_value"][0] < plain["p_value"][0]
    assert sum(mixed["weights"][0]) == pytest.approx(1.0)
    assert len(mixed["weights"][0]) == 3
    # A trait of no heritability has its variances at zero, and a test all the same.
    noise = pd.Series(np.random.default_rng(2).normal(size=200), index=made["y"].index)
    pair = [fe.gxemm.fit(**study(made, y=noise), gtype=g, etype="free", **how) for g in ("free", "hom")]
    assert pair[0].status[0] == "zero"
    assert 0 < fe.gxemm.lrtest(*pair, mixture=True)["p_value"][0] <= 1
    with pytest.raises(fe.BadInputError, match="larger model"):
        fe.gxemm.lrtest(small, large)
    with pytest.raises(fe.BadInputError, match="come from reml"):
        fe.gxemm.lrtest(large, fe.gxemm.fit(**study(made), method="he"))


def test_names_of_the_peer(made):
    args = [made[key] for key in ("y", "X", "K", "Z")]
    ours = fe.gxemm.fit(**study(made), gtype="free", etype="free").trait()
    out = peer.GxEMM(*args, gtype="free", etype="free", parametrisation="peer")
    np.testing.assert_array_equal(out["sig2s"], ours["peer"])
    np.testing.assert_array_equal(out["sig2Var"], ours["peer_covariance"])
    np.testing.assert_allclose(out["sig2e"], [ours["peer"][3] + ours["peer"][4], ours["peer"][4]])
    plain = peer.GxEMM(*args, gtype="free", etype="free")
    np.testing.assert_array_equal(plain["sig2s"], ours["theta"])
    assert set(plain) >= {"h2", "h2Covmat", "sig2s", "sig2Var", "sig2g", "sig2e", "df", "ll", "betas"}
    assert peer.MVWaldtest(plain["sig2s"][1:3], plain["sig2Var"][1:3, 1:3]) == pytest.approx(
        fe.gxemm.mvwaldtest(ours["theta"][1:3], ours["theta_covariance"][1:3, 1:3])
    )
    assert peer.h2_equal_test(plain["h2"], plain["h2Covmat"]) == pytest.approx(
        fe.gxemm.h2_equal_test(ours["h2"], ours["h2_covariance"])
    )
    assert peer.Waldtest(1.6448536269514722, 1.0) == pytest.approx(0.05)
    assert peer.LRtest(-10.0, -12.0, 1) == pytest.approx(0.04550026389635842)
    assert peer.GxEMM_HE(*args)["h2"] == pytest.approx(fe.gxemm.fit(**study(made), method="he").trait()["h2"][0])
    with pytest.warns(fe.FerrocyteWarning, match="ldak_loc"):
        peer.GxEMM(*args, ldak_loc="somewhere")


def test_the_program_gives_the_same(tmp_path):
    words = ["--n-individuals", "150", "--n-snps", "40", "--seed", "7"]
    prefix = tmp_path / "sim"
    assert _core.run_program(["ferrocyte", "simulate", "gxemm", *words, "-o", str(prefix)]) == 0
    made = fe.sim.gxemm(150, 40, seed=7)
    K = fe.gxemm.kinship(prefix)
    np.testing.assert_allclose(K, made["K"], atol=1e-12)
    assert K.attrs["markers"] == 40
    table = tmp_path / "out.tsv"
    tables = ["--environments", f"{prefix}.environments.tsv", "--covariates", f"{prefix}.covariates.tsv"]
    command = ["ferrocyte", "gxemm", "fit", f"{prefix}.traits.tsv", "--kinship", f"{prefix}.bed", *tables]
    assert _core.run_program([*command, "--gtype", "free", "--etype", "free", "-o", str(table)]) == 0
    program = pd.read_csv(table, sep="\t")
    ours = fe.gxemm.fit(**study(made, K=f"{prefix}.bed"), gtype="free", etype="free").table
    np.testing.assert_allclose(program["g_hom"], ours["g_hom"], rtol=1e-9)
    assert program["status"][0] == "ok"
    assert (tmp_path / "out.tsv.config.toml").exists()


def test_kinships_of_files(tmp_path, made):
    K = made["K"].iloc[:4, :4].round(3)
    K.to_csv(tmp_path / "k.tsv", sep="\t")
    pd.testing.assert_frame_equal(fe.gxemm.kinship(tmp_path / "k.tsv"), K, check_names=False)
    (tmp_path / "g.grm.id").write_text("".join(f"f {name}\n" for name in K.index))
    low = K.to_numpy()[np.tril_indices(4)].astype("<f4")
    low.tofile(tmp_path / "g.grm.bin")
    np.testing.assert_allclose(fe.gxemm.kinship(tmp_path / "g"), K, atol=1e-6)
    rows, columns = np.tril_indices(4)
    lines = "".join(f"{i + 1} {j + 1} 60 {K.iloc[i, j]}\n" for i, j in zip(rows, columns, strict=True))
    (tmp_path / "g.grm.gz").write_bytes(gzip.compress(lines.encode()))
    pd.testing.assert_frame_equal(fe.gxemm.kinship(tmp_path / "g.grm.gz"), K, check_names=False)
    with pytest.raises(fe.BadFileError):
        fe.gxemm.kinship(tmp_path / "nothing.tsv")


def test_options_have_one_home():
    functions = {"fit": fe.gxemm.fit, "kinship": fe.gxemm.kinship, "gxemm": fe.sim.gxemm}
    program = {(verb, name): (default, choices) for verb, name, default, choices in _core.gxemm_arguments()}
    words = {None: "", True: "true", False: "false"}
    for name, verbs, default, choices, _ in [*_core.gxemm_options(), *_core.gxemm_sim_options()]:
        for verb in verbs:
            ours = inspect.signature(functions[verb]).parameters[name].default
            if isinstance(ours, tuple):
                ours = ",".join(str(x) for x in ours)
            assert (words[ours] if ours is None or isinstance(ours, bool) else str(ours)) == default, (verb, name)
            if verb == "fit":
                assert program[verb, name] == (default, choices)
