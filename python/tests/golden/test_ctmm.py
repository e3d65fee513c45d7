"""CTMM against the reference cases.

Every ``ctmm_<case>.json`` in the folder ``ctmm`` of FERROCYTE_GOLDEN is a case; all parameters come from it. No case at
all is a failure.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest
from common import GOLDEN

import ferrocyte as fe
from ferrocyte import _core

pytestmark = pytest.mark.filterwarnings("ignore::ferrocyte.errors.FerrocyteWarning")

AREA = GOLDEN / "ctmm"
OTHER = {"ctmm_preprocess", "ctmm_tests"}
CASES = sorted(path.stem for path in AREA.glob("ctmm_*.json") if path.stem not in OTHER)
HE_RELATIVE, HE_ABSOLUTE = 1e-9, 1e-12


@functools.cache
def case(name: str) -> dict[str, Any]:
    """The description, the arrays, and the results by gene, option and so on."""
    told = json.loads((AREA / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(AREA / f"{name}.npz") as file:
        told["arrays"] = {key: file[key] for key in file.files}
    arrays = told["arrays"]
    if "mask" in arrays:
        hidden = ~arrays["mask"].astype(bool)
        for key in ("Y", "ctnu"):
            arrays[key] = np.where(hidden, np.nan, arrays[key])
    return told


@functools.cache
def fitted(name: str, kind: str, option: str, model: str, method: str, jackknife: Any, mean_test: str, variance: str):
    told = case(name)
    arrays = told["arrays"]
    chosen = next(o for o in told["options"] if o["id"] == option)
    y, noise = (arrays["Y"], arrays["ctnu"]) if kind == "ctp" else (arrays["y_op"], arrays["nu_op"])
    return fe.ctmm.fit(
        y,
        noise,
        arrays.get("P"),
        level=kind,
        model=model,
        method=method.lower(),
        fixed={key: arrays[f"fixed__{key}"] for key in chosen["fixed"]},
        random={key: arrays[f"random__{key}"] for key in chosen["random"]},
        jackknife=jackknife,
        mean_test=mean_test,
        variance=variance,
        progress=False,
    )


def near(found: Any, expected: Any, rel: float, absolute: float, what: str) -> None:
    expected = np.asarray(expected, dtype=float)
    np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=rel, atol=absolute, err_msg=what)


def near_block(found: Any, expected: Any, rel: float, what: str) -> None:
    """Relative to the largest entry."""
    expected = np.asarray(expected, dtype=float)
    near(found, expected, 0.0, rel * np.abs(expected).max() + HE_ABSOLUTE, what)


def he(found: Any, expected: Any, what: str) -> None:
    near_block(found, expected, HE_RELATIVE, what)


def p_value(found: float, expected: float | None, rel: float, what: str) -> None:
    """To ``rel`` of itself; where it is so small that the tolerance is absolute, to ``rel`` of its logarithm."""
    if expected is None:
        return
    if 0 < expected < HE_ABSOLUTE:
        near(np.log(found), np.log(expected), rel, 0.0, what)
    else:
        near(found, expected, rel, 1e-300, what)


def check_he(name: str, result: dict[str, Any]) -> None:
    gene, model, kind, jk = result["gene"], result["model"], result["kind"], result["jackknife"]
    keys = (name, kind, result["option"], model, "HE", jk)
    plain = fitted(*keys, "ols", "unconstrained")
    weighted = fitted(*keys, "gls_jackknife", "unconstrained")
    for side in ("oracle", "peer"):
        expected = result.get(side)
        if expected is None or "error" in expected:
            continue
        what = f"{name} {result['kind']} {result['option']} {model} gene {gene} against {side}"
        if "hom2" in expected and model != "full":
            he(plain.hom2[gene], expected["hom2"], f"{what}: hom2")
        if "V" in expected and model != "hom":
            he(plain.V[gene], expected["V"], f"{what}: V")
        for key, value in (expected.get("r2") or {}).items():
            he(plain.table[f"r2[{key}]"][gene], value, f"{what}: r2")
    oracle = result["oracle"]
    what = f"{name} {kind} {result['option']} {model} gene {gene}"
    if any(value is None for value in oracle["beta_gls"]):
        # The covariance cannot be inverted: means are those of ordinary least squares, and the gene says so.
        assert weighted.table["status"][gene] == "singular", what
        he(weighted.beta[gene], oracle["beta_ols"], f"{what}: means")
        oracle = oracle | {"Vy_min_eig": -1.0}
    else:
        he(weighted.beta[gene], oracle["beta_gls"], f"{what}: weighted means")
    if kind == "ctp" and model == "free":
        he(plain.beta[gene], oracle["beta_ols"], f"{what}: means")
    if kind == "ctp":
        p_value(plain.table["p[mean]"][gene], oracle["p_ct_beta_ols"], 1e-9, f"{what}: p of means")
    assert (plain.table["status"][gene] == "singular") == (oracle["Vy_min_eig"] < 0), what
    if jk and "jackknife" in oracle:
        expected = oracle["jackknife"]
        he(plain.theta_covariance[gene], expected["cov"], f"{what}: covariance")
        assert plain.table["df"][gene] == expected["df"]
        ours = {"hom2": "p[hom2]", "V": "p[V]"}
        for key, value in expected["p"].items():
            if key in ours:
                p_value(plain.table[ours[key]][gene], value, 1e-9, f"{what}: p of {key}")
        again = fitted(*keys, "ols_jackknife", "unconstrained")
        p_value(weighted.table["p[mean]"][gene], expected["p"].get("ct_beta_gls"), 1e-9, f"{what}: weighted means")
        p_value(again.table["p[mean]"][gene], expected["p"].get("ct_beta_ols"), 1e-9, f"{what}: means, jackknife")
    check_shares(plain if kind == "ctp" else weighted, result, what)


def check_shares(found: fe.ctmm.CtmmResult, result: dict[str, Any], what: str) -> None:
    peer = result.get("peer") or {}
    if "error" in peer or "ct_random_var" not in peer or result["method"] != "HE":
        return
    ours = found.peer(int(result["gene"]))
    if result["model"] != "hom":
        he(ours["ct_random_var"], peer["ct_random_var"], f"{what}: share of V")
        he(ours["ct_specific_random_var"], peer["ct_specific_random_var"], f"{what}: shares of cell types")
    for key, value in peer["randomeffect_vars"].items():
        he(ours["randomeffect_vars"][key], value, f"{what}: share of {key}")
    for key, value in peer["fixedeffect_vars"].items():
        near(ours["fixedeffect_vars"][key], value, 1e-9, 1e-12, f"{what}: share of {key}")


def check_likelihood(name: str, result: dict[str, Any]) -> None:
    gene, model, kind = result["gene"], result["model"], result["kind"]
    keys = (name, kind, result["option"], model, result["method"])
    what = f"{name} {kind} {result['option']} {model} {result['method']} gene {gene}"
    if result["jackknife"]:
        check_refits(name, result, what)
        return
    constrained = result.get("constrained")
    if constrained and constrained.get("reliable"):
        low = fitted(*keys, False, "ols", "nonnegative")
        near(low.log_likelihood[gene], constrained["l"], 0.0, 1e-7, f"{what}: l, not negative")
        near_block(low.theta[gene], constrained["theta"], 1e-5, f"{what}: variances, not negative")
    if result["check"] == "informational":
        return
    found = fitted(*keys, False, "ols", "unconstrained")
    row = found.table.iloc[gene]
    assert row["status"] == "ok", f"{what}: {row['status']}"
    distance = [abs(optimum["l"] - row["log_likelihood"]) for optimum in result["optima"]]
    best = result["optima"][int(np.argmin(distance))]
    near(row["log_likelihood"], best["l"], 0.0, 1e-7, f"{what}: l")
    near_block(found.theta[gene], best["theta"], 1e-5, f"{what}: variances")
    oracle = result["oracle"]
    if abs(oracle["l"] - row["log_likelihood"]) < 1e-6:
        near(found.beta[gene], oracle["beta"], 1e-6, 1e-6 * np.abs(oracle["beta"]).max(), f"{what}: means")
        near_block(found.theta_covariance[gene], oracle["cov_theta"], 1e-5, f"{what}: covariance")
        near_block(found.beta_covariance[gene], oracle["cov_beta"], 1e-5, f"{what}: covariance of means")
        ours = {"hom2": "p[hom2]", "V": "p[V]", "ct_beta": "p[mean]"}
        for key, value in (oracle.get("p") or {}).items():
            if key in ours:
                p_value(row[ours[key]], value, 1e-4, f"{what}: p of {key}")
    if result["check"] == "optimum" and result.get("peer_l_without_2pi") is not None:
        assert row["log_likelihood"] >= result["peer_l_without_2pi"] - 1e-6, what
        for key, value in (result["peer"].get("p") or {}).items():
            if key in {"hom2": 1, "V": 1, "ct_beta": 1} and model != "full":
                p_value(row[{"hom2": "p[hom2]", "V": "p[V]", "ct_beta": "p[mean]"}[key]], value, 0.05, f"{what}: {key}")


def check_refits(name: str, result: dict[str, Any], what: str) -> None:
    gene = result["gene"]
    found = fitted(
        name, result["kind"], result["option"], result["model"], result["method"], True, "ols", "unconstrained"
    )
    oracle, row = result["oracle"], found.table.iloc[gene]
    near_block(found.theta[gene], oracle["theta"], 1e-5, f"{what}: variances")
    assert found.bad_refits[gene] == oracle["bad_refits"], what
    assert row["df"] == oracle["df"], what
    ours = {"hom2": "p[hom2]", "V": "p[V]", "ct_beta": "p[mean]"}
    for key, column in ours.items():
        p_value(row[column], oracle["p"].get(key), 1e-4, f"{what}: p of {key}")
        p_value(row[column], result["peer"]["p"].get(key), 0.05, f"{what}: p of {key} against the peer")
    near_block(found.theta_covariance[gene], oracle["cov"], 1e-4, f"{what}: covariance")


def results() -> list[Any]:
    """One test for each case, level, option, model, method and jackknife."""
    out = []
    for name in CASES:
        seen: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for result in json.loads((AREA / f"{name}.json").read_text(encoding="utf-8"))["results"]:
            keys = ("kind", "option", "model", "method", "jackknife")
            seen.setdefault(tuple(result[key] for key in keys), []).append(result)
        for key, group in seen.items():
            words = "-".join(["jackknife" if k is True else "" if k is False else str(k) for k in key]).strip("-")
            id_ = f"{name}-{words}"
            out.append(pytest.param(name, group, id=id_))
    return out


def test_there_are_cases() -> None:
    assert CASES, f"no case in {AREA}"


@pytest.mark.parametrize(("name", "group"), results())
def test_fit(name: str, group: list[dict[str, Any]]) -> None:
    for result in group:
        (check_he if result["method"] == "HE" else check_likelihood)(name, result)


# Preparation


@functools.cache
def preparation() -> dict[str, Any]:
    return json.loads((AREA / "ctmm_preprocess.json").read_text(encoding="utf-8"))


def table(told: dict[str, Any]) -> tuple[list[Any], list[str], np.ndarray[Any, Any]]:
    values = np.array([[np.nan if x is None else x for x in row] for row in told["values"]], dtype=float)
    index = [tuple(name) if isinstance(name, list) else name for name in told["index"]]
    return index, told["columns"], values


@functools.cache
def prepared(ind_cut: int, ct_cut: int) -> fe.ctmm.Pseudobulk:
    return fe.ctmm.prepare(
        AREA / "ctmm_cells.h5ad",
        "ind",
        "ct",
        min_cells_individual=ind_cut,
        min_cells_pair=ct_cut,
        noise="sample",
        progress=False,
    )


def pairs(made: fe.ctmm.Pseudobulk, values: Any, index: list[Any], genes: list[str]) -> np.ndarray[Any, Any]:
    at = {name: k for k, name in enumerate(made.genes)}
    rows = [(made.individuals.index(i), made.cell_types.index(c)) for i, c in index]
    return np.array([[values[at[g], i, c] for g in genes] for i, c in rows])


@pytest.mark.parametrize("told", [t for t in preparation()["pseudobulk"] if t["route"] == "sparse"],
                         ids=lambda t: f"{t['ind_cut']}-{t['ct_cut']}")  # fmt: skip
def test_pseudobulk(told: dict[str, Any]) -> None:
    made = prepared(told["ind_cut"], told["ct_cut"])
    for key, ours in (("P", made.P), ("cell_counts", made.counts)):
        index, columns, values = table(told[key])
        # The counts of the reference have the individuals that are left out, too.
        kept = [k for k, name in enumerate(index) if name in made.individuals]
        assert [index[k] for k in kept] == made.individuals
        assert key == "cell_counts" or len(kept) == len(index)
        assert columns == made.cell_types
        near(ours, values[kept], 0.0, 1e-10, key)
    for key, ours in (("ctp", made.ctp), ("ctnu", made.ctnu)):
        index, genes, values = table(told[key])
        single = [k for k, (i, c) in enumerate(index)
                  if made.counts[made.individuals.index(i), made.cell_types.index(c)] < 2]  # fmt: skip
        kept = [k for k in range(len(index)) if k not in single]
        found = pairs(made, ours, index, genes)
        near(found[kept], values[kept], 1e-10, 1e-12, key)
        assert np.isnan(found[single]).all(), "a pair of one cell has no variance and is missing"
        seen = int((~np.isnan(ours).all(axis=0)).sum())
        assert seen == len(kept), key


def complete() -> fe.ctmm.Pseudobulk:
    told = preparation()["std_complete"]
    made = prepared(30, 5)
    return made.subset(cell_types=told["P"]["columns"], complete=True, renormalize=True)


@pytest.mark.parametrize("which", ["std_complete", "std_negative"])
def test_standardisation(which: str) -> None:
    told, made = preparation()[which], complete()
    genes = told["ctp"]["columns"]
    index, _, _ = table(told["ctp"])
    for row, gene, value in told.get("set_negative", []):
        i, c = index[row]
        place = made.genes.index(gene) if isinstance(gene, str) else made.genes.index(genes[int(gene)])
        made.ctnu[place, made.individuals.index(i), made.cell_types.index(c)] = value
    got = _core.ctmm_standardize(made.handed())
    shape = made.ctp.shape
    at = [made.genes.index(g) for g in genes]
    for key, values in (("ctp", got["values"]), ("ctnu_ctp", got["noise"]), ("ctnu_op", got["noise_for_op"])):
        rows, columns, expected = table(told[key])
        near(pairs(made, values.reshape(shape), rows, columns), expected, 1e-10, 1e-12, key)
    for key, values in (("op", got["op"]), ("nu_op", got["op_noise"]), ("nu_ctp", got["overall_noise"])):
        rows, _, expected = table(told[key])
        assert rows == made.individuals
        near(values[at].T, expected, 1e-10, 1e-12, key)


def test_imputation() -> None:
    told = preparation()["mvn"]
    made = prepared(0, 1)
    index, genes, _ = table(told["ctp"])
    whole = sorted({i for i, _ in index})
    for cuts in ((0, 1), (30, 5), (0, 0)):
        if prepared(*cuts).individuals == whole:
            made = prepared(*cuts)
            break
    filled = made.subset(genes=genes).impute("mvn")
    for key, ours in (("ctp", filled.ctp), ("ctnu", filled.ctnu)):
        rows, columns, expected = table(told[key])
        near(pairs(filled, ours, rows, columns), expected, 1e-8, 1e-10, key)


# Tests


@pytest.mark.parametrize("told", json.loads((AREA / "ctmm_tests.json").read_text(encoding="utf-8")),
                         ids=lambda t: t["test"])  # fmt: skip
def test_tails(told: dict[str, Any]) -> None:
    if told["test"] == "t one-sided":
        ln_p = _core.ctmm_ln_upper_t(told["est"], told["var"], told["df"])
    elif told["test"] == "F":
        ln_p = _core.ctmm_ln_f(told["est"], np.array(told["cov"]), told["df2"])
    elif told["test"] == "LRT":
        both = [np.array([told[key]], dtype=float) for key in ("l", "l0")]
        ln_p = _core.ctmm_ln_likelihood_ratio(*both, told["df"])[0]
    else:
        assert told["test"] == "ct_beta", f"unknown test {told['test']}"
        ln_p = _core.ctmm_ln_equal_means(told["beta"], np.array(told["cov"]), told["n"] - told["n_par"])
    near(ln_p, told["log_p"], 1e-10, 1e-12, told["test"])
    near(np.exp(ln_p), told["p"], 1e-10, 1e-320, told["test"])
