"""Fixtures that the tests share: small studies and their fits."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from common import FORMULA

import ferrocyte as fe
from ferrocyte._examples import small_study

mpl.use("Agg")


@pytest.fixture
def adata():
    return small_study()


@pytest.fixture(scope="session")
def fit():
    return fe.lmm.fit(small_study(), FORMULA)


@pytest.fixture(scope="session")
def grouped():
    return fe.lmm.fit(small_study(), FORMULA, groups="cell_type")
