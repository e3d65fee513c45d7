"""Fits of linear mixed models, and the tables that come of them."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._tables import frame
from ..errors import BadInputError
from ._inference import QUIET as _QUIET
from ._inference import HowTested, Inference, find_group, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Fit"]


class Study:
    """Where the cells of a fit are: paths, or an AnnData that is not kept alive for it."""

    def __init__(self, data: Any, layer: str | None) -> None:
        self.layer = layer
        self._path: Any = None
        if isinstance(data, (str, os.PathLike)):
            self._path = os.fspath(data)
        elif isinstance(data, (list, tuple)):
            self._path = [os.fspath(path) for path in data]
        self._adata = None if self._path is not None else weakref.ref(data)

    def data(self) -> Any:
        return self._path if self._adata is None else self._adata()


class Fit(Inference):
    """Linear mixed models of all genes, in all groups.

    Tables have genes as rows and coefficients as columns; with groups, the index is (group, gene). `coef`, `se`,
    `t`, `p` are the plain estimates with n - p degrees of freedom (the numbers of FLASH-MM); :meth:`contrast` and
    :meth:`test` are what conclusions should stand on, :meth:`test_joint` and :meth:`anova` where several coefficients
    are one question, :meth:`test_components` where it is a variance.

    Made by :func:`ferrocyte.lmm.fit`; it pickles, and :meth:`save` and :meth:`load` keep every bit.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + donor + condition + (1 | sample)", groups="cell_type")
    >>> fit.coef.shape, fit.theta.shape
    ((80, 8), (80, 2))
    >>> fit.status.value_counts().index[0] in ("ok", "negative")
    True
    """

    def __init__(self, core: _core.Fit, study: Study | None = None) -> None:
        self._core = core
        self._study = study
        self._groups: list[dict[str, Any]] = core.groups()
        self._labels: list[str] = [group["label"] for group in self._groups]
        self._tables: dict[str, Any] = {}
        self._last_contrast: str | None = None

    # What was fitted

    @property
    def genes(self) -> pd.Index[Any]:
        """The genes, in order; names may repeat."""
        import pandas as pd

        return pd.Index(self._core.genes, name="gene")

    @property
    def formula(self) -> str:
        """The model, in canonical text."""
        return self._core.formula

    @property
    def unit(self) -> str:
        """The unit of the transformed counts; estimates are differences of it."""
        return self._core.unit

    @property
    def coefficients(self) -> list[str]:
        """Names of the fixed effects, over all groups, in the order of the design."""
        return list(dict.fromkeys(name for group in self._groups for name in group["coefficients"]))

    @property
    def groups(self) -> pd.DataFrame:
        """Cells, units (such as ``16 sample``), why it was refused, and moderation: a row per group."""
        import pandas as pd

        units = [", ".join(f"{n} {name}" for name, _, n in group["components"]) for group in self._groups]
        return pd.DataFrame(
            {
                "cells": [group["n_cells"] for group in self._groups],
                "units": units,
                "refused": [group["refused"] for group in self._groups],
                "moderation": [group["note"] for group in self._groups],
            },
            index=pd.Index([label or "all" for label in self._labels], name="group"),
        )

    def support(self) -> pd.DataFrame:
        """How many cells and units (samples, donors) stand behind each coefficient.

        Returns
        -------
        DataFrame
            As of :meth:`Sums.support`.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
        >>> fit.support()[["coefficient", "n_cells", "n_sample"]]
              coefficient  n_cells  n_sample
        0     (Intercept)    240.0      12.0
        1    log(libsize)    240.0      12.0
        2  conditionstim    120.0       6.0
        """
        return frame(self._core.support())

    @property
    def provenance(self) -> dict[str, Any]:
        """Method, version, resolved options, inputs and warnings: the same for the same work."""
        return self._core.provenance()

    # Estimates

    @property
    def coef(self) -> pd.DataFrame:
        """Estimates of the fixed effects, genes x coefficients; difference of the transformed counts."""
        return self._estimates("estimate")

    @property
    def se(self) -> pd.DataFrame:
        """Their standard errors; NaN where the covariance of the cells is not positive definite."""
        return self._estimates("se")

    @property
    def t(self) -> pd.DataFrame:
        """``coef / se``."""
        return self._estimates("t")

    @property
    def p(self) -> pd.DataFrame:
        """Two-sided p-values with n - p degrees of freedom: as if cells were replicates. Prefer :meth:`test`."""
        return self._estimates("p")

    @property
    def df_satterthwaite(self) -> pd.DataFrame:
        """Satterthwaite's degrees of freedom of each coefficient."""
        return self._estimates("df")

    @property
    def theta(self) -> pd.DataFrame:
        """Variance components, genes x (``var1 .. vark, var0``), the residual last; may be below zero."""
        return self._components("theta")

    @property
    def se_theta(self) -> pd.DataFrame:
        """Standard errors of the variance components, from the expected information."""
        return self._components("se_theta")

    @property
    def dlogL(self) -> pd.DataFrame:  # noqa: N802 -- the name that the literature and FLASH-MM give it
        """Gradient of the (restricted) log-likelihood at the estimates; zero up to rounding."""
        return self._components("dlogL")

    @property
    def log_likelihood(self) -> pd.Series[Any]:
        """Log-likelihood of each gene; REML's compares only between models with the same fixed effects."""
        return self._components("log_likelihood")

    @property
    def n_iter(self) -> pd.Series[Any]:
        """Evaluations of the gradient."""
        return self._components("n_iter")

    @property
    def status(self) -> pd.Series[Any]:
        """A word per gene (and group): ``ok``, ``negative``, ``all_zero``, ..."""
        return self._statuses(0, "status")

    @property
    def reason(self) -> pd.Series[Any]:
        """The status in a sentence; empty for ``ok``."""
        return self._statuses(2, "reason")

    # Tests

    def contrast(
        self,
        variable: str,
        level: str,
        reference: str,
        at: Mapping[str, str | Sequence[str]] | None = None,
        df: str | None = None,
        alternative: str = "two.sided",
        adjust: str = "group",
        unit: str = "model",
    ) -> pd.DataFrame:
        """Test one level of a factor against another.

        Parameters
        ----------
        variable
            The factor, a column of obs.
        level, reference
            The level of interest, and the one that it is compared with.
        at
            Levels of factors that interact with it: ``{"cell_type": "B"}``; several, or ``"all"``, for a contrast at
            each.
        df
            ``"moderated"``, ``"satterthwaite"`` or ``"residual"``; by default moderated where possible, else
            Satterthwaite. ``"residual"`` counts cells as replicates: for comparison with other programs only.
        alternative
            ``"two.sided"``, ``"less"`` or ``"greater"``.
        adjust
            Whether the false discovery rate is controlled per ``"group"`` and contrast, or over ``"all"`` rows.
        unit
            ``"model"``: estimates and standard errors in the unit of the transform; ``"log2"``: in log2. Neither t nor
            p-values change.

        Returns
        -------
        DataFrame
            As of :meth:`test`.

        Raises
        ------
        MissingKeyError
            No such factor or level; the nearest names are listed.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition * cell_type + (1 | sample)")
        >>> fit.contrast("condition", "stim", "ctrl", at={"cell_type": "B"}).contrast[0]
        'condition: stim - ctrl at cell_type = B'
        >>> len(fit.contrast("condition", "stim", "ctrl", at={"cell_type": "all"}).contrast.cat.categories)
        2
        """
        asked = _core.lmm_differences(self._core, variable, (level, reference), settings(at), _QUIET)
        table = self._test(asked, HowTested(df, alternative, adjust, unit))
        self._last_contrast = variable
        return table

    def test(
        self,
        contrasts: str | Sequence[str] | Mapping[str, str],
        df: str | None = None,
        alternative: str = "two.sided",
        adjust: str = "group",
        unit: str = "model",
    ) -> pd.DataFrame:
        """Test linear expressions of coefficients.

        Parameters
        ----------
        contrasts
            An expression (``"conditionstim"``, ``"cls1:trtB - cls2:trtB"``), a list of them, or names of contrasts
            with their expressions.
        df, alternative, adjust, unit
            As of :meth:`contrast`.

        Returns
        -------
        DataFrame
            A row per group, contrast and gene, sorted by p-value within each: `group`, `gene`, `contrast`, `estimate`
            and `se` (difference of the transformed counts), `t`, `df`, `p_value`, `adj_p_value` (false discovery
            rate, over the genes that have a p-value), `log10_p_value`, `status`, `reason`, `n_cells`. Units and
            meanings stand in ``attrs``.

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
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
        >>> fit.test({"half": "conditionstim / 2"}).shape
        (40, 13)
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
        return self._test(pairs, HowTested(df, alternative, adjust, unit))

    def _test(self, asked: list[Any], how: HowTested) -> pd.DataFrame:
        return frame(self._core.test(asked, how, _QUIET))

    def moderation(self, expression: str, group: str | None = None) -> pd.DataFrame | None:
        """Show what moderation makes of each gene: the priors, and the test of one contrast.

        Parameters
        ----------
        expression
            A linear expression of coefficients.
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        DataFrame or None
            Index gene. `trend` (ln of the mean of the transformed counts), `residual_prior` (prior residual variance),
            `ln_gamma` (posterior mean of ln of the ratio of component and residual variance; with two components one
            for each, `ln_gamma_` and its name), `estimate`, `se`, `t`,
            `df`, `p_value` (of the mixture over that ratio), `p_value_t` (of `t` with `df`). ``None`` where tests are
            not moderated; :attr:`groups` says why.
        """
        import pandas as pd

        index = find_group(self._labels, group)
        priors = self._core.priors(index)
        weights = _core.lmm_contrast_weights(self._groups[index]["coefficients"], [expression])[0]
        tested = self._core.moderated(index, weights.tolist(), "two.sided", _QUIET)
        if not priors or tested is None:
            return None
        names = [name for name, _, _ in self._groups[index]["components"]]
        suffixes = [""] if len(priors) == 1 else [f"_{name}" for name in names]
        t = tested["estimate"] / tested["se"]
        return pd.DataFrame(
            {
                "trend": priors[0]["trend"],
                "residual_prior": priors[0]["residual_variance"],
                **{f"ln_gamma{suffix}": prior["ln_gamma"] for suffix, prior in zip(suffixes, priors, strict=True)},
                "estimate": tested["estimate"],
                "se": tested["se"],
                "t": t,
                "df": tested["df"],
                "p_value": tested["p"],
                "p_value_t": _core.lmm_t_p_values(t, tested["df"], "two.sided"),
            },
            index=self.genes,
        )

    def priors(self, group: str | None = None) -> pd.DataFrame:
        """Show what all genes say about the variance between units, and what it makes of each gene's.

        Parameters
        ----------
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        DataFrame
            A row per random term and gene: `component`, `gene`, `trend` (ln of the mean of the transformed counts),
            `ratio` (estimate of the gene alone: variance of the term over the residual variance, which may be below
            zero), `prior` (median of the distribution over genes of that expression), `prior_sd` (its spread in ln),
            `posterior` (the compromise that moderated tests average around), `residual_prior` (prior residual
            variance). No rows where tests are not moderated.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
        >>> fit.priors().columns.tolist()[:6]
        ['component', 'gene', 'trend', 'ratio', 'prior', 'prior_sd']
        """
        import pandas as pd

        index = find_group(self._labels, group)
        names = [name for name, _, _ in self._groups[index]["components"]]
        theta = self._core.components(index, False, _QUIET)["theta"]  # noqa: FBT003 -- no standard errors
        parts = [
            pd.DataFrame(
                {
                    "component": name,
                    "gene": self.genes.to_numpy(),
                    "trend": prior["trend"],
                    "ratio": theta[:, i] / theta[:, -1],
                    "prior": np.exp(prior["ln_gamma_prior"]),
                    "prior_sd": prior["omega"],
                    "posterior": np.exp(prior["ln_gamma"]),
                    "residual_prior": prior["residual_variance"],
                }
            )
            for i, (name, prior) in enumerate(zip(names, self._core.priors(index), strict=False))
        ]
        columns = ["component", "gene", "trend", "ratio", "prior", "prior_sd", "posterior", "residual_prior"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def to_df(self) -> pd.DataFrame:
        """All coefficients, tested: the tidy table of :meth:`test`, a contrast per coefficient."""
        return self.test(self.coefficients)

    # Keeping

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit as a part file (``.npz``); the same fit gives the same bytes."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fit:
        """Read a fit, of this class or of the program's ``lmm fit``.

        Raises
        ------
        BadFileError
            The file does not exist, is damaged, or was not written by ferrocyte.
        """
        return cls(_core.Fit.load(os.fspath(path), _QUIET))

    def store(self, adata: ad.AnnData, key: str = "lmm", tests: pd.DataFrame | None = None) -> None:
        """Write the results into ``adata.uns[key]``: the only function here that touches an AnnData.

        Parameters
        ----------
        adata
            Where to; it can be written with ``write_h5ad`` afterwards.
        key
            The key in ``uns``; what stood there is replaced.
        tests
            The tests to keep, of :meth:`contrast` or :meth:`test`; by default of all coefficients (:meth:`to_df`),
            which are many where donors are fixed effects.

        Notes
        -----
        ``uns[key]`` holds the data frames `tests`, `components` (variance components, status and
        reason per group and gene), `groups`, and `provenance` (JSON).
        """
        import json

        tests = self.to_df() if tests is None else tests.copy()
        tests.attrs = {}
        components = self.theta.reset_index()
        components.columns = [str(name) for name in components.columns]
        components["log_likelihood"] = self.log_likelihood.to_numpy()
        components["status"] = self.status.to_numpy()
        components["reason"] = self.reason.to_numpy()
        for name in ("gene", "reason"):
            # Few distinct texts: a fraction of the bytes and of the time.
            tests[name] = tests[name].astype("category")
        groups = self.groups.reset_index()
        for table in (tests, components, groups):
            table.index = table.index.astype(str)
        adata.uns[key] = {
            "tests": tests,
            "components": components,
            "groups": groups,
            "provenance": json.dumps(self.provenance, sort_keys=True),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (_fit_from_bytes, (self._core.to_bytes(),))

    def __repr__(self) -> str:
        return self._core.describe()

    # Figures

    def plot_gene(
        self,
        gene: str,
        *,
        condition: str | None = None,
        unit: str | None = None,
        group: str | None = None,
        data: ad.AnnData | str | os.PathLike[str] | None = None,
        ax: Axes | None = None,
        **keywords: Any,
    ) -> Axes:
        """Draw a gene's expression by condition: a point per sample, a line per donor, cells behind.

        Parameters
        ----------
        gene
            Name of the gene.
        condition
            Factor on the x axis; by default that of the last :meth:`contrast`, else the last fixed factor.
        unit
            Factor whose levels are joined by lines; by default one of the model that occurs in several conditions.
        group
            Only the cells of this group.
        data
            The study; needed after :meth:`load` and unpickling, or once the AnnData is gone.
        ax
            Where to draw; by default a new figure.
        **keywords
            Passed to :func:`ferrocyte.pl.plot_gene`.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ..pl._gene import plot_gene_of_fit

        return plot_gene_of_fit(self, gene, condition=condition, unit=unit, group=group, data=data, ax=ax, **keywords)

    # Assembly of tables

    def _index(self) -> pd.Index[Any]:
        import pandas as pd

        if "index" not in self._tables:
            index = genes = self.genes
            if self._core.groups_by:
                repeated = np.repeat(np.asarray(self._labels, dtype=object), len(genes))
                index = pd.MultiIndex.from_arrays(
                    [repeated, np.tile(np.asarray(genes), len(self._labels))], names=["group", "gene"]
                )
            self._tables["index"] = index
        # An index is immutable but for its name.
        return self._tables["index"].copy(deep=False)

    def _estimates(self, name: str) -> pd.DataFrame:
        import pandas as pd

        if "estimates" not in self._tables:
            self._tables["estimates"] = [self._core.estimates(i, None, None, _QUIET) for i in range(len(self._groups))]
        for found in self._tables["estimates"]:
            if name == "p" and "p" not in found:
                t, df = found["t"].ravel(), np.full(found["t"].size, found["residual_df"])
                found["p"] = _core.lmm_t_p_values(t, df, "two.sided").reshape(found["t"].shape)
        columns, index = self.coefficients, self._index()
        if len(self._groups) == 1:
            # A table that is changed must not change the next one.
            return pd.DataFrame(self._tables["estimates"][0][name].copy(), index, columns, copy=False)
        parts = [
            pd.DataFrame(found[name], columns=group["coefficients"]).reindex(columns=columns)
            for group, found in zip(self._groups, self._tables["estimates"], strict=True)
        ]
        out = pd.concat(parts, ignore_index=True)
        out.index = index
        return out

    def _components(self, name: str) -> Any:
        import pandas as pd

        errors = name in ("se_theta", "dlogL")
        key = "errors" if errors else "components"
        if key not in self._tables:
            self._tables[key] = [self._core.components(i, errors, _QUIET) for i in range(len(self._groups))]
        parts = [found[name] for found in self._tables[key]]
        if parts[0].ndim == 1:
            return pd.Series(np.concatenate(parts), index=self._index(), name=name)
        width = max(part.shape[1] for part in parts)
        parts = [part if part.shape[1] == width else np.full((len(part), width), np.nan) for part in parts]
        columns = [*(f"var{i}" for i in range(1, width)), "var0"]
        return pd.DataFrame(np.concatenate(parts), index=self._index(), columns=columns)

    def _statuses(self, which: int, name: str) -> pd.Series[Any]:
        import pandas as pd

        words = np.asarray([pair[which] for pair in _core.lmm_statuses()], dtype=object)
        codes = np.concatenate([self._core.outcomes(i) for i in range(len(self._groups))])
        return pd.Series(words[codes], index=self._index(), name=name)


def _fit_from_bytes(data: bytes) -> Fit:
    return Fit(_core.Fit.from_bytes(data, _QUIET))
