"""The package itself: light to import, one set of words on all fronts, stops when told, errors that carry over."""

from __future__ import annotations

import ast
import inspect
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from common import FORMULA

import ferrocyte as fe
from ferrocyte import _core


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    heavy = run_python(
        """
        import sys
        import ferrocyte as fe
        fe.__version__, fe.BadInputError
        print(*sorted({"pandas", "anndata", "matplotlib", "scipy", "tqdm", "dask"} & set(sys.modules)))
        """
    )
    assert heavy.split() == []


def test_modules_load_when_first_used():
    assert run_python("import ferrocyte as fe; print(fe.lmm.fit.__name__, fe.compat.flashmm.lmm.__name__)").split() == [
        "fit",
        "lmm",
    ]
    assert set(fe.__all__) == set(dir(fe))
    with pytest.raises(AttributeError, match="nothing"):
        _ = fe.nothing


# The same words in Rust, Python and the program


def python_options() -> dict[tuple[str, str], str]:
    """Verb and name of each keyword of the package, and its default as a word."""
    word = {"None": "", str(inspect.Parameter.empty): "-", "True": "true", "False": "false"}
    verbs = {
        "check": [fe.lmm.check],
        "sums": [fe.lmm.sums],
        "fit": [fe.lmm.fit],
        "test": [fe.lmm.Fit.test, fe.lmm.Fit.contrast],
        "components": [fe.lmm.Fit.test_components],
        "compare": [fe.lmm.Fit.compare],
    }
    return {
        (verb, name): word.get(str(parameter.default), str(parameter.default))
        for verb, functions in verbs.items()
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
    }


def test_options_of_the_package_are_those_of_the_crate():
    options = python_options()
    for name, verbs, default, _, _ in _core.lmm_options():
        for verb in verbs:
            found = options[(verb, name)]
            # `fit` takes sums too, which know their formula.
            assert found == default or (verb, name) == ("fit", "formula"), (verb, name)


def test_options_of_the_program_are_those_of_the_crate():
    arguments = {(verb, name): (default, choices) for verb, name, default, choices in _core.lmm_arguments()}
    for name, verbs, default, choices, _ in _core.lmm_options():
        for verb in verbs:
            found_default, found_choices = arguments[(verb, name)]
            assert found_default == default or (verb, name) == ("fit", "formula"), (verb, name)
            # A switch of the program has no words.
            assert found_choices == choices or choices == ["true", "false"], (verb, name)


def limma_options() -> list[tuple[str, str, str, list[str]]]:
    """Verb, name, default and choices of each option of the family, as the package spells them."""
    # Several contrasts are one argument of the package and a repeated one of the program: the one name that differs.
    plural = {"contrast": "contrasts"}
    return [
        (verb, plural.get(name, name), default, choices)
        for name, verbs, default, choices, _ in _core.limma_options()
        for verb in verbs
    ]


def test_options_of_limma_are_those_of_the_crate():
    word = {"None": "", str(inspect.Parameter.empty): "-", "True": "true", "False": "false"}
    verbs = {"de": fe.limma.de, "pseudobulk": fe.pp.pseudobulk}
    found = {
        (verb, name): parameter
        for verb, function in verbs.items()
        for name, parameter in inspect.signature(function).parameters.items()
    }
    known = limma_options()
    for verb, name, default, choices in known:
        parameter = found[(verb, name)]
        if isinstance(parameter.default, float):
            assert parameter.default == float(default), (verb, name)
        elif (verb, name) != ("pseudobulk", "by"):
            # What makes the samples cannot be left out where there is nothing else to do.
            assert word.get(str(parameter.default), str(parameter.default)) == default, (verb, name)
        if choices and choices != ["true", "false"]:
            assert parameter.annotation == f"Literal[{', '.join(repr(c) for c in choices)}]".replace('"', "'"), name
    beside = {"data", "samples", "n_threads", "max_memory", "progress"}
    assert {(verb, name) for verb, name in found if name not in beside} == {(verb, name) for verb, name, *_ in known}


def test_options_of_limma_are_those_of_the_program():
    arguments = {(verb, name): (default, choices) for verb, name, default, choices in _core.limma_arguments()}
    options = {
        (verb, name): (default, choices) for name, verbs, default, choices, _ in _core.limma_options() for verb in verbs
    }
    assert {key: value for key, value in arguments.items() if key[1] != "output"} == options


@pytest.mark.parametrize(
    ("name", "choice"),
    [(name, choice) for name, verbs, _, c, _ in _core.limma_options() for choice in c if verbs == ["de"]],
)
def test_every_choice_of_limma_is_taken(name, choice):
    from ferrocyte._examples import small_counts

    counts, samples = small_counts()
    value = {"true": True, "false": False}.get(choice, choice)
    found = fe.limma.de(counts, "~ group", samples=samples, **{name: value})
    assert found.provenance["options"][name] == value
    assert found.table["p_value"].notna().sum() > 40


@pytest.mark.parametrize("option", [o for o in _core.lmm_options() if o[3]], ids=lambda o: o[0])
def test_every_choice_is_taken(adata, option):
    name, verbs, _, choices, _ = option
    for choice in choices:
        value = {"true": True, "false": False}.get(choice, choice)
        if "test" in verbs:
            fe.lmm.fit(adata, FORMULA).test("conditionstim", **{name: value})
        else:
            fe.lmm.fit(adata, FORMULA, **{name: value})


def test_the_compiled_module_is_typed():
    """Every name of the extension stands in its stub, and no other."""
    stub = ast.parse((Path(fe.__file__).parent / "_core.pyi").read_text())
    typed = {
        node.name for node in stub.body if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_"
    }
    assert typed == {name for name in dir(_core) if not name.startswith("_")}
    for node in stub.body:
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            members = {m.name for m in node.body if isinstance(m, ast.FunctionDef) and m.name[0] != "_"}
            members |= {m.target.id for m in node.body if isinstance(m, ast.AnnAssign)}
            assert members == {m for m in dir(getattr(_core, node.name)) if not m.startswith("_")}, node.name


# Documentation


def public() -> list:
    found = []
    for module in (fe.lmm, fe.sim, fe.io, fe.compat.flashmm, fe.pl):
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing):
                found.append((f"{module.__name__}.{name}", thing))
            if inspect.isclass(thing):
                members = inspect.getmembers(thing, lambda m: inspect.isfunction(m) or inspect.ismethod(m))
                found += [(f"{module.__name__}.{name}.{n}", m) for n, m in members if not n.startswith("_")]
    return found


@pytest.mark.parametrize(("name", "thing"), public(), ids=[name for name, _ in public()])
def test_everything_public_is_documented(name, thing):
    text = inspect.getdoc(thing)
    assert text, name
    if inspect.isclass(thing):
        return
    parameters = [p for p in inspect.signature(thing).parameters.values() if p.name not in ("self", "cls")]
    if len(parameters) > 1:
        assert "Parameters\n---" in text, name
    section = text.split("Parameters\n---", 1)[-1]
    for parameter in parameters if "Parameters\n---" in text else []:
        assert parameter.name in section, (name, parameter.name)


# Errors


@pytest.mark.parametrize("name", [n for n in fe.errors.__all__ if n.endswith("Error")])
def test_errors_pickle_and_print(name):
    error = getattr(fe, name)("found 3, expected 4", place="X of a.h5ad", hint="give four")
    assert str(error) == "X of a.h5ad: found 3, expected 4\nhint: give four"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert isinstance(error, fe.FerrocyteError)


def test_errors_are_the_built_in_ones_too():
    assert issubclass(fe.BadInputError, ValueError)
    assert issubclass(fe.MissingKeyError, KeyError)
    assert issubclass(fe.BadFileError, OSError)
    assert issubclass(fe.UnsupportedError, NotImplementedError)
    assert issubclass(fe.TooLargeError, MemoryError)
    assert issubclass(fe.InternalError, RuntimeError)


def test_warnings_point_at_the_line_of_the_user(adata):
    with pytest.warns(fe.FerrocyteWarning) as caught:
        fe.lmm.fit(adata, "~ condition + (1 | donor)")
    assert caught[0].filename == __file__


# Long work

LONG = """
    import numpy as np, scipy.sparse as sp, signal, sys, threading, time, os
    import anndata as ad, pandas as pd
    import ferrocyte as fe
    # A shell that starts a job in the background has it ignore Ctrl-C, and Python and its children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(1)
    n, q = 6000, 300
    obs = pd.DataFrame({{"a": np.arange(n) % q, "b": (np.arange(n) * 7) % 301}}, index=[str(i) for i in range(n)])
    obs["a"], obs["b"] = obs["a"].astype(str).astype("category"), obs["b"].astype(str).astype("category")
    obs["x"] = rng.normal(size=n)
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(1.0, (n, 4000)).astype(np.float32)), obs=obs)
    sums = fe.lmm.sums(adata, "~ x + (1 | a) + (1 | b)")
    threading.Timer({delay}, lambda: (print(time.time(), flush=True), os.kill(os.getpid(), signal.SIGINT))).start()
    try:
        fe.lmm.fit(sums, n_threads=1)
        print("finished")
    except KeyboardInterrupt:
        print(time.time())
"""


def test_interrupt_stops_within_a_second():
    words = run_python(LONG.format(delay=0.5)).split()
    assert "finished" not in words, "the fit was too short to be interrupted"
    sent, stopped = map(float, words)
    assert stopped - sent < 1.0


def test_other_threads_run_meanwhile(adata):
    import anndata as ad

    big = ad.concat([adata] * 40, index_unique="-")
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.perf_counter()
    while time.perf_counter() - start < 0.3:
        fe.lmm.fit(big, FORMULA, n_threads=1)
    done.set()
    ticker.join()
    assert len(ticks) > 20


def test_progress_is_told(adata, monkeypatch):
    import anndata as ad

    from ferrocyte import _run

    big = ad.concat([adata] * 60, index_unique="-")
    told = []
    monkeypatch.setattr(_run._Bars, "show", lambda self, *words: told.append(words))
    pytest.importorskip("tqdm")
    for _ in range(20):
        fe.lmm.fit(big, FORMULA, progress=True, n_threads=1)
        if told:
            break
    assert all(len(words) == 3 for words in told)
    assert any(task for task, _, _ in told)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_works_after_a_fork():
    out = run_python(
        """
        import multiprocessing, warnings
        warnings.simplefilter("ignore")
        import ferrocyte as fe
        from ferrocyte._examples import small_study
        adata = small_study()
        def work(i):
            return float(fe.lmm.fit(adata, "~ condition + (1 | sample)").coef.iloc[0, 1])
        first = work(0)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(all(v == first for v in pool.map(work, range(4))))
        """
    )
    assert out.strip() == "True"


def test_console_script(tmp_path, adata):
    adata.write_h5ad(tmp_path / "a.h5ad")
    code = "import sys; sys.argv = ['ferrocyte', *{!r}]; from ferrocyte._cli import main; sys.exit(main())"
    ok = subprocess.run(
        [sys.executable, "-c", code.format(["info", str(tmp_path / "a.h5ad")])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ok.returncode == 0, ok.stderr
    assert "obs/donor" in ok.stdout
    usage = subprocess.run(
        [sys.executable, "-c", code.format(["nonsense"])], capture_output=True, text=True, check=False
    )
    assert usage.returncode == 2
    absent = subprocess.run(
        [sys.executable, "-c", code.format(["info", "none.h5ad"])], capture_output=True, text=True, check=False
    )
    assert absent.returncode == 1
    assert "none.h5ad" in absent.stderr


def test_simulated_studies_depend_on_the_seed_only():
    one, two = (fe.lmm.simulate(30, 400, seed=5, n_threads=n) for n in (1, 2))
    assert (one.X != two.X).nnz == 0
    assert one.obs.equals(two.obs)
    other = fe.lmm.simulate(30, 400, seed=6)
    assert (one.X != other.X).nnz > 0
    assert np.isfinite(one.var["effect"]).all()
