"""Ecotypes against the reference cases.

Every folder below ``ecotype`` in FERROCYTE_GOLDEN is a case: its ``case.json`` names function, parameters and files,
and ``RUN`` has a test for every function. A function without one is a failure, and so is no case at all.
"""

from __future__ import annotations

import functools
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from common import GOLDEN

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte.ecotype._scores import compat_start

if TYPE_CHECKING:
    from collections.abc import Callable

# Cases are made to be warned of.
pytestmark = pytest.mark.filterwarnings("ignore::ferrocyte.errors.FerrocyteWarning")

AREA = GOLDEN / "ecotype"
CASES = sorted(path.parent for path in AREA.glob("*/case.json"))
E = fe.ecotype


class Case:
    """One case: its description, and its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.json = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        self.params = self.json["params"]
        self.inputs = self.json["inputs"]
        self.outputs = self.json["outputs"]

    def path(self, entry: str) -> Path:
        """A file name ends at the first blank."""
        return self.folder / entry.split(" ")[0]

    def table(self, entry: str, index: int | None = 0) -> pd.DataFrame:
        return read(self.path(entry), index)

    def matching(self, entry: str) -> dict[str, Path]:
        """The files that match a name with ``<something>`` in it, by what stands there."""
        pattern = self.path(entry)
        before, after = re.split("<[^>]*>", pattern.name)
        found = {p.name[len(before) : len(p.name) - len(after)]: p for p in pattern.parent.glob(f"{before}*{after}")}
        assert found, pattern
        return dict(sorted(found.items()))

    def data(self, entry: str) -> Any:
        return json.loads(self.path(entry).read_text(encoding="utf-8"))

    def cells(
        self, samples: Any = None, counts: str = "counts", meta: str = "meta"
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Expression (genes x cells) and columns of cells: normalised, of the samples named."""
        values = self.table(self.inputs.get(counts) or self.inputs["x"])
        columns = self.table(self.inputs[meta])
        wanted = samples if samples is not None else self.inputs.get("use_samples")
        if wanted is not None:
            columns = columns[columns["Sample"].isin([wanted] if isinstance(wanted, str) else wanted)]
        values = values[columns.index]
        return normalised(values, self.inputs.get("normalise", "")), columns


@functools.cache
def read(path: Path, index: int | None = 0) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", index_col=index, float_precision="round_trip")


def normalised(values: pd.DataFrame, rule: str) -> pd.DataFrame:
    if rule.startswith("log1p"):
        return np.log1p(values / values.sum(axis=0) * 10000)
    factor = re.match(r"counts \* (\d+)", rule)
    return values * float(factor[1]) if factor else values


def near(found: Any, expected: Any, rel: float = 0.0, absolute: float = 0.0, what: str = "") -> None:
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=rel, atol=absolute, err_msg=what
    )


def same(found: pd.DataFrame, expected: pd.DataFrame, rel: float, absolute: float = 0.0, what: str = "") -> None:
    """Tables, compared by name."""
    assert sorted(map(str, found.index)) == sorted(map(str, expected.index)), what
    assert sorted(map(str, found.columns)) == sorted(map(str, expected.columns)), what
    near(found.loc[expected.index, expected.columns], expected, rel, absolute, what)


def count(value: Any) -> float:
    return math.inf if value == "Inf" else float(value)


# The words of the cases and ours.
WORDS = {
    "CellType": "cell_type",
    "SE": "label",
    "Sample": "sample",
    "nfeature.per.se": "nfeature_per_se",
    "balance.sample": "balance_sample",
    "min.cells": "min_cells",
    "min.score": "min_score",
    "ncell.per.run": "cells_per_run",
    "nsample.per.run": "samples_per_run",
    "sum2one": "sum_to_one",
}
TRAINING = ("cell_type", "label", "sample", "scale", "balance_sample", "nfeature", "nfeature_per_se", "min_cells",
            "downsample", "seed")  # fmt: skip


def words(params: dict[str, Any], of: tuple[str, ...]) -> dict[str, Any]:
    named = {WORDS.get(name, name): value for name, value in params.items()}
    if "nfeature_per_se" in named:
        named["nfeature_per_se"] = count(named["nfeature_per_se"])
    return {name: value for name, value in named.items() if name in of}


def same_model(found: pd.DataFrame, expected: pd.DataFrame, what: str) -> None:
    """The same weights, and the same order of rows, unless their sums tie."""
    assert list(found.columns) == list(expected.columns), what
    same(found, expected, 1e-10, 1e-13, what)
    sums = expected.loc[found.index].sum(axis=1).to_numpy()
    assert (sums[1:] <= sums[:-1] * (1 + 1e-12)).all(), what


def same_models(case: Case, found: Any, files: dict[str, Any]) -> None:
    expected = {name: file for name, file in files.items() if file is not None}
    assert sorted(found) == sorted(expected)
    for name, file in expected.items():
        same_model(found[name], case.table(file), name)


def check_rng(case: Case) -> None:
    for stream in case.data(case.outputs["streams"]):
        for name, expected in stream.items():
            draws = _core.RStream(stream["seed"])
            kind, *numbers = name.split("_")
            sizes = [int(n) for n in numbers if n.isdigit()]
            if name == "seed":
                continue
            if kind == "runif":
                near(draws.uniform(len(expected)), [float(x) for x in expected])
            elif kind == "rnorm":
                near(draws.normal(len(expected)), [float(x) for x in expected], absolute=1e-15)
            elif kind in ("sample", "perm"):
                replace = numbers[0] == "replace"
                assert [i + 1 for i in draws.sample(sizes[0], sizes[-1], replace=replace)] == expected, name
            elif kind == "two":
                assert [i + 1 for i in draws.sample(50, 3)] == expected[0]
                near(draws.uniform(2), [float(x) for x in expected[1]])
                assert [i + 1 for i in draws.sample(6280, 2)] == expected[2]
            else:
                pytest.fail(f"no stream {name}")


def check_scale(case: Case) -> None:
    x = case.table(case.inputs["x"])
    groups = case.table(case.inputs["groups"]).iloc[:, 0]
    for output in ("z", "z_sparse_path"):
        same(E.scale(x), case.table(case.outputs[output]), 1e-12, 1e-13, output)
    same(E.scale(x, groups.loc[x.columns]), case.table(case.outputs["z_grouped"]), 1e-12, 1e-13)


def check_train(case: Case) -> None:
    values, meta = case.cells()
    found = E.train(values, meta, mode="compat", **{"sample": "Sample", **words(case.params, TRAINING)})
    assert list(found) == case.outputs["types_in_order"]
    same_models(case, found, case.outputs["W"])
    if "intermediate" in case.outputs:
        for name, basis in case.data(case.outputs["intermediate"]).items():
            assert found.bases[name]["genes"] == basis["features_in_order"]
            assert found.bases[name]["cells"] == basis["cells_in_order"]


def check_aggregate(case: Case) -> None:
    values, meta = case.cells()
    how = {
        "seeds": case.params["seeds"],
        "delta_threshold": case.params["delta.threshold"],
        "min_model_fraction": case.params["min.model.fraction"],
    }
    found = E.train_ensemble(
        values, meta, mode="compat", keep_runs=True, **how, **{"sample": "Sample", **words(case.params, TRAINING)}
    )
    for name, path in case.matching(case.outputs["run1"]).items():
        same_model(found.runs[0][name], read(path), name)
    again = E.aggregate(found.runs, how["delta_threshold"], how["min_model_fraction"])
    for models in (found.models, again.models):
        for name, file in case.outputs["A"].items():
            same(models[name], case.table(file), 1e-10, 1e-13, name)


def check_train_w(case: Case) -> None:
    expression, fractions = case.table(case.inputs["expr"]), case.table(case.inputs["fractions"])
    how = words(case.params, ("scale", "nfeature", "nfeature_per_se"))
    expected = case.table(case.outputs["W"])
    w0 = case.table(case.inputs["W0"])
    given = E.train_w(fractions, expression, mode="compat", W0=w0, **how)
    drawn = E.train_w(fractions, expression, mode="compat", seed=case.params["seed_before_call"], **how)
    for found in (given, drawn):
        same(found, expected, 1e-9, 1e-12)
    same(E.train_w(fractions, expression, **how), case.table(case.outputs["W_exact"]), 0, 1e-7)


def scoring(params: dict[str, Any]) -> dict[str, Any]:
    return words(params, ("scale", "sum_to_one", "cells_per_run", "samples_per_run"))


def agree(exact: pd.DataFrame, compat: pd.DataFrame) -> None:
    """The same best ecotype wherever the reference is clear."""
    top = np.sort(compat.to_numpy(), axis=1)
    clear = top[:, -1] - top[:, -2] > 0.05
    assert (exact.to_numpy().argmax(axis=1) == compat.to_numpy().argmax(axis=1))[clear].all()


def check_predict(case: Case) -> None:
    weights = case.table(case.inputs["W"])
    if "variants" not in case.params:
        with pytest.warns(fe.FerrocyteWarning, match="genes of the model"):
            found = E.predict(weights, case.table(case.inputs["x"]), mode="compat", **scoring(case.params))
        expected = case.table(case.outputs["H"])
        assert list(found.values.index) == list(expected.index)
        assert found.values.isna().all(axis=None)
        assert expected.isna().all(axis=None)
        return
    values, meta = case.cells()
    values = values[meta.index[meta["CellType"] == case.params["cell_type"]]]
    for name, variant in case.params["variants"].items():
        found = E.predict(weights, values, mode="compat", **scoring(variant))
        expected = case.table(case.outputs[name])
        same(found.values.loc[expected.index], expected, 1e-8, 1e-10, name)
        assert found.iterations == case.outputs["iterations"][name], name
        exact = E.predict(weights, values, **scoring(variant)).values.loc[expected.index]
        if variant.get("sum2one", True):
            agree(exact, expected)
    for name, variant in {"exact": "one", "exact_raw": "raw"}.items():
        exact = E.predict(weights, values, **scoring(case.params["variants"][variant])).values
        expected = case.table(case.outputs[name])
        same(exact.loc[expected.index], expected, 0, 1e-7, name)
    h0 = case.table(case.inputs["H0_for_one"])
    begun = compat_start(weights, values)
    near(begun if h0.shape == begun.shape else begun.T, h0, 1e-12)


def same_labels(found: Any, expected: pd.DataFrame, absolute: float, *, compat: bool) -> None:
    table = found.table.set_index("CID").loc[expected.index]
    scored = expected["PredScore"] > 0
    if compat:
        near(table["PredScore"], expected["PredScore"], absolute=absolute)
        assert (table["SE"] == expected["SE"]).all()
        assert (table["InitSE"] == expected["InitSE"])[scored].all()
    else:
        # Single scores may differ by more than that where the reference stopped early: labels must not.
        assert ((table["PredScore"] - expected["PredScore"]).abs() <= absolute).mean() >= 0.99
        clear = scored & (table["margin"] > 0.05)
        assert (table["InitSE"] == expected["InitSE"])[clear].all()


def check_recover(case: Case) -> None:
    meta = case.table(case.inputs["celltypes"])
    values = case.table(case.inputs["x"])[meta.index]
    models = {name: case.table(file) for name, file in case.inputs["W"].items()}
    how = words(case.params, ("scale", "min_score", "cells_per_run"))
    expected = case.table(case.outputs["result"])
    found = E.recover(values, models, meta, mode="compat", **how)
    same_labels(found, expected, 1e-9, compat=True)
    assert [n for counts in found.iterations.values() for n in counts] == case.outputs["iterations"]
    same_labels(E.recover(values, models, meta, **how), expected, 0.1, compat=False)


def check_train_and_recover(case: Case) -> None:
    values, meta = case.cells(samples=None)
    left = meta["Sample"] == case.params["train_sample"]
    how = words(case.params, TRAINING)
    found = E.train(values.loc[:, left], meta[left], mode="compat", **how)
    same_models(case, found, case.outputs["W"])
    how = words(case.params, ("scale", "min_score", "cells_per_run"))
    expected = case.table(case.outputs["result"])
    rest = expected.index
    compat = E.recover(values[rest], found, meta.loc[rest], mode="compat", **how)
    same_labels(compat, expected, 1e-8, compat=True)
    assert [n for counts in compat.iterations.values() for n in counts] == case.outputs["iterations"]
    same_labels(E.recover(values[rest], found, meta.loc[rest], **how), expected, 0.1, compat=False)


def check_deconvolute(case: Case) -> None:
    bulk, weights = case.table(case.inputs["bulk"]), case.table(case.inputs["W"])
    scale = case.params["scale"]
    for name, variant in case.params["variants"].items():
        found = E.deconvolute(bulk, weights, mode="compat", scale=scale, **scoring(variant))
        same(found.values, case.table(case.outputs[name]), 1e-8, 1e-10, name)
    same(E.deconvolute(bulk, weights, scale=scale).values, case.table(case.outputs["exact"]), 0, 1e-7)


def check_cross_validate(case: Case) -> None:
    for name, params in case.params.items():
        values, meta = case.cells(samples=params["use_samples"])
        found = E.cross_validate(
            values, meta, mode="compat", scheme="train_on_one", repeats=params["repeats"],
            seed=params["seed_before_call"], **words(params, ("nfeature", "nfeature_per_se", "downsample")),
        )  # fmt: skip
        expected = case.table(case.outputs[name])
        assert (found.loc[expected.index, "cvPred"] == expected["cvPred"]).mean() >= 0.995, name


def check_metrics(case: Case) -> None:
    labels = case.table(case.inputs["labels"])
    for name, file in case.outputs.items():
        found = E.metrics(
            labels,
            truth=case.params["SE"],
            predicted=case.params["Pred"],
            cell_type="CellType" if "_bytype" in name else None,
            sample="Sample" if "_bysample" in name else None,
            metric=name.split("_")[0],
        )
        expected = case.table(file)
        same(found.matrix, expected, 1e-12, 1e-13, name)
        assert found.macro == pytest.approx(np.mean([expected.loc[label, label] for label in expected.index]))


def check_select_rank(case: Case) -> None:
    for profile in case.data(case.inputs["profiles"]):
        coph, ranks = (value if isinstance(value, list) else [value] for value in (profile["coph"], profile["ranks"]))
        numbers = [math.nan if c is None or c == "NA" else float(c) for c in coph]
        for name, rule in case.params.items():
            assert E.select_rank(numbers, ranks, **rule) == profile[name], (profile, name)


def check_nmf(case: Case) -> None:
    v, w0, h0 = (case.table(case.inputs[name]) for name in ("V", "W0", "H0"))
    info = case.data(case.outputs["info"])
    for method in case.params["methods"]:
        for most in case.params["max_iter"]:
            found = E.nmf(v, method=method, W0=w0, H0=h0, max_iter=most, theta=case.params["nsNMF_theta"])
            what = f"{method}_{most}"
            assert found.iterations == info[what]["iterations"], what
            near(found.objective, float(info[what]["residual"]), 1e-9, what=what)
            rel, absolute = (1e-6, 1e-9) if most > 100 else (1e-10, 1e-13)
            for output, factor in (("W", found.w), ("H", found.h)):
                name = case.outputs[output].replace("<method>", method).replace("<max_iter>", str(most))
                near(factor, case.table(name), rel, absolute, name)


def check_nmf_clustering(case: Case) -> None:
    q = case.table(case.inputs["Q"])
    params = case.params
    found = E.nmf_clustering(q, params["ranks"], nrun_per_rank=params["nrun.per.rank"], seed=params["seed"])
    info = case.data(case.outputs["info"])
    assert found.seeds == info["seeds"]
    assert found.best_rank == info["bestK"]
    made = [n for rank in params["ranks"] for n in found.ranks[rank].iterations]
    assert np.mean(np.array(made) == info["iterations_rank_major"]) >= 1 - 1 / len(made)
    for rank, result in found.ranks.items():
        expected = info["ranks"][f"K{rank}"]
        same(result.consensus, case.table(case.outputs["consensus"].replace("<k>", str(rank))), 0, 1e-12, str(rank))
        near(result.cophenetic, float(expected["cophenetic"]), absolute=1e-4)
        near(result.best.objective, float(expected["best_residual"]), 1e-6)
        labels = case.table(case.outputs["labels"].replace("<k>", str(rank))).iloc[:, 0]
        # Equal up to renaming: each of ours is one of theirs.
        pairs = set(zip(result.labels.loc[labels.index], labels, strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    one = info["one"]
    again = E.nmf(q, one["rank"], seed=one["seed"])
    assert again.iterations == one["iterations"]
    near(again.objective, float(one["residual"]), 1e-6)
    names = [part.strip() for part in case.outputs["single"].split("/")]
    for name, factor in zip(names, (again.w, again.h), strict=True):
        near(factor, case.table(f"{name}.tsv.gz"), 1e-6, 1e-9, name)


def check_pseudobulks(case: Case) -> None:
    counts = case.table(case.inputs["counts"])
    words_of = re.match(r"column (\S+) of (\S+)", case.inputs["groups"])
    assert words_of
    meta = case.table(words_of[2])
    found = E.pseudobulks(
        counts, words_of[1], meta, n_mixtures=case.params["n_mixtures"], seed=case.params["seed_before_call"], rng="r"
    )
    same(found.fractions, case.table(case.outputs["fractions"]), 0, 1e-13)
    same(found.mixtures, case.table(case.outputs["mixtures"]), 1e-11)


def check_preprocess(case: Case) -> None:
    values, _ = case.cells()
    genes, cells = E.preprocess(values, min_cells=case.params["min.cells"], min_features=case.params["min.features"])
    assert {"genes": genes, "cells": cells} == case.data(case.outputs["kept"])


def check_metacells(case: Case) -> None:
    values, meta = case.cells()
    params = case.params
    found = E.spatial_metacells(
        values, meta, k=params["k"], radius=params["radius"], grid_size=params["grid.size"],
        min_cells=params["min.cells.per.region"],
    )  # fmt: skip
    names = case.data(case.outputs["names"])
    assert sorted(found.columns) == sorted(names["columns"])
    stored = case.table(case.outputs["metacells"], None)
    expected = stored.pivot(index="row", columns="col", values="value").fillna(0.0)
    near(found.loc[expected.index, expected.columns], expected, 1e-12)
    rest = found.index.difference(expected.index)
    assert (found.loc[rest] == 0).all(axis=None)


def square(path: Path, order: list[str]) -> pd.DataFrame:
    stored = read(path, None).pivot(index="row", columns="col", values="value")
    return stored.reindex(index=order, columns=order).fillna(0.0)


def check_networks(case: Case) -> None:
    embeddings = {name: read(path) for name, path in case.matching(case.inputs["embeddings"]).items()}
    params = case.params
    found = E.similarity_networks(
        embeddings, npcs=params["npcs"], k=params["k"], min_types=params["min.cts.per.region"]
    )
    order = case.data(case.outputs["order"])["order"]
    for name, path in case.matching(case.outputs["networks"]).items():
        same(found[name], square(path, order), 1e-12, what=name)


def check_snf(case: Case) -> None:
    order = case.data(case.inputs["order"])["order"]
    networks = {name: square(path, order) for name, path in case.matching(case.inputs["networks"]).items()}
    fused = E.fuse(networks, K=case.params["K"], t=case.params["t"])
    expected, ranked = (square(case.path(case.outputs[name]), order) for name in ("fused", "ranked"))
    same(fused, expected, 1e-10, 1e-14)
    # Ranks of the stored matrix, so that ties are the same.
    same(E.rank_columns(expected), ranked, 0, 1e-12)


def check_fold_changes(case: Case) -> None:
    meta = case.table(case.inputs["clusters"])
    values = normalised(case.table(case.inputs["counts"])[meta.index], case.inputs["normalise"])
    stored = case.table(case.outputs["foldchanges"])
    same(E.fold_changes(values, meta, scale=case.params["scale"]), stored, 1e-10, 1e-12)
    how = {"nfeatures": case.params["nfeatures"], "min_features": case.params["min.features"]}
    found = E.integrate(stored, K=case.params["K"], t=case.params["t"], **how)
    expected = case.table(case.outputs["integrated"])
    off = (found.loc[expected.index, expected.columns] - expected).abs().to_numpy()
    # Ties may move by one step of a rank.
    assert off.max() <= 1 / len(expected) + 1e-9
    assert (off > 1e-9).mean() <= 0.05


def check_coassociation(case: Case) -> None:
    found = E.coassociation(case.table(case.inputs["labels"]), non_se=case.params["NonSE"])
    same(found, case.table(case.outputs["index"]), 0, 1e-12)
    test = E.block_test(found, n_permutations=case.params["nperm"], seed=case.params["seed_before_test"], rng="r")
    expected = case.table(case.outputs["test"])
    near(test.loc[expected.index, "Z"], expected["Z"], 1e-10, 1e-12)
    near(test.loc[expected.index, "P"], expected["P"], 1e-8, 1e-12)


def check_colocalization(case: Case) -> None:
    params = case.params
    found = E.colocalization(
        case.table(case.inputs["cells"]), radius=params["radius"], k=params["k"], min_cell=params["min.cell"],
        n_permutations=params["nperm"], seed=params["seed_before_call"], rng="r",
    )  # fmt: skip
    same(found.observed, case.table(case.outputs["observed"]), 0, 1e-12)
    same(found.z, case.table(case.outputs["z"]), 0, 1e-8)


def check_moran(case: Case) -> None:
    params = case.params
    found = E.moran(
        case.table(case.inputs["cells"]),
        k=params["k"],
        n_permutations=params["nperm"],
        seed=params["seed_before_call"],
        rng="r",
    )
    expected = case.table(case.outputs["moran"])
    near(found.loc[expected.index, "I"], expected["I"], absolute=1e-12)
    near(found.loc[expected.index, "Z"], expected["Z"], absolute=1e-8)


def check_abundance(case: Case) -> None:
    params = case.params
    values, meta = case.cells(meta="cells")
    found = E.abundance(
        meta, radius=params["radius"], grid_size=params["grid.size"], k=params["k"], min_cells=params["min.cells"]
    )
    same(found, case.table(case.outputs["abundance"]), 0, 1e-12)
    smooth = E.smooth_abundance(found, k=params["smooth_k"], include_self=params["include.self"])
    same(smooth, case.table(case.outputs["smooth"]), 0, 1e-12)
    cells = case.table(case.outputs["ncells"])
    assert list(E.infer_ncells(values[cells.index].sum(), params["avg.number"])) == list(cells.iloc[:, 0])
    parts = E.partition_tissue(meta, nrow=params["nrow"], ncol=params["ncol"])
    expected = case.table(case.outputs["partition"])["Partition"]
    assert (parts.loc[expected.index] == expected).all()


def check_meta(case: Case) -> None:
    index = [read(path) for path in case.matching(case.inputs["index"]).values()]
    tests = [read(path) for path in case.matching(case.inputs["test"]).values()]
    found = E.colocalization_meta(index, tests, cap=case.params["cap"], min_samples=case.params["min.samples"])
    same(found.index, case.table(case.outputs["meta_index"]), 1e-12, 1e-14)
    expected = case.table(case.outputs["meta_p"])
    near(found.test.loc[expected.index, "P"], expected["P"], 1e-9)


RUN: dict[str, Callable[[Case], None]] = {
    "rng": check_rng,
    "scale / znorm": check_scale,
    "train": check_train,
    "aggregate": check_aggregate,
    "train_w": check_train_w,
    "predict": check_predict,
    "recover": check_recover,
    "train + recover": check_train_and_recover,
    "deconvolute": check_deconvolute,
    "cross_validate": check_cross_validate,
    "metrics": check_metrics,
    "select_rank": check_select_rank,
    "nmf": check_nmf,
    "nmf_clustering": check_nmf_clustering,
    "pseudobulks": check_pseudobulks,
    "preprocess": check_preprocess,
    "spatial_metacells": check_metacells,
    "similarity_networks": check_networks,
    "snf": check_snf,
    "fold_changes + integrate": check_fold_changes,
    "coassociation": check_coassociation,
    "colocalization": check_colocalization,
    "normalized_moran": check_moran,
    "abundance / smooth / infer_ncells / partition": check_abundance,
    "colocalization_meta": check_meta,
}


def test_there_are_cases():
    assert CASES, f"there is no case in {AREA}"


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_case(folder):
    case = Case(folder)
    function = case.json["function"]
    assert function in RUN, f"nothing runs `{function}`"
    RUN[function](case)
