"""Single factorisations of the reference, `single_*` below `cnmf`: factors after every iteration that is listed."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from common import GOLDEN
from scipy import sparse

from ferrocyte.nmf import NMF

CNMF = GOLDEN / "cnmf"
INDEX = json.loads((CNMF / "single_index.json").read_text()) if (CNMF / "single_index.json").exists() else {"cases": {}}
CASES: dict[str, dict[str, Any]] = INDEX["cases"]


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file."""
    with np.load(CNMF / f"single_{name}.npz") as file:
        return {key: file[key] for key in file.files}


def problem(about: dict[str, Any]) -> tuple[Any, np.ndarray, np.ndarray]:
    """The matrix and the start that a case describes in words."""
    words = about["input"]
    if "rank1" in words:
        arrays = load("rank1_inputs")
        return arrays["X"], arrays["W0"], arrays["H0"]
    arrays = load("inputs")
    w, h = arrays["W0"], arrays["H0"].copy()
    if words.startswith("dense"):
        x = arrays["dense"].copy()
    else:
        parts = tuple(arrays[f"sparse_{part}"] for part in ("data", "indices", "indptr"))
        x = sparse.csr_matrix(parts, shape=arrays["dense"].shape).toarray()
    if "row 3 and column 4 set to zero" in words:
        x[3], x[:, 4] = 0, 0
    if "column 6 := column 5" in words:
        x[:, 6] = x[:, 5]
    if "row 1 of H0 set to zero" in words:
        h[1] = 0
    x = x.astype(about.get("dtype") or "float64")
    return (x if words.startswith("dense") else sparse.csr_matrix(x)), w, h


def model(about: dict[str, Any], **changed: Any) -> NMF:
    """The estimator that a case asks for."""
    arguments = {name: value for name, value in about["args"].items() if name not in ("update_H", "random_state")}
    return NMF(**{"init": "custom", **arguments, **changed})


def near(name: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> int:
    """Hold the largest difference against the largest size; says how many values were compared."""
    assert found.shape == expected.shape, name
    off, largest = np.abs(found - expected).max(), np.abs(expected).max()
    assert off <= tolerance * largest, f"{name}: {off} of {largest}"
    return expected.size


def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("name", CASES)
def test_a_factorisation_is_that_of_the_reference(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    about, expected = CASES[name], load(name)
    x, w, h = problem(about)
    single = about.get("dtype") == "float32"
    tolerance, off_by = (1e-4, 1) if single else (1e-10, 0)
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "H_fixed" in about:
            spectra = load("cd_sparse")["H"] + (0.001 if "plus 0.001" in about["H_fixed"] else 0.0)
            fixed = model(about, max_iter=1).fit(x, W=w, H=spectra)
            fixed.components_, fixed.max_iter = spectra, about["args"]["max_iter"]
            compared += near("W", fixed.transform(x), expected["W"], tolerance)
        else:
            found = model(about)
            usages = found.fit_transform(x, W=w, H=h)
            assert abs(found.n_iter_ - about["n_iter"]) <= off_by
            compared += near("W", usages, expected["W"], tolerance)
            compared += near("H", found.components_, expected["H"], tolerance)
            loss, squares = (
                found.reconstruction_err_**2 / 2,
                float((x.multiply(x) if sparse.issparse(x) else x * x).sum()),
            )
            assert abs(loss - about["objective"]) <= tolerance * max(squares, about["objective"])
            for key, values in expected.items():
                if key.startswith(("W_iter", "H_iter")):
                    early = model(about, tol=0.0, max_iter=int(key[6:]))
                    usages = early.fit_transform(x, W=w, H=h)
                    compared += near(key, usages if key[0] == "W" else early.components_, values, tolerance)
    with capsys.disabled():
        print(f" {compared} values", end="")
