"""Make the reference pages that follow from the code; `--check` fails when a page is out of date."""

import argparse
import sys
from pathlib import Path

from ferrocyte import _core

ROOT = Path(__file__).resolve().parents[1]
HEAD = "<!-- Made by `make docs` from the code. Do not edit. -->\n\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(word: str) -> str:
    """A word as code; nothing for an empty one."""
    return f"`{word}`" if word else ""


def lmm_page() -> str:
    """Options, statuses and table columns of the family `lmm`."""
    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), meaning]
        for name, verbs, default, choices, meaning in _core.lmm_options()
    ]
    statuses = [[f"`{word}`", severity, sentence] for word, severity, sentence in _core.lmm_statuses()]
    tables = [("tests", _core.lmm_test_columns()), *_core.lmm_inference_columns()]
    columns = [
        f"\n## Columns of the table of {title}\n\n"
        + table(
            ["column", "unit (with `log1p`)", "meaning"],
            [[f"`{name}`", unit, meaning] for name, unit, meaning in heads],
        )
        for title, heads in tables
    ]
    return (
        f"{HEAD}# Reference: lmm\n\n## Options\n\n"
        "The same words are keyword arguments in Python, `--flags` (with dashes) of the program and keys of its "
        "config file.\n\n"
        + table(["option", "taken by", "default", "choices", "meaning"], options)
        + "\n## Statuses of genes\n\n"
        + table(["word", "severity", "meaning"], statuses)
        + "".join(columns)
    )


def nbmm_page() -> str:
    """Options, statuses and table columns of the family `nbmm`."""
    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), meaning]
        for name, verbs, default, choices, meaning in _core.nbmm_options()
    ]
    statuses = [[f"`{word}`", severity, sentence] for word, severity, sentence in _core.nbmm_statuses()]
    columns = [[f"`{name}`", unit, meaning] for name, unit, meaning in _core.nbmm_test_columns()]
    return (
        f"{HEAD}# Reference: nbmm\n\n## Options\n\n"
        "The same words are keyword arguments in Python, `--flags` (with dashes) of the program and keys of its "
        "config file.\n\n"
        + table(["option", "taken by", "default", "choices", "meaning"], options)
        + "\n## Statuses of genes\n\nSeveral may be true of one gene; they are joined by `+`.\n\n"
        + table(["word", "severity", "meaning"], statuses)
        + "\n## Columns of the table of tests\n\n"
        + table(["column", "unit", "meaning"], columns)
    )


def limma_page() -> str:
    """Options, statuses and table columns of the family `limma`."""
    import ferrocyte as fe
    from ferrocyte._examples import small_counts

    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), meaning]
        for name, verbs, default, choices, meaning in _core.limma_options()
    ]
    statuses = [[f"`{word}`", severity, sentence] for word, severity, sentence in _core.limma_statuses()]
    counts, samples = small_counts()
    found = fe.limma.de(counts, "~ group", samples=samples, n_threads=1)
    columns = [
        f"\n## Columns of {title}\n\n"
        + table(
            ["column", "unit", "meaning"],
            [
                [f"`{name}`", frame.attrs["units"].get(name, ""), frame.attrs["meanings"].get(name, "")]
                for name in frame
            ],
        )
        for title, frame in [
            ("the table of `de`", found.table),
            ("its table of groups (`groups.tsv`)", found.groups),
            ("its table of samples (`samples.tsv`)", found.samples),
        ]
    ]
    return (
        f"{HEAD}# Reference: limma\n\n## Options of `de` and `pseudobulk`\n\n"
        "The same words are keyword arguments in Python (`fe.limma.de`, `fe.pp.pseudobulk`), `--flags` (with dashes) "
        "of the program and keys of its config file. Several contrasts are `contrasts=` in Python and a repeated "
        "`--contrast` of the program. The other verbs of `fe.limma` take limma's arguments; `help()` tells them.\n\n"
        + table(["option", "taken by", "default", "choices", "meaning"], options)
        + "\n## Statuses of genes\n\n"
        + table(["word", "severity", "meaning"], statuses)
        + "".join(columns)
    )


def cnmf_page() -> str:
    """Options and tables of the family `cnmf`."""
    import ferrocyte as fe
    from ferrocyte._examples import small_study

    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), meaning]
        for name, verbs, default, choices, meaning in _core.cnmf_options()
    ]
    run = fe.cnmf.fit(small_study(), [2, 3], n_iter=4, seed=1, n_genes=30, n_threads=1, progress=False)
    selection, report = run.selection, run.consensus(2, 2.0).report
    columns = [
        f"\n## Columns of {title}\n\n" + table(["column", "meaning"], [[f"`{n}`", t] for n, t in meanings.items()])
        for title, meanings in [
            ("the table of k selection", selection.attrs["meanings"]),
            ("the table of programs", report.attrs["meanings"]),
        ]
    ]
    return (
        f"{HEAD}# Reference: cnmf\n\n## Options\n\n"
        "`--flags` (with dashes) of `ferrocyte cnmf` and keys of its config file; `fe.cnmf.cNMF` has the same under "
        "the names of the program `cnmf`, `fe.cnmf.fit` under those of `help(fe.cnmf.fit)`.\n\n"
        + table(["option", "taken by", "default", "choices", "meaning"], options)
        + "".join(columns)
    )


def nmf_page() -> str:
    """Options, statuses and table columns of the family `nmf`."""
    import numpy as np

    import ferrocyte as fe

    options = [
        [f"`{name}`", code(default), ", ".join(map(code, choices)), meaning]
        for name, _, default, choices, meaning in _core.nmf_options()
    ]
    statuses = [[f"`{word}`", severity, sentence] for word, severity, sentence in _core.nmf_statuses()]
    frame = fe.nmf.fit(np.eye(3), 1, n_threads=1).replicas
    columns = [
        [f"`{name}`", frame.attrs["units"].get(name, ""), frame.attrs["meanings"].get(name, "")] for name in frame
    ]
    return (
        f"{HEAD}# Reference: nmf\n\n## Options of `fit`\n\n"
        "The same words are keyword arguments in Python (`fe.nmf.fit`), `--flags` (with dashes) of the program and "
        "keys of its config file. Several `k` are a list in Python and `5,10,15` on the command line.\n\n"
        + table(["option", "default", "choices", "meaning"], options)
        + "\n## Why iterations end\n\n"
        + table(["word", "severity", "meaning"], statuses)
        + "\n## Columns of the table of replicas (`replicas.tsv`)\n\n"
        + table(["column", "unit", "meaning"], columns)
    )


def cells_page() -> str:
    """Options of the command, the functions whose arguments they are, and the names of results in both dialects."""
    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), code(of and f"fe.{of}"), meaning]
        for name, verbs, default, choices, meaning, of in _core.cells_options()
    ]
    keys = [[code(scanpy or ""), code(exprmat or ""), meaning] for _, scanpy, exprmat, meaning in _core.cells_keys()]
    return (
        f"{HEAD}# Reference: cells\n\n## Options of the command\n\n"
        "The same words are `--flags` (with dashes) of the program and keys of its config file. Where an option is an "
        "argument of a function of the package, it has its default; `help()` of the function tells more.\n\n"
        + table(["option", "taken by", "default", "choices", "argument of", "meaning"], options)
        + "\n## Where results land\n\n"
        "Names in the dialects `scanpy` and `exprmat` (`--style`, `style=`). One of them is written; both are read.\n\n"
        + table(["scanpy", "exprmat", "what it is"], keys)
    )


def ecotype_page() -> str:
    """Options of the family `ecotype`."""
    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), meaning]
        for name, verbs, default, choices, meaning in _core.ecotype_options()
    ]
    return (
        f"{HEAD}# Reference: ecotype\n\n## Options\n\n"
        "The same words are keyword arguments in Python (`cv` is `cross_validate`, `ensemble` is `train_ensemble`), "
        "`--flags` (with dashes) of the program and keys of its config file.\n\n"
        + table(["option", "taken by", "default", "choices", "meaning"], options)
    )


def ctmm_page() -> str:
    """Options and statuses of the family `ctmm`."""
    options = [
        [f"`{name}`", ", ".join(verbs), code(default), ", ".join(map(code, choices)), meaning]
        for name, verbs, default, choices, meaning in _core.ctmm_options()
    ]
    statuses = [[f"`{word}`", severity, sentence] for word, severity, sentence in _core.ctmm_statuses()]
    return (
        f"{HEAD}# Reference: ctmm\n\n## Options\n\n"
        "The same words are keyword arguments in Python, `--flags` (with dashes) of the program and keys of its config "
        "file. `ferrocyte ctmm fit STUDY` takes those of `prepare` too; in Python `fit` takes what `prepare` gives.\n\n"
        + table(["option", "taken by", "default", "choices", "meaning"], options)
        + "\n## What can become of a gene\n\n"
        + table(["status", "severity", "reason"], statuses)
    )


def gxemm_page() -> str:
    """Options, statuses and table columns of the family `gxemm`."""
    import numpy as np

    import ferrocyte as fe

    options = [
        [f"`{name}`", code(default), ", ".join(map(code, choices)), meaning]
        for name, _, default, choices, meaning in _core.gxemm_options()
    ]
    statuses = [[f"`{word}`", severity, sentence] for word, severity, sentence in _core.gxemm_statuses()]
    rng = np.random.default_rng(0)
    genotypes = rng.normal(size=(60, 80))
    inside = np.arange(60) % 2 == 0
    frame = fe.gxemm.fit(
        rng.normal(size=60), inside.astype(float), genotypes @ genotypes.T / 80,
        np.column_stack([inside, ~inside]).astype(float), gtype="free", etype="free", method="he", n_threads=1,
    ).table  # fmt: skip
    columns = [
        [f"`{name}`", frame.attrs["units"].get(name, ""), frame.attrs["meanings"].get(name, "")] for name in frame
    ]
    return (
        f"{HEAD}# Reference: gxemm\n\n## Options of `fit`\n\n"
        "The same words are keyword arguments in Python, `--flags` (with dashes) of the program and keys of its config "
        "file.\n\n"
        + table(["option", "default", "choices", "meaning"], options)
        + "\n## What can become of a trait\n\n"
        + table(["status", "severity", "reason"], statuses)
        + "\n## Columns of the table\n\nOf two environments named 1 and 2, with `gtype` and `etype` free:\n\n"
        + table(["column", "unit", "meaning"], columns)
    )


def sim_page() -> str:
    """Options of the simulators."""
    parts = [
        f"{HEAD}# Reference: sim\n",
        "Studies of which the truth is known: `fe.sim.NAME(...)` in Python, `ferrocyte simulate NAME -o OUT.h5ad` in "
        "the program, with the same words (dashes for underscores) and, for the same options, the same counts.\n",
    ]
    options = _core.sim_options()
    for simulator in dict.fromkeys(verb for _, verbs, *_ in options for verb in verbs):
        rows = [
            [f"`{name}`", code(default), ", ".join(map(code, choices)), meaning]
            for name, verbs, default, choices, meaning in options
            if simulator in verbs
        ]
        parts.append(f"## `{simulator}`\n\n" + table(["option", "default", "choices", "meaning"], rows))
    return "\n".join(parts)


def command_page() -> str:
    """The help of every command of the program."""
    parts = [f"{HEAD}# Reference: the program\n"]
    for words, text in _core.cli_help_pages():
        body = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## `{words}`\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


PAGES = {
    "docs/reference/lmm.md": lmm_page,
    "docs/reference/nbmm.md": nbmm_page,
    "docs/reference/limma.md": limma_page,
    "docs/reference/cnmf.md": cnmf_page,
    "docs/reference/nmf.md": nmf_page,
    "docs/reference/cells.md": cells_page,
    "docs/reference/ecotype.md": ecotype_page,
    "docs/reference/ctmm.md": ctmm_page,
    "docs/reference/gxemm.md": gxemm_page,
    "docs/reference/sim.md": sim_page,
    "docs/reference/program.md": command_page,
}


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a page is out of date")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    if stale:
        print(f"out of date: {', '.join(stale)}: run `make docs`", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
