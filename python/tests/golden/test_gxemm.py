"""GxEMM against the reference cases.

Every ``gxemm_<case>.json`` in the folder ``ctmm`` of FERROCYTE_GOLDEN is a case; all parameters come from it. No case
at all is a failure.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest
from common import GOLDEN

import ferrocyte as fe

pytestmark = pytest.mark.filterwarnings("ignore::ferrocyte.errors.FerrocyteWarning")

AREA = GOLDEN / "ctmm"
CASES = sorted(path.stem for path in AREA.glob("gxemm_*.json"))


@functools.cache
def case(name: str) -> dict[str, Any]:
    """The description, with the arrays and the kinship."""
    told = json.loads((AREA / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(AREA / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    if "fam" in arrays:
        arrays["K"] = (arrays["fam"][:, None] == arrays["fam"][None, :]).astype(float)
    else:
        genotypes = arrays["G"].astype(float)
        scaled = (genotypes - genotypes.mean(axis=0)) / genotypes.std(axis=0, ddof=1)
        arrays["K"] = scaled @ scaled.T / genotypes.shape[1]
    told["arrays"] = arrays
    return told


@functools.cache
def fitted(name: str, gtype: str, etype: str, **how: Any) -> fe.gxemm.GxemmResult:
    arrays = case(name)["arrays"]
    return fe.gxemm.fit(
        arrays["y"].astype(float),
        arrays.get("X"),
        arrays["K"],
        arrays.get("Z"),
        gtype=gtype,
        etype=etype,
        progress=False,
        **how,
    )


def near(found: Any, expected: Any, tolerance: float, what: str) -> None:
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=0.0, atol=tolerance, err_msg=what
    )


def near_block(found: Any, expected: Any, relative: float, what: str) -> None:
    """Relative to the largest entry."""
    expected = np.asarray(expected, dtype=float)
    near(found, expected, relative * np.abs(expected).max(), what)


def relatively(found: Any, expected: Any, relative: float, what: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=relative, atol=0.0, err_msg=what)


def check_interior(name: str, model: tuple[str, str], oracle: dict[str, Any], what: str, **how: Any) -> None:
    found = fitted(name, *model, **how)
    one = found.trait()
    assert one["status"] == "ok", f"{what}: {one['status']}"
    assert len(found.variances) == len(oracle["names"]), what
    near(one["log_likelihood"], oracle["l"], 1e-6, f"{what}: l")
    near(one["log_likelihood_full"], oracle["l_2pi"], 1e-6, f"{what}: l with constants")
    near_block(one["theta"], oracle["theta"], 1e-5, f"{what}: variances")
    near_block(one["theta_covariance"], oracle["cov_ai"], 1e-5, f"{what}: covariance")
    near_block(one["beta"], oracle["beta"], 1e-5, f"{what}: fixed effects")
    near_block(one["beta_covariance"], oracle["cov_beta"], 1e-5, f"{what}: covariance of fixed effects")
    near_block(one["h2"], np.atleast_1d(oracle["h2"]), 1e-5, f"{what}: h2")
    near_block(one["h2_covariance"], np.atleast_2d(oracle["h2_cov_ai"]), 1e-5, f"{what}: covariance of h2")
    expected = fitted(name, *model, information="expected", **how).trait()
    near_block(expected["theta"], oracle["theta"], 1e-5, f"{what}: variances")
    near_block(expected["theta_covariance"], oracle["cov_expected"], 1e-5, f"{what}: expected covariance")
    near_block(expected["h2_covariance"], np.atleast_2d(oracle["h2_cov_expected"]), 1e-5, f"{what}: expected, h2")
    check_tests(found, oracle.get("tests") or {}, what)
    peer = oracle["peer_parametrisation"]
    near_block(one["peer"], peer["sig2s"], 1e-5, f"{what}: sig2s")
    near_block(one["projected"], peer["w"], 1e-9, f"{what}: w")
    near_block(one["peer_covariance"], peer["sig2Var"], 1e-5, f"{what}: sig2Var")
    near_block(one["peer_h2"], np.atleast_1d(peer["h2"]), 1e-5, f"{what}: h2 of the peer")
    near_block(one["peer_h2_covariance"], np.atleast_2d(peer["h2Covmat"]), 1e-5, f"{what}: h2Covmat")


def check_tests(found: fe.gxemm.GxemmResult, tests: dict[str, Any], what: str) -> None:
    row, one = found.table.iloc[0], found.trait()
    for key, expected in tests.items():
        if key == "wald_h2":
            ours = [row[f"p[{name}]"] for name in one["h2_names"]]
            expected = np.atleast_1d(expected)
        elif key == "wald_e_1":
            at = next(k for k, name in enumerate(found.variances) if name.startswith("e["))
            ours = fe.gxemm.waldtest(one["theta"][at], one["theta_covariance"][at, at])
        else:
            column = {"wald_h2het": "h2_het", "mvwald_het": "het", "h2_equal": "h2 equal", "mvwald_any": "any"}[key]
            ours = row[f"p[{column}]"]
        relatively(ours, expected, 1e-5, f"{what}: {key}")


def check_peer(name: str, model: tuple[str, str], result: dict[str, Any], what: str, **how: Any) -> None:
    """The numbers that the package printed, where it fitted the same model."""
    peer = (result.get("peer") or {}).get("LMM")
    one = fitted(name, *model, **how).trait()
    if not isinstance(peer, dict) or "error" in peer or len(peer["sig2s"]) != len(one["theta"]):
        return
    if peer["ll"] is None or abs(peer["ll"] - one["log_likelihood_full"]) > 1e-3:
        return
    near(one["peer"], peer["sig2s"], 3e-5, f"{what}: sig2s of the peer")
    near(one["peer_covariance"], peer["sig2Var"], 3e-5, f"{what}: sig2Var of the peer")
    if model != ("hom", "free"):
        near(one["peer_h2"], np.atleast_1d(peer["h2"]), 3e-5, f"{what}: h2 of the peer")
        near(one["peer_h2_covariance"], np.atleast_2d(peer["h2Covmat"]), 3e-5, f"{what}: h2Covmat of the peer")


def check_quantitative(name: str, result: dict[str, Any]) -> None:
    model = (result["gtype"], result["etype"])
    what = f"{name} {'/'.join(model)}"
    oracle = result["oracle"]
    reml = oracle["REML"]
    if reml["interior_optimum"]:
        check_interior(name, model, reml, what)
        check_peer(name, model, result, what)
    else:
        assert fitted(name, *model).trait()["status"] == "boundary", what
    other = (result.get("oracle_peer_noise") or {}).get("REML")
    if other and other["interior_optimum"]:
        check_interior(name, model, other, f"{what}, noise of the peer", last_noise=False)
        check_peer(name, model, result, what, last_noise=False)
    constrained = oracle.get("constrained")
    if constrained and constrained.get("reliable", True):
        for how in (
            ({"variance": "nonnegative"}, {}) if not reml["interior_optimum"] else ({"variance": "nonnegative"},)
        ):
            low = fitted(name, *model, **how).trait()
            near(low["log_likelihood"], constrained["l"], 1e-6, f"{what}: l, not negative")
            near_block(low["theta"], constrained["theta"], 1e-5, f"{what}: variances, not negative")
    for side, noise in ((oracle, True), (result.get("oracle_peer_noise") or {}, False)):
        for key, use_diag, relative in (("use_diag", True, 1e-9), ("off_diagonal", False, 1e-7)):
            expected = side.get("HE", {}).get(key)
            if expected:
                found = fitted(name, *model, method="he", use_diag=use_diag, last_noise=noise).trait()
                near_block(found["theta"], expected["sig2s"], relative, f"{what}: moments, {key}")


def check_binary(name: str, result: dict[str, Any]) -> None:
    model = (result["gtype"], result["etype"])
    what = f"{name} {'/'.join(model)}"
    oracle = result["oracle"]["pcgc"]
    found = fitted(name, *model, method="pcgc", prev=case(name)["prev"])
    one = found.trait()
    assert len(found.variances) == len(oracle["names"]), what
    w = np.asarray(oracle["w"])
    inner = slice(0, len(w) - 1)
    near_block(one["projected"], w, 1e-9, f"{what}: w")
    near_block((one["theta"] * w)[inner], oracle["hers"], 1e-8, f"{what}: shares")
    ours = (one["theta_covariance"] * np.outer(w, w))[inner, inner]
    near_block(ours, oracle["hers_cov"], 1e-8, f"{what}: covariance")
    near_block(one["theta"], oracle["sig2s_peer"], 1e-8, f"{what}: sig2s")
    peer = (result.get("peer") or {}).get("LMM")
    if isinstance(peer, dict) and "error" not in peer:
        near(one["theta"], peer["sig2s"], 2e-6, f"{what}: sig2s of the peer")
        near(one["h2"], np.atleast_1d(peer["h2"]), 5e-5, f"{what}: h2 of the peer")


def results() -> list[Any]:
    out = []
    for name in CASES:
        for result in json.loads((AREA / f"{name}.json").read_text(encoding="utf-8"))["results"]:
            out.append(pytest.param(name, result, id=f"{name}-{result['gtype']}-{result['etype']}"))
    return out


def test_there_are_cases() -> None:
    assert CASES, f"no case in {AREA}"


@pytest.mark.parametrize(("name", "result"), results())
def test_fit(name: str, result: dict[str, Any]) -> None:
    (check_binary if case(name)["binary"] else check_quantitative)(name, result)


@pytest.mark.parametrize("name", [name for name in CASES if case(name).get("lme4")])
def test_families_are_random_intercepts(name: str) -> None:
    expected, one = case(name)["lme4"], fitted(name, "hom", "hom").trait()
    near(one["log_likelihood_full"], expected["loglik"], 1e-6, "log-likelihood of lme4")
    relatively(one["theta"], [expected["var_family"], expected["var_residual"]], 1e-5, "variances of lme4")
    near_block(one["beta"], expected["beta"], 1e-5, "fixed effects of lme4")
