"""What steps on cells refuse, and in which words; what is refused is left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import same_bits

import ferrocyte as fe
from ferrocyte._examples import small_study

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def cells() -> ad.AnnData:
    return small_study(n_genes=60)


@pytest.fixture
def embedded(cells: ad.AnnData) -> ad.AnnData:
    fe.pp.log_normalize(cells)
    fe.pp.pca(cells, n_comps=8)
    return cells


def spoil(adata: ad.AnnData, value: float) -> ad.AnnData:
    adata.X = adata.X.toarray()
    adata.X[4, 2] = value
    return adata


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize(
    "step",
    [
        lambda adata: fe.pp.calculate_qc_metrics(adata, percent_top=None),
        lambda adata: fe.pp.filter_genes(adata, min_cells=1),
        fe.pp.normalize_total,
        fe.pp.log1p,
        fe.pp.log_normalize,
        lambda adata: fe.pp.highly_variable_genes(adata, flavor="seurat_v3"),
        fe.pp.scrublet,
    ],
)
def test_values_that_are_no_counts_are_counted_and_named(
    cells: ad.AnnData, step: Callable[[ad.AnnData], Any], value: float
) -> None:
    adata = spoil(cells, value)
    before = adata.X.copy()
    with pytest.raises(fe.BadInputError, match=r"1 values are missing, infinite or negative.*in cell"):
        step(adata)
    assert same_bits(adata.X, before)


@pytest.mark.parametrize("step", [fe.pp.scale, fe.pp.pca, fe.pp.highly_variable_genes])
def test_missing_values_are_named(cells: ad.AnnData, step: Callable[[ad.AnnData], Any]) -> None:
    with pytest.raises(fe.BadInputError, match="cell `cell5`, gene `gene3`"):
        step(spoil(cells, np.nan))


def test_cells_of_one_name_are_refused(cells: ad.AnnData) -> None:
    cells.obs_names = ["same", "same", *cells.obs_names[2:]]
    with pytest.raises(fe.BadInputError, match="1 cells have the name of another, the first is `same`"):
        fe.pp.normalize_total(cells)


@pytest.mark.parametrize(
    ("step", "kind", "told"),
    [
        (lambda a: fe.pp.calculate_qc_metrics(a, qc_vars=["mtt"]), fe.MissingKeyError, "no column `mtt`"),
        (lambda a: fe.pp.calculate_qc_metrics(a), fe.BadInputError, "the 100 most abundant genes of 60"),
        (lambda a: fe.pp.highly_variable_genes(a, batch_key="Condition"), fe.MissingKeyError, "`condition`"),
        (lambda a: fe.pp.highly_variable_genes(a, flavor="other"), fe.BadInputError, "no choice `other`"),
        (lambda a: fe.pp.log1p(a, layer="none"), fe.MissingKeyError, "no layer `none`"),
        (lambda a: fe.pp.pca(a, n_comps=60), fe.BadInputError, "59|60"),
        (lambda a: fe.pp.pca(a, mask_var="gone"), fe.MissingKeyError, "no column `gone`"),
        (lambda a: fe.pp.pca(a, max_value=3.0), fe.BadInputError, "scale=False"),
        (lambda a: fe.pp.pca(a, zero_center=False), fe.UnsupportedError, "zero_center: False is not supported"),
        (lambda a: fe.pp.scrublet(a, expected_doublet_rate=2.0), fe.BadInputError, "a share between 0 and 1"),
        (lambda a: fe.pp.scrublet(a, mean_center=False), fe.UnsupportedError, "mean_center: False"),
        (lambda a: fe.pp.scrublet(a, adata_sim=a), fe.UnsupportedError, "adata_sim"),
        (lambda a: fe.pp.scale(a, mask_obs=[True]), fe.UnsupportedError, "mask_obs"),
        (lambda a: fe.pp.scale(a, max_value=0.0), fe.BadInputError, "a number above 0"),
        (lambda a: fe.pp.normalize_total(a, target_sum=-1), fe.BadInputError, "target_sum: a number above 0"),
        (lambda a: fe.pp.normalize_total(a, copy=True, inplace=False), fe.BadInputError, "ask for two things"),
        (lambda a: fe.pp.harmony_integrate(a, "sample"), fe.MissingKeyError, "`X_pca`"),
        (lambda a: fe.pp.neighbors(a, use_rep="X_pcaa"), fe.MissingKeyError, "no `X_pcaa`"),
        (lambda a: fe.pp.neighbors(a, knn=False), fe.UnsupportedError, "knn: False"),
        (lambda a: fe.pp.neighbors(a, metric="hamming", use_rep="X"), fe.UnsupportedError, "no metric `hamming`"),
        (lambda a: fe.pp.neighbors(a, transformer=object()), fe.UnsupportedError, "transformer"),
        (lambda a: fe.pp.neighbors(a, metric_kwds={"p": 3}), fe.UnsupportedError, "metric_kwds"),
        (lambda a: fe.pp.neighbors(a, random_state=None), fe.BadInputError, "random_state: a whole number"),
        (lambda a: fe.pp.pca(a, style="other"), fe.BadInputError, "no dialect `other`"),
        (lambda a: fe.pp.pca(a.X), fe.BadInputError, "expected an AnnData, found csr_matrix"),
    ],
)
def test_bad_arguments_get_their_message(
    cells: ad.AnnData, step: Callable[[ad.AnnData], Any], kind: type[Exception], told: str
) -> None:
    before = cells.X.toarray()
    with pytest.raises(kind, match=told):
        step(cells)
    np.testing.assert_array_equal(cells.X.toarray(), before)


def test_cells_without_batch_are_counted(embedded: ad.AnnData) -> None:
    embedded.obs["batch"] = embedded.obs["condition"].astype(object)
    embedded.obs.loc[embedded.obs_names[:3], "batch"] = None
    for step in (
        lambda: fe.pp.harmony_integrate(embedded, "batch"),
        lambda: fe.pp.highly_variable_genes(embedded, batch_key="batch"),
        lambda: fe.pp.scrublet(embedded, batch_key="batch"),
    ):
        with pytest.raises(fe.BadInputError, match="3 of 240 cells have no batch"):
            step()


def test_coordinates_are_checked(embedded: ad.AnnData) -> None:
    embedded.obsm["X_pca"][2:4, 1] = np.nan
    for step in (
        lambda: fe.pp.neighbors(embedded, use_rep="X_pca"),
        lambda: fe.pp.harmony_integrate(embedded, "condition"),
    ):
        with pytest.raises(fe.BadInputError, match="2 of 240 cells have missing or infinite coordinates"):
            step()
    with pytest.raises(fe.BadInputError, match="20 components are asked for, there are 8"):
        fe.pp.neighbors(embedded, n_pcs=20)


def test_more_neighbours_than_cells_are_lowered(embedded: ad.AnnData) -> None:
    with pytest.warns(fe.FerrocyteWarning, match="neighbours were asked for"):
        fe.pp.neighbors(embedded, n_neighbors=500)
    assert embedded.uns["neighbors"]["params"]["n_neighbors"] == 121


def test_tables_of_coordinates_are_read_and_of_another_order_refused(embedded: ad.AnnData) -> None:
    names = embedded.obs_names
    embedded.obsm["table"] = pd.DataFrame(embedded.obsm["X_pca"], index=names)
    fe.pp.neighbors(embedded, use_rep="table", key_added="table")
    fe.pp.neighbors(embedded, use_rep="X_pca")
    assert same_bits(embedded.obsp["table_connectivities"].data, embedded.obsp["connectivities"].data)
    embedded.obsm["table"].index = [names[1], names[0], *names[2:]]
    with pytest.raises(ValueError, match="does not match"):
        fe.pp.neighbors(embedded, use_rep="table")
