"""Heritability by environment: ways of REML, many traits, randomised moments from genotypes, real data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from common import DATA

import ferrocyte as fe
from ferrocyte import _core


@pytest.fixture(scope="module")
def made():
    return fe.sim.gxemm(400, 60, seed=5, specific=(0.0, 0.3))


def study(made, **changed):
    return {key: made[key] for key in ("y", "X", "K", "Z")} | changed


@pytest.mark.parametrize(
    ("gtype", "etype", "route"),
    [("hom", "hom", "low_rank+eigen"), ("free", "free", "low_rank"), ("iid", "free", "low_rank")],
)
def test_ways_give_the_same_numbers(made, gtype, etype, route):
    ours = fe.gxemm.fit(**study(made), gtype=gtype, etype=etype)
    plain = fe.gxemm.fit(**study(made), gtype=gtype, etype=etype, route="dense")
    assert (ours.table["route"][0], plain.table["route"][0]) == (route, "dense")
    numbers = ours.table.select_dtypes("number").columns
    np.testing.assert_allclose(ours.table[numbers], plain.table[numbers], rtol=1e-5, atol=1e-7)
    assert ours.provenance["options"]["route"] == "auto"
    with pytest.raises(fe.FerrocyteError, match="route"):
        fe.gxemm.fit(**study(made), route="scenic")


def test_families(made):
    family = np.arange(400) // 4
    K = 0.5 * (family[:, None] == family[None, :]) + 0.5 * np.eye(400)
    ours = fe.gxemm.fit(made["y"], made["X"], K, made["Z"], gtype="hom", etype="free")
    plain = fe.gxemm.fit(made["y"], made["X"], K, made["Z"], gtype="hom", etype="free", route="dense")
    # Families of one environment have the form of eigenvectors.
    assert ours.table["route"][0] == "families+eigen"
    np.testing.assert_allclose(ours.components["estimate"], plain.components["estimate"], atol=1e-6)
    assert ours.table["log_likelihood"][0] == pytest.approx(plain.table["log_likelihood"][0], abs=1e-8)


def test_a_hundred_traits_share_what_they_can(made):
    rng = np.random.default_rng(2)
    genotypes = rng.normal(size=(320, 500))
    K = genotypes @ genotypes.T / 500
    y = pd.DataFrame(0.05 * genotypes @ rng.normal(size=(500, 100)) + rng.normal(size=(320, 100)))
    y.columns = [f"t{k}" for k in y]
    together = fe.gxemm.fit(y, None, K)
    assert (together.table["route"] == "eigen").all()
    assert together.table["trait"].tolist() == y.columns.tolist()
    few = fe.gxemm.fit(y[["t3", "t98"]], None, K, route="dense")
    for name in ("t3", "t98"):
        np.testing.assert_allclose(together.trait(name)["theta"], few.trait(name)["theta"], atol=1e-6)
    # A bad trait gets a status, and changes no other.
    bad = y.assign(t1=1.0, t2=np.nan)
    bad.loc[0, "t4"] = np.nan
    with pytest.warns(fe.FerrocyteWarning):
        found = fe.gxemm.fit(bad, None, K)
    assert found.status[1:3].tolist() == ["constant", "too_few"]
    assert found.table["n"][4] == 319
    others = [k for k in range(100) if k not in (1, 2, 4)]
    np.testing.assert_allclose(found.table["g_hom"][others], together.table["g_hom"][others], rtol=1e-11)


def test_no_heritability_by_the_likelihood(made):
    from scipy.stats import chi2

    rng = np.random.default_rng(3)
    y = pd.DataFrame(rng.normal(size=(400, 60)), index=made["y"].index).assign(real=made["y"])
    found = fe.gxemm.fit(y, made["X"], made["K"]).table
    x = np.column_stack([np.ones(400), made["X"]])
    scaled = ((y - y.mean()) / y.std()).to_numpy()
    left = scaled - x @ np.linalg.lstsq(x, scaled, rcond=None)[0]
    free = 400 - x.shape[1]
    null = -0.5 * (free * np.log((left**2).sum(axis=0) / free) + np.linalg.slogdet(x.T @ x)[1] + free)
    p = np.where(found["g_hom"] > 0, 0.5 * chi2.sf(2 * (found["log_likelihood"] - null), 1), 1.0)
    np.testing.assert_allclose(found["p[h2 ratio]"], p, rtol=1e-5)
    assert found["p[h2 ratio]"].iloc[-1] < 1e-3
    assert "p[h2 ratio]" not in fe.gxemm.fit(**study(made), gtype="free").table


def randomised(made, **how):
    given = {"genotypes": made["genotypes"]} | how
    return fe.gxemm.fit(made["y"], made["X"], Z=made["Z"], method="rhe", gtype="free", etype="free", **given)


def test_randomised_moments_are_near_exact_ones(made):
    exact = fe.gxemm.fit(**study(made), method="he", gtype="free", etype="free").trait()
    found = randomised(made, probes=200, blocks=20)
    one = found.trait()
    mc = np.sqrt(np.diag(one["monte_carlo_covariance"]))
    assert (np.abs(one["theta"] - exact["theta"]) < 5 * mc).all()
    np.testing.assert_allclose(one["beta"], exact["beta"], atol=1e-12)
    np.testing.assert_allclose(one["projected"], exact["projected"], atol=1e-10)
    assert found.table["mc_se[g_hom]"][0] == pytest.approx(mc[0])
    assert found.table["mc_se[h2[env1]]"][0] > 0
    # Four times the vectors: half the error.
    rough = randomised(made, probes=50, blocks=20).trait()
    ratio = np.sqrt(np.diag(rough["monte_carlo_covariance"])) / mc
    assert (ratio[:3] > 1.4).all()
    assert (ratio[:3] < 2.8).all()


def test_randomised_moments_are_determined(made):
    one = randomised(made, n_threads=1)
    two = randomised(made, n_threads=2)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert randomised(made, seed=1).table["g_hom"][0] != one.table["g_hom"][0]
    # Names bring genotypes into order; unknown ones may be negative or NaN.
    genotypes = pd.DataFrame(made["genotypes"], index=made["y"].index)
    shuffled = genotypes.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(randomised(made, genotypes=shuffled).table, one.table)
    gaps = genotypes.astype(float).mask(genotypes.to_numpy() == 2, np.nan)
    coded = genotypes.mask(genotypes.to_numpy() == 2, -9)
    found = randomised(made, genotypes=gaps).table
    pd.testing.assert_frame_equal(found, randomised(made, genotypes=coded).table)


def test_randomised_moments_say_what_they_need(made):
    with pytest.raises(fe.BadInputError, match="genotypes"):
        randomised(made, genotypes=None)
    with pytest.raises(fe.BadInputError, match="individuals x markers"):
        randomised(made, genotypes=made["genotypes"][:10])
    with pytest.raises(fe.BadInputError, match="0, 1, 2"):
        randomised(made, genotypes=made["genotypes"] + 0.5)
    with pytest.raises(fe.BadInputError, match="method rhe"):
        fe.gxemm.fit(**study(made), genotypes=made["genotypes"])
    with pytest.raises(fe.FerrocyteError, match="2 or more"):
        randomised(made, probes=1)
    with pytest.raises(fe.FerrocyteError, match="budget"):
        randomised(made, max_memory=1000)


def test_genotypes_of_files_and_the_program(tmp_path):
    prefix = tmp_path / "sim"
    words = ["--n-individuals", "150", "--n-snps", "40", "--seed", "7"]
    assert _core.run_program(["ferrocyte", "simulate", "gxemm", *words, "-o", str(prefix)]) == 0
    made = fe.sim.gxemm(150, 40, seed=7)
    ours = randomised(made, genotypes=f"{prefix}.bed", probes=20)
    pd.testing.assert_frame_equal(ours.table, randomised(made, probes=20).table)
    assert ours.provenance["options"]["markers"] == 40
    tables = ["--environments", f"{prefix}.environments.tsv", "--covariates", f"{prefix}.covariates.tsv"]
    command = ["ferrocyte", "gxemm", "fit", f"{prefix}.traits.tsv", "--kinship", f"{prefix}.bed", *tables]
    table = tmp_path / "out.tsv"
    how = ["--method", "rhe", "--probes", "20", "--gtype", "free", "--etype", "free"]
    assert _core.run_program([*command, *how, "-o", str(table)]) == 0
    program = pd.read_csv(table, sep="\t")
    for name in ("g_hom", "se[g_hom]", "mc_se[g_hom]"):
        assert program[name][0] == pytest.approx(ours.table[name][0], rel=1e-9)
    # A kinship is no source of genotypes.
    made["K"].to_csv(tmp_path / "k.tsv", sep="\t")
    command[command.index("--kinship") + 1] = str(tmp_path / "k.tsv")
    assert _core.run_program([*command, *how, "-o", str(tmp_path / "no.tsv")]) != 0


def test_results_of_randomised_moments_come_back(made, tmp_path):
    found = randomised(made)
    found.save(tmp_path / "fit.npz")
    back = fe.gxemm.load(tmp_path / "fit.npz")
    pd.testing.assert_frame_equal(back.table, found.table, check_dtype=False)
    np.testing.assert_array_equal(back.trait()["monte_carlo_covariance"], found.trait()["monte_carlo_covariance"])


def test_wheat_alone_and_together():
    folder = DATA / "gxe_wheat599"
    if not folder.is_dir():
        pytest.skip(f"no gxe_wheat599 under {DATA}")
    traits = pd.read_csv(folder / "yield.tsv.gz", sep="\t", index_col=0)
    markers = pd.read_csv(folder / "markers.tsv.gz", sep="\t", index_col=0).loc[traits.index].to_numpy(float)
    scaled = (markers - markers.mean(axis=0)) / markers.std(axis=0, ddof=1)
    K = scaled @ scaled.T / scaled.shape[1]
    ids = [str(k) for k in range(len(traits))]
    alone = fe.gxemm.fit(traits, None, K, individuals=ids)
    # Genomic heritabilities of these yields are near a half in the literature, too.
    assert alone.h2["estimate"].between(0.35, 0.6).all()
    n, e = traits.shape
    Z = pd.DataFrame(np.eye(e)[np.repeat(np.arange(e), n)], columns=traits.columns)
    y = traits.to_numpy().T.ravel()
    found = fe.gxemm.fit(y, Z.iloc[:, 1:], np.tile(K, (e, e)), Z, gtype="free", etype="free", method="he")
    # Moments of an environment do not look at the others: each is what it is alone.
    each = fe.gxemm.fit(traits, None, K, individuals=ids, method="he").h2["estimate"]
    np.testing.assert_allclose(found.h2["estimate"], each, atol=0.02)


def test_mice_from_plink_in_three_ways():
    folder = DATA / "gxe_mice1814"
    if not folder.is_dir():
        pytest.skip(f"no gxe_mice1814 under {DATA}")
    table = pd.read_csv(folder / "phenotypes.tsv.gz", sep="\t", index_col=0)
    table.index = table.index.astype(str)
    given = {"X": (table["GENDER"] == "M").astype(float), "Z": table[["GENDER"]]}
    y = table["Obesity.EndNormalBW"]
    how = {"gtype": "free", "etype": "free"}
    bed = folder / "mice.bed"
    he = fe.gxemm.fit(y, K=bed, method="he", **given, **how)
    rhe = fe.gxemm.fit(y, genotypes=bed, method="rhe", probes=30, **given, **how)
    error = np.sqrt(np.diag(rhe.trait()["monte_carlo_covariance"]))
    assert (np.abs(he.trait()["theta"] - rhe.trait()["theta"]) < 5 * error).all()
    assert rhe.provenance["options"]["markers"] == 10074
