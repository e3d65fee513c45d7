"""The mixed models against the reference cases of the area `flashmm`, and the names of that package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common import GOLDEN, golden

import ferrocyte as fe
from ferrocyte.compat import flashmm

AREA = GOLDEN / "flashmm"
CASES = sorted(path.name for path in AREA.glob("cases/*") if (path / "case.json").exists())
RUNNERS = Path(__file__).parent / "golden"
SUMS = ("XX", "ZX", "ZZ", "XY", "ZY", "Ynorm")
FIXED = "~ 0 + log(libsize) + cls + cls:trt"


def read(path: Path) -> pd.DataFrame:
    if not path.exists():
        pytest.skip(f"{path} was not handed out")
    return pd.read_csv(path, sep="\t", index_col=0, float_precision="round_trip")


def about_case(name: str) -> tuple[Path, dict]:
    """The folder of a case and what its case.json says."""
    folder = golden("flashmm") / "cases" / name
    if not folder.is_dir():
        pytest.skip(f"no case {name}")
    return folder, json.loads((folder / "case.json").read_text())


def from_sums(folder: Path, about: dict, **options) -> flashmm.LmmFit:
    s = {name: read(folder / f"{name}.tsv") for name in SUMS}
    norms = s["Ynorm"].iloc[:, 0]
    return flashmm.lmm(
        s["XX"],
        s["XY"].T,
        s["ZX"],
        s["ZY"].T,
        s["ZZ"],
        norms,
        about["n"],
        d=about["d"],
        method=about["method"],
        **options,
    )


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """All cases, computed once by the runner as a user would."""
    out = tmp_path_factory.mktemp("flashmm")
    subprocess.run([sys.executable, RUNNERS / "run_flashmm.py", golden("flashmm"), out], check=True)
    return out


@pytest.mark.parametrize("case", CASES)
def test_case(case, answers):
    checked = subprocess.run(
        [sys.executable, AREA / "compare.py", AREA, answers, case], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_badly_scaled_slope_equals_the_scaled_one():
    """No truth file exists for this case: var2 is that of the scaled model divided by 1e6, the rest is the same."""
    ours = from_sums(*about_case("edge_unscaled_slope_v130_wrong"))
    base = golden("flashmm") / "cases"
    genes = list(ours.theta.columns)
    truth = read(base / "two_slope_reml" / "truth.tsv").loc[genes]
    np.testing.assert_allclose(ours.theta.loc["var1"], truth["theta1"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.theta.loc["var2"] * 1e6, truth["theta2"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.theta.loc["var0"], truth["theta0"], rtol=1e-8)
    for name in ("coef", "se"):
        theirs = read(base / "two_slope_reml" / f"truth_{name}.tsv").loc[genes]
        np.testing.assert_allclose(getattr(ours, name).T, theirs, rtol=1e-6, atol=1e-10)


def table_of(name: str) -> pd.DataFrame:
    return read(golden("flashmm") / "tests" / name)


@pytest.fixture(scope="module")
def one_reml():
    return from_sums(*about_case("one_reml"), output_cov=True, output_FIM=True, output_RE=True, output_SS=True)


def assert_tests_equal(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert list(ours.columns) == list(theirs.columns)
    for column in theirs:
        # t and coefficients to 2e-7 of their size, p-values relatively: the other program stops early.
        relative = 1e-5 if column.endswith("_p") else 2e-7
        absolute = 0 if column.endswith("_p") else 2e-7
        np.testing.assert_allclose(ours[column], theirs[column], rtol=relative, atol=absolute, err_msg=column)


def test_lmmtest_tables(one_reml):
    assert_tests_equal(flashmm.lmmtest(one_reml), table_of("default.tsv"))
    index = json.loads((golden("flashmm") / "tests" / "tests.json").read_text())["index_subset"]
    assert_tests_equal(flashmm.lmmtest(one_reml, index=index), table_of("index_subset.tsv"))


@pytest.mark.parametrize("alternative", ["two.sided", "less", "greater"])
def test_lmmtest_contrasts(one_reml, alternative):
    contrast = table_of("contrast_matrix.tsv")
    theirs = table_of(f"contrasts_{alternative.replace('.', '_')}.tsv")
    assert_tests_equal(flashmm.lmmtest(one_reml, contrast=contrast, alternative=alternative), theirs)


def test_lmmtest_of_a_bare_vector_has_no_name(one_reml):
    theirs = table_of("vector_contrast.tsv")
    columns = table_of("contrast_matrix.tsv")
    found = [
        ours
        for column in columns
        if np.allclose(
            (ours := flashmm.lmmtest(one_reml, contrast=columns[column].to_numpy()))["_coef"],
            theirs["_coef"],
            atol=1e-7,
        )
    ]
    assert len(found) == 1
    assert_tests_equal(found[0], theirs)


def contrast_cases() -> list:
    path = AREA / "tests" / "contrast_matrix_cases.json"
    return json.loads(path.read_text()) if path.exists() else []


#: What the other program cannot parse and a linear-expression parser can.
OURS_TO_SOLVE = {("a b - e",)}


@pytest.mark.parametrize("case", contrast_cases(), ids=lambda case: "; ".join(case["contrast_expressions"]))
def test_contrast_matrix(case):
    names = case["model_matrix_names"]
    expressions = case["contrast_expressions"]
    contrast = (
        dict(zip(case["contrast_names"], expressions, strict=True)) if all(case["contrast_names"]) else expressions
    )
    if case["error"] is not None:
        if tuple(expressions) in OURS_TO_SOLVE:
            np.testing.assert_array_equal(flashmm.contrast_matrix(contrast, names).iloc[:, 0], [1, 0, -1])
            return
        with pytest.raises(fe.FerrocyteError):
            flashmm.contrast_matrix(contrast, names)
        return
    ours = flashmm.contrast_matrix(contrast, names)
    np.testing.assert_allclose(ours.T, case["result"], rtol=0, atol=1e-14)
    assert list(ours.index) == names
    named = [name or expression for name, expression in zip(case["contrast_names"], expressions, strict=True)]
    assert list(ours.columns) == (named if all(case["contrast_names"]) else expressions)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("a-b+1", "1"),
        ("a*b", "product"),
        ("a - z", "z"),
        ("a -", ""),
    ],
)
def test_expressions_that_are_not_linear_are_refused(expression, words):
    with pytest.raises(fe.FerrocyteError) as caught:
        flashmm.contrast_matrix(expression, ["a", "b"])
    assert words in str(caught.value)


def test_expressions_that_the_other_program_gets_wrong():
    names = ["log(x)", "log(x):b", "2a", "x^2"]
    ours = flashmm.contrast_matrix(["log(x)-log(x):b", "2a - x^2"], names)
    np.testing.assert_array_equal(ours.to_numpy().T, [[1, -1, 0, 0], [0, 0, 1, -1]])


def test_covariances_and_informations(one_reml):
    folder = golden("flashmm") / "cases" / "one_reml"
    for name, ours, labels in (
        ("cov", one_reml.cov, list(one_reml.coef.index)),
        ("FIM_beta", one_reml.FIM_beta, list(one_reml.coef.index)),
        ("FIM_theta", one_reml.FIM_theta, list(one_reml.theta.index)),
    ):
        theirs = pd.read_csv(folder / f"{name}.tsv.gz", sep="\t", float_precision="round_trip")
        genes = {gene: i for i, gene in enumerate(one_reml.coef.columns)}
        place = {label: i for i, label in enumerate(labels)}
        found = [ours[place[r.row], place[r.col], genes[r.gene]] for r in theirs.itertuples()]
        scale = theirs.groupby("gene")["value"].transform(lambda v: v.abs().max())
        # The information of theta is evaluated at an estimate that is good to 1e-7 standard errors.
        assert (np.abs(found - theirs["value"]) / scale).max() < 1e-6, name


def test_summary_data_and_niter(one_reml):
    folder = golden("flashmm") / "cases" / "one_reml"
    np.testing.assert_array_equal(one_reml.summary_data["XX"], read(folder / "XX.tsv"))
    assert (one_reml.niter > 0).all()
    assert one_reml["RE"].shape == read(folder / "ZY.tsv").T.shape


def test_component_tests_equal_the_published_ones():
    """z tests and likelihood-ratio tests of the second component, against the one-component fit."""
    for method in ("reml", "ml"):
        folder, about = about_case(f"two_slope_{method}")
        full = from_sums(folder, about)
        theirs = read(folder / "varcomp_test.tsv")
        # Where the other program stopped early its gradient is not zero; there is nothing to compare.
        converged = read(folder / "dlogL.tsv").abs().max(axis=1) <= about["epsilon"]
        z = (full.theta.loc["var2"] / full.se_theta.loc["var2"])[converged]
        np.testing.assert_allclose(z, theirs["z"][converged], rtol=1e-5, atol=1e-5)
        small = from_sums(*about_case(f"one_{method}"))
        lrt = 2 * (full.logLik - small.logLik)[converged]
        np.testing.assert_allclose(lrt, theirs["LRT"][converged], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "case"), [("one", "one_reml"), ("few_samples", "few_samples_reml")])
def test_lme4_and_lmertest(name, case):
    base = golden("flashmm")
    folder, about = about_case(case)
    lme4 = read(base / "lme4" / name / "lme4_variance.tsv")
    reml, ml = from_sums(folder, about), from_sums(folder, {**about, "method": "ML"})
    regular = lme4.index[lme4["singular"] == 0]
    assert len(regular)
    for ours, method in ((reml, "reml"), (ml, "ml")):
        for component in ("var1", "var0"):
            np.testing.assert_allclose(
                ours.theta.loc[component, regular], lme4.loc[regular, f"{component}_{method}"], rtol=1e-5
            )
    _, log_det = np.linalg.slogdet(read(folder / "XX.tsv").to_numpy())
    np.testing.assert_allclose(
        reml.logLik[regular] - 0.5 * log_det, lme4.loc[regular, "logLik_reml"], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(ml.logLik[regular], lme4.loc[regular, "logLik_ml"], rtol=0, atol=1e-6)

    tests = pd.read_csv(base / "lme4" / name / "lmerTest_coef.tsv", sep="\t", float_precision="round_trip")
    order = {coefficient: i for i, coefficient in enumerate(dict.fromkeys(tests["coef"]))}
    tests = tests[tests["gene"].isin(regular)]
    rows, columns = tests["coef"].map(order).to_numpy(), reml.coef.columns.get_indexer(tests["gene"])
    df = reml.df_satterthwaite.to_numpy()[rows, columns]
    np.testing.assert_allclose(df, tests["df_satterthwaite"], rtol=1e-5)
    np.testing.assert_allclose(reml.t.to_numpy()[rows, columns], tests["t"], rtol=1e-5, atol=1e-6)


def test_shards_add_up_to_the_whole():
    base = golden("flashmm")
    about = json.loads((base / "shards" / "shards.json").read_text())
    case = json.loads((base / about["total"] / "case.json").read_text())

    def made(folder: Path, n: int) -> fe.lmm.Sums:
        s = {name: read(folder / f"{name}.tsv") for name in SUMS}
        return fe.lmm.sums_from_arrays(**{k: s[k] for k in SUMS[:-1]}, Ynorm=s["Ynorm"].iloc[:, 0], n=n, d=case["d"])

    first, *others = (made(base / "shards" / f"shard{i}", n) for i, n in about["n"].items())
    total = first.merge(*others)
    whole = made(base / about["total"], case["n"])
    for name in SUMS:
        np.testing.assert_allclose(total.arrays()[name], whole.arrays()[name], rtol=1e-12, err_msg=name)
    ours, theirs = fe.lmm.fit(total), fe.lmm.fit(whole)
    np.testing.assert_allclose(ours.coef, theirs.coef, rtol=1e-9, atol=1e-12)
    assert (ours.status == theirs.status).all()


# From counts and metadata, as a user starts.


@pytest.fixture(scope="module")
def counts():
    folder = golden("flashmm") / "data"
    metadata = pd.read_csv(folder / "metadata.tsv", sep="\t", index_col=0)
    metadata["cls"] = pd.Categorical(metadata["cls"])
    return read(folder / "counts.tsv.gz"), metadata


def test_formulas_give_the_columns_and_sums_of_r(counts):
    Y, metadata = counts
    folder = golden("flashmm") / "cases" / "one_reml"
    fit = flashmm.flashmm(np.log1p(Y), FIXED, "~ 0 + sam", metadata, output_SS=True)
    for name in SUMS[:-1]:
        theirs = read(folder / f"{name}.tsv")
        np.testing.assert_allclose(fit.summary_data[name], theirs, rtol=1e-12, atol=1e-12, err_msg=name)
    assert list(fit.coef.index) == list(read(folder / "coef.tsv").columns)
    assert list(fit.coef.index) == list(read(golden("flashmm") / "data" / "X.tsv.gz").columns)
    assert list(fit.coef.columns) == list(read(folder / "coef.tsv").index)
    np.testing.assert_allclose(fit.coef.T, read(folder / "truth_coef.tsv"), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("case", ["flashmm_counts_log2", "flashmm_two_formulas_log2"])
def test_formula_interface_with_counts(counts, case):
    Y, metadata = counts
    folder, about = about_case(case)
    random = "~ 0 + sam" if case == "flashmm_counts_log2" else ["~ 0 + sam", "~ 0 + location"]
    fit = flashmm.flashmm(Y, about["fixed"], random, metadata, is_counts=True)
    theirs, se = read(folder / "truth_coef.tsv"), read(folder / "truth_se.tsv")
    assert list(fit.coef.index) == list(theirs.columns)
    known = read(folder / "truth.tsv")["status"].isin(["ok", "negative"])
    assert (((fit.coef.T - theirs) / se)[known].abs().max().max()) < 1e-7


@pytest.mark.parametrize("random", ["(1 | sam)", "~ 0 + sam"])
def test_a_matrix_and_formulas_are_one_model(counts, random):
    Y, metadata = counts
    X = read(golden("flashmm") / "data" / "X.tsv.gz")
    Z = pd.get_dummies(metadata["sam"], prefix="sam", prefix_sep="").astype(float)
    by_matrix = flashmm.lmmfit(np.log1p(Y), X, Z)
    by_formula = flashmm.flashmm(np.log1p(Y), FIXED, random, metadata)
    np.testing.assert_allclose(by_matrix.coef, by_formula.coef, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(by_matrix.theta, by_formula.theta, rtol=1e-7, atol=1e-11)


def test_random_slopes_by_formula(counts):
    Y, metadata = counts
    folder = golden("flashmm") / "cases" / "two_slope_reml"
    truth = read(folder / "truth.tsv")
    for random in (["~ 0 + sam", "~ 0 + sam:time"], "(1 + time || sam)"):
        fit = flashmm.flashmm(np.log1p(Y), FIXED, random, metadata)
        np.testing.assert_allclose(fit.theta.T, truth[["theta1", "theta2", "theta0"]], rtol=1e-7, atol=1e-10)


def test_log2_is_ln_rescaled(counts):
    Y, metadata = counts
    ln = flashmm.flashmm(np.log1p(Y), FIXED, "~ 0 + sam", metadata)
    log2 = flashmm.flashmm(Y, FIXED, "~ 0 + sam", metadata, is_counts=True)
    scale = 1 / np.log(2)
    np.testing.assert_allclose(log2.coef, ln.coef * scale, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(log2.theta, ln.theta * scale**2, rtol=1e-8, atol=1e-13)
    np.testing.assert_allclose(log2.t, ln.t, rtol=1e-8, atol=1e-10)


def test_simulator_has_the_moments_of_its_reference(counts):
    Y, _ = counts
    theirs = read(golden("flashmm") / "data" / "moments_of_counts.tsv")
    from ferrocyte import _core
    from ferrocyte._run import means
    from ferrocyte._sources import matrix_of

    found = _core.lmm_moments(
        matrix_of(np.ascontiguousarray(Y.T.to_numpy(dtype=float)), "counts"), means(progress=False)
    )
    np.testing.assert_allclose(found["mean"], theirs.iloc[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found["size"], theirs.iloc[:, 1], rtol=1e-9)

    made = flashmm.simu_rnaseq(Y, nGenes=100, nCells=4000, nsam=20, ncls=4, nDEgenes=8, seed=3)
    assert made["counts"].shape == (100, 4000)
    assert list(made["metadata"].columns) == ["sam", "cls", "trt", "libsize"]
    assert len(made["DEgenes"]) == 8
    assert made["DEgenes"]["beta"].abs().between(0.25, 1.0).all()
    again = flashmm.simu_rnaseq(Y, nGenes=100, nCells=4000, nsam=20, ncls=4, nDEgenes=8, seed=3)
    assert (made["counts"] != again["counts"]).nnz == 0


# What the other program fails at is an answer or a sentence here.


@pytest.fixture
def toy():
    rng = np.random.default_rng(4)
    n = 60
    X = pd.DataFrame({"a": np.ones(n), "b": rng.normal(size=n)})
    Z = pd.DataFrame(np.repeat(np.eye(6), 10, axis=0), columns=[f"s{i}" for i in range(6)])
    Y = pd.DataFrame(rng.normal(size=(4, n)), index=["g1", "g2", "g3", "g4"])
    return Y, X, Z


def refuse(words, *arguments, **options):
    with pytest.raises(fe.FerrocyteError) as caught:
        flashmm.lmmfit(*arguments, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_bad_input_of_the_error_table(toy):
    Y, X, Z = toy
    refuse(["x2", "depend"], Y, X.assign(x2=2 * X["b"]), Z)
    refuse(["zero_column"], Y, X.assign(zero_column=0.0), Z)
    broken = Y.copy()
    broken.iloc[1, 7] = np.nan
    refuse(["`g2`", "cell 7", "1 values"], broken, X, Z)
    broken.iloc[1, 7] = np.inf
    refuse(["`g2`", "cell 7"], broken, X, Z)
    holes = X.copy()
    holes.loc[[3, 4], "b"] = np.nan
    refuse(["`b`", "2 cells"], Y, holes, Z)
    refuse(["59", "60"], Y, X.iloc[:-1], Z)
    refuse(["6", "5"], Y, X, Z, d=5)
    refuse(["theta0", "expected 2"], Y, X, Z, theta0=[1.0])
    refuse(["theta0"], Y, X, Z, theta0=[0.1, 0.0])


def test_what_fails_elsewhere_has_a_status_here(toy):
    Y, X, Z = toy
    odd = Y.copy()
    odd.loc["g2"] = 0.0
    odd.loc["g3"] = 2.0 * X["a"].to_numpy() - X["b"].to_numpy()
    fit = flashmm.lmmfit(odd, X, Z)
    assert list(fit.status) == [fit.status["g1"], "all_zero", "constant_given_X", fit.status["g4"]]
    assert fit.coef["g2"].isna().all()
    np.testing.assert_allclose(fit.coef["g3"], [2.0, -1.0], rtol=1e-9)
    np.testing.assert_allclose(fit.coef["g1"], flashmm.lmmfit(Y, X, Z).coef["g1"], rtol=1e-12)
    # Random effects in the span of the fixed ones.
    spanned = flashmm.lmmfit(Y, Z.assign(b=X["b"]), Z)
    assert set(spanned.status) == {"not_identifiable"}


def test_formula_errors(toy):
    Y, X, _ = toy
    metadata = X.assign(sam=np.repeat([f"s{i}" for i in range(6)], 10))
    with pytest.raises(fe.MissingKeyError, match="bb"):
        flashmm.flashmm(Y, "~ bb", "~ 0 + sam", metadata)
    with pytest.raises(fe.BadInputError, match="covariates"):
        flashmm.flashmm(Y, "y ~ b", "~ 0 + sam", metadata)
    with pytest.raises(fe.BadInputError, match="59 rows"):
        flashmm.flashmm(Y, "~ b", "~ 0 + sam", metadata.iloc[:-1])
    Y.columns = [f"cell{i}" for i in range(60)]
    metadata.index = Y.columns[::-1]
    with pytest.raises(fe.BadInputError, match="another order"):
        flashmm.flashmm(Y, "~ b", "~ 0 + sam", metadata)


def test_blocks_change_nothing(toy):
    Y, X, Z = toy
    for blocks in (1, 3, 5):
        np.testing.assert_array_equal(flashmm.lmmfit(Y, X, Z, nBlocks=blocks).coef, flashmm.lmmfit(Y, X, Z).coef)
