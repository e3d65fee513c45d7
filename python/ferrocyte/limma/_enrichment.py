"""Over-representation of pathways and terms, from a table of genes and terms that the user has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._messages import warn
from .._run import means
from ..errors import BadInputError
from ._containers import MArrayLM
from ._gene_sets import identifiers_of
from ._inputs import vector

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = ["goana", "goana_trend", "kegga", "top_go", "top_kegg"]


def kegga(
    de: Any,
    gene_pathway: Any,
    pathway_names: Any = None,
    universe: Any = None,
    *,
    restrict_universe: bool = False,
    prior_prob: Any = None,
    covariate: Any = None,
    coef: Any = -1,
    geneid: Any = None,
    fdr: float = 0.05,
    trend: Any = False,
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Test whether selected genes are in a pathway more often than other genes.

    Parameters
    ----------
    de
        Names of selected genes; several lists by name; or a moderated fit, whose genes with an adjusted p-value below
        `fdr` are selected, up and down.
    gene_pathway
        A table whose first two columns are gene and pathway; or genes by name of pathway.
    pathway_names
        A table whose first two columns are pathway and its name.
    universe
        All genes that could have been selected; by default those of `gene_pathway`, for a fit its own.
    restrict_universe
        Whether genes without any pathway are left out of the universe.
    prior_prob
        How likely each gene of the universe is to be selected, where that differs.
    covariate
        What that depends on, one number per gene of the universe; see :func:`goana_trend`.
    coef, geneid, fdr, trend
        For fits: the coefficient; what genes are called in `gene_pathway` (a column of the annotation, or one per
        gene); the cut-off; and the covariate, ``True`` for the mean log-value.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    pandas.DataFrame
        One row per pathway with a gene in the universe: ``Pathway``, ``N`` (its genes), and for every list its selected
        genes and the p-value: ``DE`` and ``P.DE``, or ``Up``, ``P.Up``, ``Down``, ``P.Down``.

    Notes
    -----
    P-values are tails of the hypergeometric distribution, with `prior_prob` or `covariate` of Wallenius' noncentral
    one.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> table = fe.limma.kegga(["a", "b"], {"p1": ["a", "b"], "p2": ["c", "d", "e"]})
    >>> float(table.loc["p1", "P.DE"].round(3))
    0.1
    """
    names = _names(pathway_names, ["Pathway"])
    return _tested(
        de,
        gene_pathway,
        names,
        ["Pathway"],
        universe,
        restrict=restrict_universe,
        odds=(prior_prob, covariate),
        of_fit=(coef, geneid, fdr, trend),
        n_threads=n_threads,
    )


def goana(
    de: Any,
    gene_term: Any,
    term_names: Any = None,
    universe: Any = None,
    *,
    restrict_universe: bool = False,
    prior_prob: Any = None,
    covariate: Any = None,
    coef: Any = -1,
    geneid: Any = None,
    fdr: float = 0.05,
    trend: Any = False,
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Test whether selected genes have an ontology term more often than other genes.

    Parameters
    ----------
    de, universe, restrict_universe, prior_prob, covariate, coef, geneid, fdr, trend, n_threads
        As for :func:`kegga`.
    gene_term
        A table whose first two columns are gene and term; or genes by term. A gene has the terms that it is listed
        with: ancestors of a term are not added.
    term_names
        A table whose first columns are the identifier of a term, its name, and, if there is a third, its ontology.

    Returns
    -------
    pandas.DataFrame
        As of :func:`kegga`, with ``Term`` and, where known, ``Ont`` in front.
    """
    names = _names(term_names, ["Term", "Ont"])
    columns = ["Term", "Ont"] if any(len(name) > 1 for name in names.values()) else ["Term"]
    return _tested(
        de,
        gene_term,
        names,
        columns,
        universe,
        restrict=restrict_universe,
        odds=(prior_prob, covariate),
        of_fit=(coef, geneid, fdr, trend),
        n_threads=n_threads,
    )


def goana_trend(index_de: Any, covariate: Any, n_prior: float = 10) -> Array:
    """How likely each gene is to be selected, given a covariate such as its mean expression or length.

    Parameters
    ----------
    index_de
        Positions of the selected genes, or a mask.
    covariate
        One number per gene. A gene without one (NaN) has the share among all.
    n_prior
        How strongly the trend is shrunk towards the share among all.
    """
    values = np.ascontiguousarray(np.asarray(covariate, dtype=float).reshape(-1))
    index = np.asarray(index_de).reshape(-1)
    index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
    if len(index) and (index.min() < 0 or index.max() >= len(values)):
        message = f"a position outside 0 to {len(values) - 1}"
        raise BadInputError(message, place="index_de")
    return _core.limma_goana_trend([int(g) for g in index], values, float(n_prior))


def top_kegg(
    results: pd.DataFrame, sort: Any = None, number: float = 20, truncate_path: int | None = None
) -> pd.DataFrame:
    """The first pathways of a table of :func:`kegga`.

    Parameters
    ----------
    results
        The table.
    sort
        Names of the lists (``"Up"``) by whose smallest p-value pathways are ordered; by default all.
    number
        Number of pathways; may be infinite.
    truncate_path
        Longest name of a pathway; longer ones are cut.
    """
    return _top(results, sort, number, "Pathway", truncate_path)


def top_go(
    results: pd.DataFrame,
    ontology: Any = ("BP", "CC", "MF"),
    sort: Any = None,
    number: float = 20,
    truncate_term: int | None = None,
) -> pd.DataFrame:
    """The first terms of a table of :func:`goana`.

    Parameters
    ----------
    results
        The table.
    ontology
        Which ontologies are kept, where the table tells them.
    sort
        Names of the lists (``"Up"``) by whose smallest p-value terms are ordered; by default all.
    number
        Number of terms; may be infinite.
    truncate_term
        Longest name of a term; longer ones are cut.
    """
    if "Ont" in results:
        kept = [ontology] if isinstance(ontology, str) else list(ontology)
        results = results[results["Ont"].isin(kept) | results["Ont"].isna()]
    return _top(results, sort, number, "Term", truncate_term)


def _tested(
    de: Any,
    annotation: Any,
    names: dict[str, tuple[Any, ...]],
    columns: list[str],
    universe: Any,
    *,
    restrict: bool,
    odds: tuple[Any, Any],
    of_fit: tuple[Any, Any, float, Any],
    n_threads: int | None,
) -> pd.DataFrame:
    import pandas as pd

    prior_prob, covariate = odds
    if isinstance(de, MArrayLM):
        de, universe, given = _of_fit(de, *of_fit)
        covariate = given if covariate is None else covariate
    lists = _lists(de)
    pairs = _pairs(annotation)
    tell = universe is not None and not restrict
    place, chances = _universe(universe, pairs.genes, lists, prior_prob, covariate, restrict=restrict)
    genes = np.array([place.get(gene, -1) for gene in pairs.genes], dtype=np.int64)[pairs.gene]
    there = genes >= 0
    if not there.any():
        message = "no gene of the table is in the universe"
        raise BadInputError(message, place="universe", hint="compare the names of genes in both")
    used = np.unique(pairs.term[there])
    used = used[np.argsort(np.array([pairs.terms[t] for t in used], dtype=object))]
    code = np.empty(len(pairs.terms), dtype=np.int64)
    code[used] = np.arange(len(used))
    terms = [pairs.terms[t] for t in used]
    n_genes, tests = _core.limma_over_representation(
        len(place),
        len(terms),
        (genes[there], code[pairs.term[there]]),
        [_selected(name, chosen, place, tell=tell) for name, chosen in lists.items()],
        chances,
        means(n_threads, progress=False),
    )
    table: dict[str, Any] = {
        column: [_nth(names.get(term, (term,)), k) for term in terms] for k, column in enumerate(columns)
    }
    table["N"] = n_genes
    table |= {name: counts for name, (counts, _) in zip(lists, tests, strict=True)}
    table |= {f"P.{name}": p_value for name, (_, p_value) in zip(lists, tests, strict=True)}
    return pd.DataFrame(table, index=pd.Index(terms))


def _universe(
    universe: Any, annotated: list[str], lists: dict[str, list[str]], prior_prob: Any, covariate: Any, *, restrict: bool
) -> tuple[dict[str, int], Array | None]:
    """Places of the genes that could have been selected, each once, and how likely they were."""
    if universe is None:
        if prior_prob is not None or covariate is not None:
            message = "prior_prob and covariate need the universe that they belong to"
            raise BadInputError(message, place="universe")
        return {gene: g for g, gene in enumerate(annotated)}, None
    rows = _texts(universe)
    kept = set(annotated) if restrict else set(rows)
    place = {gene: g for g, gene in enumerate(dict.fromkeys(gene for gene in rows if gene in kept))}
    chances = _chances(rows, lists, prior_prob, covariate)
    if chances is None:
        return place, None
    there = np.array([gene in kept for gene in rows])
    codes = [place[gene] for gene in rows if gene in kept]
    return place, np.bincount(codes, chances[there]) / np.bincount(codes)


def _of_fit(fit: MArrayLM, coef: Any, geneid: Any, fdr: float, trend: Any) -> tuple[dict[str, Any], list[str], Any]:
    """Lists of genes that go up and down, the universe, and the covariate."""
    if "p_value" not in fit:
        message = "the fit is not moderated"
        raise BadInputError(message, place="de", hint="e_bayes(fit) is first")
    j = fit.coef_index(coef)
    universe = _texts(identifiers_of(geneid, fit.genes))
    adjusted = _core.limma_p_adjust(np.ascontiguousarray(fit.p_value[:, j], dtype=float), "BH")
    called = np.nan_to_num(adjusted, nan=1.0) < fdr
    lists = {
        name: [universe[g] for g in np.flatnonzero(called & side)]
        for name, side in (("Up", fit.coefficients[:, j] > 0), ("Down", fit.coefficients[:, j] < 0))
    }
    if trend is False or trend is None:
        return lists, universe, None
    return lists, universe, fit.Amean if trend is True else trend


def _chances(rows: list[str], lists: dict[str, list[str]], prior_prob: Any, covariate: Any) -> Array | None:
    """How likely each row of the universe is to be selected."""
    if prior_prob is not None:
        return vector(prior_prob, len(rows), "prior_prob", "gene of the universe")
    if covariate is None:
        return None
    values = vector(covariate, len(rows), "covariate", "gene of the universe")
    selected = {gene for genes in lists.values() for gene in genes}
    return goana_trend(np.array([gene in selected for gene in rows]), values)


def _lists(de: Any) -> dict[str, list[str]]:
    lists = {str(name): _texts(genes) for name, genes in (de if isinstance(de, Mapping) else {"DE": de}).items()}
    if any(name in {"N", "Pathway", "Term", "Ont"} for name in lists):
        message = "N, Pathway, Term and Ont are other columns"
        raise BadInputError(message, place="de", hint="give the list another name")
    return lists


def _selected(name: str, genes: list[str], place: dict[str, int], *, tell: bool) -> list[int]:
    wanted = list(dict.fromkeys(genes))
    found = [place[gene] for gene in wanted if gene in place]
    if not found:
        message = f"no gene of `{name}` is in the universe" if wanted else f"`{name}` has no genes"
        warn(message)
    elif tell and len(found) < len(wanted):
        strange = [gene for gene in wanted if gene not in place]
        warn(f"{len(strange)} genes of `{name}` are not in the universe: {', '.join(strange[:5])}")
    return found


@dataclass
class _Pairs:
    """Genes and terms that belong together: positions of both among their names."""

    gene: Array
    genes: list[str]
    term: Array
    terms: list[str]


def _pairs(annotation: Any) -> _Pairs:
    if isinstance(annotation, Mapping):
        given = {term: _texts(genes) for term, genes in annotation.items()}
        lengths = [len(genes) for genes in given.values()]
        columns = (
            np.array([gene for genes in given.values() for gene in genes], dtype=object),
            np.repeat(np.array(list(given), dtype=object), lengths),
        )
    elif hasattr(annotation, "iloc") and annotation.shape[1] > 1:
        kept = annotation.iloc[:, :2].dropna()
        columns = kept.iloc[:, 0], kept.iloc[:, 1]
    else:
        message = "expected a table of genes and terms, or genes by term"
        raise BadInputError(message, place="gene_pathway")
    return _Pairs(*_coded(columns[0]), *_coded(columns[1]))


def _coded(values: Any) -> tuple[Array, list[str]]:
    """Positions of identifiers among their texts, in the order of appearance."""
    import pandas as pd

    codes, found = pd.factorize(values)
    # What differs as a number may not differ as a text.
    again, names = pd.factorize(np.array(_texts(found), dtype=object))
    return again[codes], list(names)


def _names(table: Any, columns: list[str]) -> dict[str, tuple[Any, ...]]:
    if table is None:
        return {}
    if isinstance(table, Mapping):
        return {str(term): (name,) for term, name in table.items()}
    wanted = table.iloc[:, 1 : len(columns) + 1]
    return dict(zip(_texts(table.iloc[:, 0]), wanted.itertuples(index=False, name=None), strict=True))


def _nth(name: tuple[Any, ...], k: int) -> Any:
    return name[k] if k < len(name) else None


def _texts(values: Any) -> list[str]:
    """Identifiers as texts; whole numbers without their point."""
    if isinstance(values, str):
        return [values]
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [str(int(x)) if isinstance(x, float) and x.is_integer() else str(x) for x in listed]


def _top(results: pd.DataFrame, sort: Any, number: float, label: str, longest: int | None) -> pd.DataFrame:
    there = [name[2:] for name in results.columns if name.startswith("P.")]
    wanted = there if sort is None else [sort] if isinstance(sort, str) else list(sort)
    strange = [name for name in wanted if name not in there]
    if strange or not wanted:
        message = f"there is no list `{strange[0]}`" if strange else "the table has no p-values"
        raise BadInputError(message, place="sort", hint=f"the lists are {', '.join(there)}")
    keys = results[["N", label]].reset_index(drop=True)
    keys["p"] = results[[f"P.{name}" for name in wanted]].min(axis=1).to_numpy()
    table = results.iloc[keys.sort_values(["p", "N", label], kind="stable").index[: int(min(number, len(results)))]]
    if longest is not None:
        cut = [str(name) if len(str(name)) <= longest else str(name)[: longest - 3] + "..." for name in table[label]]
        table = table.assign(**{label: cut})
    return table
