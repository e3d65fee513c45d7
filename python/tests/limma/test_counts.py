"""Counts before a fit: factors, counts per million, filters, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    level = np.exp(rng.uniform(0, 6, size=(300, 1)))
    values = rng.poisson(level * rng.gamma(5, 0.2, size=(300, 6)) * np.linspace(0.5, 2, 6))
    return pd.DataFrame(values, index=[f"g{i}" for i in range(300)], columns=list("abcdef"))


def test_every_holder_of_counts_gives_the_same(counts: pd.DataFrame) -> None:
    anndata = pytest.importorskip("anndata")
    adata = anndata.AnnData(
        counts.T.to_numpy(dtype=float), obs=pd.DataFrame(index=counts.columns), var=pd.DataFrame(index=counts.index)
    )
    expected = limma.calc_norm_factors(counts)
    assert np.array_equal(expected, limma.calc_norm_factors(counts.to_numpy()))
    assert np.array_equal(expected, limma.calc_norm_factors(adata))
    held = limma.norm_lib_sizes(limma.DGEList(counts))
    assert np.array_equal(held.norm_factors, expected)
    assert np.prod(expected) == pytest.approx(1)
    assert np.array_equal(limma.filter_by_expr(counts), limma.filter_by_expr(adata))
    assert limma.cpm(adata).equals(limma.cpm(counts).astype(float))
    assert isinstance(limma.cpm(counts.to_numpy()), np.ndarray)


def test_factors_of_a_list_are_used(counts: pd.DataFrame) -> None:
    held = limma.calc_norm_factors(limma.DGEList(counts), method="RLE")
    with_factors = limma.cpm(held)
    assert np.allclose(with_factors, counts / held.effective_lib_size * 1e6, rtol=1e-12)
    assert np.allclose(limma.cpm(held, normalized_lib_sizes=False), counts / counts.sum() * 1e6, rtol=1e-12)
    lengths = np.linspace(500, 3000, 300)
    assert np.allclose(limma.rpkm(counts, lengths), limma.cpm(counts) / (lengths[:, None] / 1000), rtol=1e-12)


def test_groups_and_designs_filter_alike(counts: pd.DataFrame) -> None:
    group = ["x", "x", "x", "y", "y", "y"]
    design = np.array([[1, 0]] * 3 + [[0, 1]] * 3)
    by_group = limma.filter_by_expr(counts, group=group)
    assert np.array_equal(by_group, limma.filter_by_expr(counts, design))
    assert np.array_equal(by_group, limma.filter_by_expr(limma.DGEList(counts, group=group)))
    assert 0 < limma.filter_by_expr(counts).sum() <= by_group.sum()


def test_a_reference_has_a_name(counts: pd.DataFrame) -> None:
    by_name = limma.calc_norm_factors(counts, ref_column="d")
    assert np.array_equal(by_name, limma.calc_norm_factors(counts, ref_column=3))
    with pytest.raises(fe.BadInputError, match="`z`"):
        limma.calc_norm_factors(counts, ref_column="z")


def test_what_is_no_count_is_named(counts: pd.DataFrame) -> None:
    negative = counts.astype(float)
    negative.iloc[4, 2] = -1
    for verb in (limma.calc_norm_factors, limma.cpm, limma.filter_by_expr, limma.voom):
        with pytest.raises(fe.BadInputError, match=r"gene `g4` has -1 in sample `c`"):
            verb(negative)
    missing = counts.astype(float)
    missing.iloc[7, 0] = np.nan
    with pytest.raises(fe.BadInputError, match=r"gene `g7` has NaN in sample `a`"):
        limma.cpm(missing)


def test_a_sample_without_counts_is_named(counts: pd.DataFrame) -> None:
    counts["c"] = 0
    for verb in (limma.calc_norm_factors, limma.cpm, limma.filter_by_expr, limma.voom, limma.voom_lm_fit):
        with pytest.raises(fe.BadInputError, match=r"sample `c` has library size 0"):
            verb(counts)
    dropped = limma.calc_norm_factors(counts, zero_lib="drop")
    assert np.isnan(dropped[2])
    assert np.array_equal(np.delete(dropped, 2), limma.calc_norm_factors(counts.drop(columns="c")))
    assert np.isfinite(limma.calc_norm_factors(counts, method="none", zero_lib="keep")).all()
    with pytest.raises(fe.BadInputError, match="zero_lib"):
        limma.calc_norm_factors(counts, zero_lib="ignore")


def test_threads_do_not_matter(counts: pd.DataFrame) -> None:
    for method in ("TMM", "TMMwsp", "RLE", "upperquartile"):
        one = limma.calc_norm_factors(counts, method=method, n_threads=1)
        assert np.array_equal(one, limma.calc_norm_factors(counts, method=method, n_threads=3))
