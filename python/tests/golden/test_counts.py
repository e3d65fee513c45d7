"""The reference cases of the area `counts` by its compare.py: whatever cases are there, at least one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common import GOLDEN

AREA = GOLDEN / "counts"
CASES = sorted(path.parent.name for path in AREA.glob("cases/*/case.json"))
LINEAR = [case for case in CASES if not (AREA / "cases" / case / "cells.tsv.gz").exists()]
RUNNER = Path(__file__).parent / "run_counts.py"


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    out = tmp_path_factory.mktemp("counts")
    subprocess.run([sys.executable, RUNNER, AREA, out], check=True)
    return out


def test_there_are_cases():
    assert CASES, f"no case under {AREA}"


@pytest.mark.parametrize("case", CASES)
def test_case(case, answers):
    checked = subprocess.run(
        [sys.executable, AREA / "compare.py", AREA, answers, case], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("case", LINEAR)
def test_priors(case, answers):
    """What compare.py does not look at: the covariate, the posterior means and the residual prior."""
    theirs = pd.read_csv(AREA / "cases" / case / "truth_moderated.tsv", sep="\t", float_precision="round_trip")
    ours = pd.read_csv(answers / "cases" / case / "truth_moderated.tsv", sep="\t", float_precision="round_trip")
    assert list(ours.columns) == list(theirs.columns)
    np.testing.assert_array_equal(ours["gene"], theirs["gene"])
    for column in ("trend", "s0_prior", "log_gamma"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-5, err_msg=column)
