"""Weights of samples and correlations within blocks."""

from __future__ import annotations

import numpy as np
import pytest

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def noisy():
    """300 genes x 12 samples, of which sample 4 has three times the standard deviation."""
    y = np.random.default_rng(0).normal(size=(300, 12))
    y[:, 4] *= 3
    return y


@pytest.mark.parametrize("method", ["reml", "genebygene", "auto"])
def test_bad_sample_weighs_little(noisy, method):
    weights = limma.array_weights(noisy, method=method)
    assert weights.argmin() == 4
    np.testing.assert_allclose(np.exp(np.log(weights).mean()), 1)


def test_quick_weights_agree(noisy):
    quick = limma.array_weights_quick(noisy, limma.lm_fit(noisy))
    assert quick.argmin() == 4


def test_groups_share_a_weight(noisy):
    weights = limma.array_weights(noisy, var_group=list("aaaabbbbcccc"))
    assert len(set(weights[:4].round(12))) == 1
    assert weights[4] < weights[0]


def test_negative_weights_are_named(noisy):
    w = np.ones_like(noisy)
    w[2, 3] = -1
    with pytest.raises(fe.errors.BadInputError, match="gene 3, sample 4 is -1"):
        limma.array_weights(noisy, weights=w)


def test_order_of_genes_does_not_matter_for_correlations(noisy):
    block = np.repeat(np.arange(4), 3)
    found = limma.duplicate_correlation(noisy, block=block)
    turned = limma.duplicate_correlation(noisy[::-1].copy(), block=block)
    assert found.cor == turned.cor
    np.testing.assert_array_equal(found.atanh_correlations, turned.atanh_correlations[::-1])


def test_blocks_in_the_design_give_zero(noisy):
    block = np.repeat(np.arange(4), 3)
    with pytest.warns(fe.errors.FerrocyteWarning, match="already holds the blocks"):
        found = limma.duplicate_correlation(noisy, np.eye(4)[block], block=block)
    assert found.cor == 0
