"""Fits of count models, and the tables that come of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import close_to
from .._tables import frame
from ..errors import BadInputError, MissingKeyError
from ..lmm._inference import QUIET as _QUIET
from ..lmm._inference import find_group, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import anndata as ad
    import pandas as pd

    from ._sums import Sums

__all__ = ["Fit", "Residuals"]


@dataclass
class HowTested:
    """How contrasts are tested, as the compiled module reads it."""

    statistic: str
    adjust: str
    allow_no_replication: bool


class Fit:
    """Count models of all genes, in all groups.

    Tables have genes as rows; with groups, the index is (group, gene). `coef`, `se`, `tau`, `s2` are the
    maximum-likelihood estimates of each gene alone; :meth:`contrast` and :meth:`test` are what conclusions should stand
    on.

    Made by :func:`ferrocyte.nbmm.fit`; it pickles, and :meth:`save` and :meth:`load` keep every bit.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)", groups="cell_type")
    >>> fit.coef.shape, fit.tau.shape
    ((80, 2), (80,))
    """

    def __init__(self, core: _core.NbFit) -> None:
        self._core = core
        self._groups: list[dict[str, Any]] = core.groups()
        self._labels: list[str] = [group["label"] for group in self._groups]
        self._tables: list[dict[str, Any]] | None = None

    # What was fitted

    @property
    def genes(self) -> pd.Index[Any]:
        """The genes, in order; names may repeat."""
        import pandas as pd

        return pd.Index(self._core.genes, name="gene")

    @property
    def formula(self) -> str:
        """The model, in canonical text."""
        return str(self.provenance["options"]["formula"])

    @property
    def coefficients(self) -> list[str]:
        """Names of the fixed effects, over all groups, in the order of the design."""
        return list(dict.fromkeys(name for group in self._groups for name in group["coefficients"]))

    @property
    def groups(self) -> pd.DataFrame:
        """Cells, donors, path, why it was refused, and moderation: a row per group."""
        import pandas as pd

        names = {"n_cells": "cells", "n_donors": "donors", "path": "path", "refused": "refused", "note": "moderation"}
        index = pd.Index([label or "all" for label in self._labels], name="group")
        return pd.DataFrame({new: [group[old] for group in self._groups] for old, new in names.items()}, index=index)

    @property
    def provenance(self) -> dict[str, Any]:
        """Method, version, resolved options, inputs and warnings: the same for the same work."""
        return self._core.provenance()

    @property
    def sums(self) -> Sums:
        """The sums that were fitted."""
        from ._sums import Sums

        return Sums(self._core.sums())

    # Estimates

    @property
    def coef(self) -> pd.DataFrame:
        """Coefficients, genes x coefficients, natural logarithms; infinite where the likelihood rises for ever."""
        return self._matrix("coef")

    @property
    def se(self) -> pd.DataFrame:
        """Their standard errors, from the observed information of all parameters; NaN without a finite estimate."""
        return self._matrix("se")

    @property
    def tau(self) -> pd.Series[Any]:
        """Overdispersion of cells: variance mu + tau mu squared. 1 / tau is `size` or `theta` elsewhere."""
        return self._column("tau")

    @property
    def s2(self) -> pd.Series[Any]:
        """Variance of the donor effect."""
        return self._column("s2")

    @property
    def tau_mod(self) -> pd.Series[Any]:
        """Moderated overdispersion: exp of the posterior mean of its logarithm; NaN without moderation."""
        return np.exp(self._column("ln_tau_mod")).rename("tau_mod")

    @property
    def s2_mod(self) -> pd.Series[Any]:
        """Moderated variance of the donor effect: exp of the posterior mean of its logarithm."""
        return np.exp(self._column("ln_s2_mod")).rename("s2_mod")

    @property
    def log_likelihood(self) -> pd.Series[Any]:
        """Log-likelihood of each gene, with all constants; its supremum where a coefficient is infinite."""
        return self._column("log_likelihood")

    @property
    def status(self) -> pd.Series[Any]:
        """What became of each gene: words joined by ``+``; ``ok`` where there is nothing to say."""
        return self._column("status")

    def estimates(self) -> pd.DataFrame:
        """All that the models of the genes tell, a row per gene (and group).

        Returns
        -------
        DataFrame
            `status`, `coef_<name>` and `se_<name>` of every coefficient, `tau`, `s2`, `se_ln_tau`, `se_ln_s2`,
            `tau_mod`, `s2_mod`, `log_likelihood`, `max_gradient` (what is left of it in a free parameter),
            `evaluations` of the likelihood.
        """
        import pandas as pd

        columns: dict[str, Any] = {"status": self.status}
        columns |= {f"coef_{name}": values for name, values in self.coef.items()}
        columns |= {f"se_{name}": values for name, values in self.se.items()}
        columns |= {name: self._column(name) for name in ("tau", "s2", "se_ln_tau", "se_ln_s2")}
        columns |= {"tau_mod": self.tau_mod, "s2_mod": self.s2_mod}
        columns |= {name: self._column(name) for name in ("log_likelihood", "max_gradient", "evaluations")}
        return pd.DataFrame(columns)

    # Tests

    def contrast(
        self,
        variable: str,
        level: str,
        reference: str,
        at: Mapping[str, str | Sequence[str]] | None = None,
        statistic: str = "auto",
        adjust: str = "group",
        allow_no_replication: bool = False,  # noqa: FBT001, FBT002 -- the word of the option
    ) -> pd.DataFrame:
        """Test one level of a factor against another.

        Parameters
        ----------
        variable
            The factor, a column of obs.
        level, reference
            The level of interest, and the one that it is compared with.
        at
            Levels of factors that interact with it: ``{"cell_state": "b"}``; several for a contrast at each.
        statistic, adjust, allow_no_replication
            As of :meth:`test`.

        Returns
        -------
        DataFrame
            As of :meth:`test`.

        Raises
        ------
        MissingKeyError
            No such factor or level; the nearest names are listed.
        """
        levels = settings(at)
        asked: list[Any] = [[]]
        for name, values in levels:
            asked = [[*known, (name, value)] for known in asked for value in values]
        contrasts = [(variable, level, reference, known) for known in asked]
        return self._test(contrasts, HowTested(statistic, adjust, bool(allow_no_replication)))

    def test(
        self,
        contrasts: str | Sequence[str] | Mapping[str, str],
        statistic: str = "auto",
        adjust: str = "group",
        allow_no_replication: bool = False,  # noqa: FBT001, FBT002 -- the word of the option
    ) -> pd.DataFrame:
        """Test linear expressions of coefficients.

        Parameters
        ----------
        contrasts
            An expression (``"conditionstim"``, ``"conditionstim - conditionctrl:stateb"``), a list of them, or names of
            contrasts with their expressions.
        statistic
            ``"wald"``, ``"lr"`` (likelihood ratio), or ``"auto"``: Wald, but a likelihood ratio for genes of which a
            coefficient is infinite.
        adjust
            Whether the false discovery rate is controlled per ``"group"`` and contrast, or over ``"all"`` rows.
        allow_no_replication
            Whether contrasts with fewer than two donors in an arm have p-values.

        Returns
        -------
        DataFrame
            A row per group, contrast and gene, sorted by p-value within each: `group`, `gene`, `contrast`, `estimate`
            (natural logarithm), `log_fc` (in log2), `se`, `t`, `df`, `p_value`, `adj_p_value`, `log10_p_value`, `p_t`,
            `ci_low`, `ci_high`, `status`, `reason`, `total`, `donors_expressing`. Units and meanings stand in
            ``attrs``.

        Raises
        ------
        MissingKeyError
            No such coefficient; the nearest names are listed.
        BadInputError
            The expression is no linear one.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)")
        >>> fit.test({"half": "conditionstim / 2"}).shape
        (40, 18)
        """
        if isinstance(contrasts, str):
            pairs = [("", contrasts)]
        elif hasattr(contrasts, "items"):
            pairs = [(str(name), str(expression)) for name, expression in contrasts.items()]
        else:
            pairs = [("", str(expression)) for expression in contrasts]
        if not pairs:
            message = "there is no contrast"
            raise BadInputError(message, place="contrasts", hint=f"the coefficients are {', '.join(self.coefficients)}")
        return self._test(pairs, HowTested(statistic, adjust, bool(allow_no_replication)))

    def _test(self, asked: list[Any], how: HowTested) -> pd.DataFrame:
        return frame(self._core.test(asked, how, _QUIET))

    def likelihood_ratio(self, expression: str, group: str | None = None) -> pd.DataFrame:
        """Test a contrast by the likelihood ratio of each gene alone, both variances fitted anew where it is zero.

        Parameters
        ----------
        expression
            A linear expression of coefficients.
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        DataFrame
            Index gene: `lr`, `p_value`, `log10_p_value`. Not moderated: liberal with few donors.
        """
        import pandas as pd

        index = find_group(self._labels, group)
        weights = _core.lmm_contrast_weights(self._groups[index]["coefficients"], [expression])[0]
        found = self._core.likelihood_ratio(index, weights.tolist(), _QUIET)
        ln_p = found["ln_p"]
        columns = {"lr": found["lr"], "p_value": np.exp(ln_p), "log10_p_value": ln_p / np.log(10)}
        return pd.DataFrame(columns, index=self.genes)

    def priors(self, group: str | None = None) -> dict[str, dict[str, Any]]:
        """What all genes say about the logarithms of tau and s2.

        Parameters
        ----------
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        dict
            `tau` and `s2`, each with `coefficients` (a0, a1, a2 of the trend over ln of total counts), `omega` (spread
            of the logarithm around it), `n_genes`, `trend` (ln of total counts between which the trend
            runs); empty where tests are not moderated.
        """
        return self._core.priors(find_group(self._labels, group))

    def prior_table(self, parameter: str = "s2", group: str | None = None) -> pd.DataFrame:
        """What each gene alone says about a variance, what all genes say, and the compromise: what figures show.

        Parameters
        ----------
        parameter
            ``"s2"``, the variance between donors, or ``"tau"``, the overdispersion of cells.
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        DataFrame
            Index gene: `total` (counts), `alone` (estimate of the gene), `prior` (median over genes with that total),
            `prior_sd` (spread of the logarithm around it), `moderated`. No rows where tests are not moderated.
        """
        import pandas as pd

        if parameter not in ("s2", "tau"):
            message = f"expected s2 or tau, found {parameter!r}"
            raise BadInputError(message, place="parameter")
        index = find_group(self._labels, group)
        prior = self._core.priors(index).get(parameter)
        columns = ["total", "alone", "prior", "prior_sd", "moderated"]
        if prior is None:
            return pd.DataFrame(columns=columns)
        found = self._found()[index]
        total = np.asarray(found["total"])
        low, high = prior["trend"]
        z = 2.0 * (np.clip(np.log(total + 0.5), low, high) - low) / (high - low) - 1.0 if high > low else 0.0 * total
        a0, a1, a2 = prior["coefficients"]
        values = [total, found[parameter], np.exp(a0 + z * (a1 + z * a2)), prior["omega"]]
        values.append(np.exp(found[f"ln_{parameter}_mod"]))
        return pd.DataFrame(dict(zip(columns, values, strict=True)), index=self.genes)

    def random_effects(self, group: str | None = None) -> pd.DataFrame:
        """What is known of each donor: its effect on every gene, in natural logarithms of the mean.

        Parameters
        ----------
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        DataFrame
            Index gene; columns (`effect`, donor) and (`se`, donor): posterior mean and standard deviation, at the
            moderated variances where there are. Zero where the donor variance is zero; NaN for genes without an
            estimate, and for donors whose cells all have an infinite coefficient.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)")
        >>> fit.random_effects()["effect"].shape
        (40, 12)
        """
        import pandas as pd

        found = self._core.random_effects(find_group(self._labels, group), _QUIET)
        donors = pd.Index(found["donors"])
        parts = {"effect": found["means"], "se": found["standard_errors"]}
        tables = {name: pd.DataFrame(values, index=self.genes, columns=donors) for name, values in parts.items()}
        return pd.concat(tables, axis=1)

    def ranef(self, gene: str, group: str | None = None) -> pd.DataFrame:
        """What is known of the donors of a gene, as a long table.

        Parameters
        ----------
        gene
            Name of the gene; of several genes of one name, the first.
        group
            As of :meth:`random_effects`.

        Returns
        -------
        DataFrame
            `term`, `level` (the donor), `estimate`, `se`, as of :meth:`random_effects`.

        Raises
        ------
        MissingKeyError
            No such gene or group.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)")
        >>> fit.ranef("gene2").shape
        (12, 4)
        """
        import pandas as pd

        names = list(self.genes)
        if gene not in names:
            message = f"there is no gene `{gene}`"
            raise MissingKeyError(message, place="gene", hint=close_to(gene, names))
        effects = self.random_effects(group)
        row = names.index(gene)
        estimates, errors = (effects[part].iloc[row] for part in ("effect", "se"))
        table = pd.DataFrame(
            {"term": self._unit(), "level": estimates.index, "estimate": estimates.to_numpy(), "se": errors.to_numpy()}
        )
        table.attrs["unit"] = "ln of the mean"
        return table

    def _unit(self) -> str:
        """What the random intercept is over."""
        found = re.search(r"\(1 \| ([^)]*)\)", self.formula)
        return found[1] if found else "donor"

    def shrunken(self) -> pd.DataFrame:
        """Coefficients that are finite throughout: for ranking and figures, where `coef` has infinite ones.

        Returns
        -------
        DataFrame
            As `coef`. Genes with an infinite coefficient have those of the likelihood with Jeffreys' prior (D. Firth,
            1993) at their (moderated) variances; the others have `coef`.
        """
        import pandas as pd

        parts = []
        for i, group in enumerate(self._groups):
            names = group["coefficients"]
            values = np.full((len(self.genes), len(names)), np.nan)
            parts.append(
                pd.DataFrame(values if group["refused"] else self._core.shrunken(i, _QUIET), columns=names).reindex(
                    columns=self.coefficients
                )
            )
        out = pd.concat(parts, ignore_index=True)
        out.index = self._index()
        return out

    def residuals(
        self,
        data: ad.AnnData | str | os.PathLike[str],
        *,
        conditional: bool = True,
        layer: str | None = None,
        na: str = "refuse",
        n_threads: int | None = None,
    ) -> Residuals:
        """Pearson residuals of the cells, given out in blocks.

        Parameters
        ----------
        data
            The study that was fitted: an AnnData or the path of an .h5ad file.
        conditional
            Given the effects of donors (variance m + tau m squared around the mean of the donor), or with these as part
            of the noise.
        layer
            The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
        na
            What to do with cells that lack a value which the model needs, as of :func:`ferrocyte.nbmm.fit`.
        n_threads
            Number of threads; by default all processors.

        Returns
        -------
        Residuals

        Raises
        ------
        BadInputError
            The cells have other donors, groups or covariates than those of the fit.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> study = small_study()
        >>> fit = fe.nbmm.fit(study, "~ condition + (1 | sample)")
        >>> fit.residuals(study).rows(0, 100).shape
        (100, 40)
        """
        return Residuals(self, data, layer, na, n_threads, conditional=bool(conditional))

    def to_df(self) -> pd.DataFrame:
        """All coefficients, tested: the tidy table of :meth:`test`, a contrast per coefficient."""
        return self.test(self.coefficients)

    # Keeping

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit as a part file (``.npz``); the same fit gives the same bytes."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fit:
        """Read a fit, of this class or of the program's ``nbmm fit``. The models are fitted again from the sums in it.

        Raises
        ------
        BadFileError
            The file does not exist, is damaged, or was not written by ferrocyte.
        """
        return cls(_core.NbFit.load(os.fspath(path), _QUIET))

    def store(self, adata: ad.AnnData, key: str = "nbmm", tests: pd.DataFrame | None = None) -> None:
        """Write the results into ``adata.uns[key]``: the only function here that touches an AnnData.

        Parameters
        ----------
        adata
            Where to; it can be written with ``write_h5ad`` afterwards.
        key
            The key in ``uns``; what stood there is replaced.
        tests
            The tests to keep, of :meth:`contrast` or :meth:`test`; by default of all coefficients (:meth:`to_df`).

        Notes
        -----
        ``uns[key]`` holds the data frames `tests`, `estimates` and `groups`, and `provenance` (JSON).
        """
        import json

        tests = self.to_df() if tests is None else tests.copy()
        tests.attrs = {}
        tables = {"tests": tests, "estimates": self.estimates().reset_index(), "groups": self.groups.reset_index()}
        for table in tables.values():
            table.index = table.index.astype(str)
            for name in ("gene", "status", "reason"):
                if name in table:
                    table[name] = table[name].astype("category")
        adata.uns[key] = {**tables, "provenance": json.dumps(self.provenance, sort_keys=True)}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_fit_from_bytes, (self._core.to_bytes(),))

    def __repr__(self) -> str:
        return self._core.describe()

    # Assembly of tables

    def _found(self) -> list[dict[str, Any]]:
        if self._tables is None:
            self._tables = [self._core.estimates(i) for i in range(len(self._groups))]
        return self._tables

    def _index(self) -> pd.Index[Any]:
        import pandas as pd

        genes = self.genes
        if not self._core.groups_by:
            return genes
        repeated = np.repeat(np.asarray(self._labels, dtype=object), len(genes))
        return pd.MultiIndex.from_arrays(
            [repeated, np.tile(np.asarray(genes), len(self._labels))], names=["group", "gene"]
        )

    def _matrix(self, name: str) -> pd.DataFrame:
        import pandas as pd

        parts = [
            pd.DataFrame(found[name].copy(), columns=group["coefficients"]).reindex(columns=self.coefficients)
            for group, found in zip(self._groups, self._found(), strict=True)
        ]
        out = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        out.index = self._index()
        return out

    def _column(self, name: str) -> pd.Series[Any]:
        import pandas as pd

        parts = [np.asarray(found[name]) for found in self._found()]
        return pd.Series(np.concatenate(parts), index=self._index(), name=name)


class Residuals:
    """Pearson residuals of the cells of a study, read in blocks as they are asked for.

    NaN stands for cells that the model left out and for genes without an estimate. Made by :meth:`Fit.residuals`.
    """

    def __init__(
        self, fit: Fit, data: Any, layer: str | None, na: str, n_threads: int | None, *, conditional: bool
    ) -> None:
        from .._run import means
        from .._sources import open_source

        self._source = open_source(data, layer)
        self._means = means(n_threads, None, progress=False)
        options = fit.provenance["options"]
        variables = _core.lmm_variables(fit.formula, [])
        offset = options["offset"].removeprefix("obs column `").removesuffix("`")
        wanted = [name for name in variables if name != "libsize"]
        wanted += [options["groups"]] if options["groups"] else []
        wanted += [offset] if options["offset"].startswith("obs column `") and offset not in wanted else []
        columns = self._source.columns(wanted, ["libsize"] if "libsize" in variables else [])
        source = self._source
        self._core = fit._core.residuals(
            source.matrix, source.genes, source.n_cells, columns, na, conditional, self._means
        )
        self.genes = fit.genes
        self.n_cells = source.n_cells

    def rows(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """The residuals of the cells `start` to `stop`, cells x genes, single precision."""
        return self._core.rows(self._source.matrix, int(start), int(stop), self._means)

    def blocks(self, size: int = 4096) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """All cells, `size` at a time: the number of the first, and the residuals.

        Parameters
        ----------
        size
            Cells in a block: what is held in memory at once.

        Yields
        ------
        int, ndarray
            The first cell of the block, and cells x genes.
        """
        for start in range(0, self.n_cells, size):
            yield start, self.rows(start, min(start + size, self.n_cells))

    def __repr__(self) -> str:
        return f"nbmm residuals: {self.n_cells:,} cells x {len(self.genes):,} genes"


def _fit_from_bytes(data: bytes) -> Fit:
    return Fit(_core.NbFit.from_bytes(data, _QUIET))
