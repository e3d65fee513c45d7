"""What is asked of a fit beyond single contrasts: joint tests, components, shares, comparisons, random effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import Means
from .._tables import frame
from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

QUIET = Means(0, 2 << 30, None)

#: What a hypothesis may be given as.
Asked = Any


@dataclass
class HowTested:
    """How contrasts are tested, as the compiled module reads it."""

    df: str | None
    alternative: str
    adjust: str
    unit: str


def find_group(labels: Sequence[str], group: str | None) -> int:
    """The place of a group among the labels."""
    if group is None:
        if len(labels) == 1:
            return 0
        message = f"there are {len(labels)} groups"
        raise BadInputError(message, place="group", hint=f"name one of {', '.join(f'`{label}`' for label in labels)}")
    if group not in labels:
        message = f"there is no group `{group}`"
        raise MissingKeyError(message, place="group", hint=f"there are {', '.join(f'`{label}`' for label in labels)}")
    return list(labels).index(group)


def settings(at: Mapping[str, Any] | None) -> list[tuple[str, list[str]]]:
    """Values of other variables, each as a list of texts."""
    listed = {
        name: [value] if isinstance(value, str) or np.ndim(value) == 0 else value for name, value in (at or {}).items()
    }
    return [(str(name), [str(value) for value in values]) for name, values in listed.items()]


class Inference:
    """The part of :class:`~ferrocyte.lmm.Fit` that tests several things at once."""

    _core: _core.Fit
    _groups: list[dict[str, Any]]
    _labels: list[str]

    # Several coefficients

    def test_joint(
        self,
        hypothesis: str | Sequence[str] | Mapping[str, Asked] | np.ndarray[Any, Any] | pd.DataFrame,
        df: str | None = None,
        adjust: str = "group",
    ) -> pd.DataFrame:
        """Test several coefficients jointly: that all of them are zero (F test).

        Parameters
        ----------
        hypothesis
            A term of the formula (``"cell_type:condition"``: all its coefficients, its variables in any order); a list
            of terms, coefficients or linear expressions; weights, contrasts x coefficients, as an array (of all
            coefficients, in order) or a data frame (columns name the coefficients); or names with any of these, for
            several hypotheses in one table.
        df
            ``"moderated"``, ``"satterthwaite"`` or ``"residual"``, for the denominator; by default moderated where
            possible, else Satterthwaite.
        adjust
            Whether the false discovery rate is controlled per ``"group"`` and hypothesis, or over ``"all"`` rows.

        Returns
        -------
        DataFrame
            A row per group, hypothesis and gene, sorted by p-value within each: `group`, `gene`, `contrast` (the
            hypothesis), `F`, `df1`, `df2`, `p_value`, `adj_p_value`, `log10_p_value`, `status`, `reason`, `n_cells`.

        Raises
        ------
        MissingKeyError
            No such term or coefficient; the nearest names are listed.
        BadInputError
            An expression is no linear one, or the weights do not fit the coefficients.

        Notes
        -----
        Contrasts that depend on others are left out; `df1` counts those that remain, and units of covariates do not
        decide which. With one contrast F is t squared, and the p-value that of :meth:`test`. Satterthwaite's
        denominator is lmerTest's (of the rows as they are written); the moderated test is the mixture of F tests over
        what is plausible for the ratio of the variances.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition * cell_type + (1 | sample:cell_type)")
        >>> fit.test_joint(["conditionstim", "conditionstim:cell_typeT"]).df1.unique()
        array([2.])
        """
        if isinstance(hypothesis, str) or not hasattr(hypothesis, "items") or hasattr(hypothesis, "columns"):
            asked = [_one("", hypothesis)]
        else:
            asked = [_one(str(name), value) for name, value in hypothesis.items()]
        if not asked:
            message = "there is no hypothesis"
            terms = ", ".join(f"`{term}`" for term in _core.lmm_terms(self._core))
            raise BadInputError(message, place="hypothesis", hint=f"the terms are {terms}")
        return frame(_core.lmm_test_joint(self._core, asked, df, adjust, QUIET))

    def anova(self, df: str | None = None, adjust: str = "group") -> pd.DataFrame:
        """Test every term of the model jointly, each given all others: the table of :meth:`test_joint`.

        Parameters
        ----------
        df, adjust
            As of :meth:`test_joint`.

        Returns
        -------
        DataFrame
            As of :meth:`test_joint`, a hypothesis per term; the intercept is left out.

        Notes
        -----
        This is a type III analysis *of the coefficients*: where a factor takes part in an interaction, its own term is
        its effect at the reference level of the other factor. Test the interaction first, or write the model with
        ``0 + cell_type + cell_type:condition``, whose last term holds the effect in every cell type.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition * cell_type + (1 | sample:cell_type)")
        >>> list(fit.anova().contrast.cat.categories)
        ['log(libsize)', 'condition', 'cell_type', 'condition:cell_type']
        """
        return frame(_core.lmm_test_joint(self._core, [], df, adjust, QUIET))

    def pairwise(
        self,
        variable: str,
        at: Mapping[str, str | Sequence[str]] | None = None,
        df: str | None = None,
        alternative: str = "two.sided",
        adjust: str = "group",
        unit: str = "model",
    ) -> pd.DataFrame:
        """Test all differences of two levels of a factor, later level minus earlier.

        Parameters
        ----------
        variable
            The factor, a column of obs.
        at
            Levels of factors that interact with it: one, several, or ``"all"`` for each.
        df, alternative, adjust, unit
            As of :meth:`contrast`.

        Returns
        -------
        DataFrame
            As of :meth:`test`, a contrast per pair (and level).

        Raises
        ------
        MissingKeyError
            No such factor or level; the nearest names are listed.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition * cell_type + (1 | sample:cell_type)")
        >>> list(fit.pairwise("cell_type", at={"condition": "all"}).contrast.cat.categories)
        ['cell_type: T - B at condition = ctrl', 'cell_type: T - B at condition = stim']
        """
        asked = _core.lmm_differences(self._core, variable, None, settings(at), QUIET)
        return frame(self._core.test(asked, HowTested(df, alternative, adjust, unit), QUIET))

    # Variances

    def test_components(self, adjust: str = "group") -> pd.DataFrame:
        """Test whether each variance component is above zero.

        Parameters
        ----------
        adjust
            Whether the false discovery rate is controlled per ``"group"`` and component, or over ``"all"`` rows.

        Returns
        -------
        DataFrame
            A row per group, component and gene, sorted by `p_lr` within each: `group`, `gene`, `component`, `variance`,
            `se`, `z`, `p_z`, `adj_p_z`, `log10_p_z`, `lr`, `p_lr`, `adj_p_lr`, `log10_p_lr`, `status`, `reason`,
            `n_cells`.

        Notes
        -----
        `lr` compares with the model that lacks the component, all others fitted anew from the same sums. Where
        components may be negative, both tests are of the upper tail; where they are held at zero, `p_lr` is that of an
        even mixture of 0 and chi-squared with one degree of freedom. For a positive component that is the same number:
        half of what a plain chi-squared gives. With few units `z` is too careful; prefer `p_lr`.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | donor) + (1 | sample)")
        >>> list(fit.test_components().component.cat.categories)
        ['donor', 'sample']
        """
        return frame(_core.lmm_test_components(self._core, adjust, QUIET))

    def variance_shares(self) -> pd.DataFrame:
        """Share the variance of each gene between fixed effects, random terms and residual.

        Returns
        -------
        DataFrame
            A row per group and gene: `group`, `gene`, `variance` (the total over cells, by the model), then shares of
            it: `fixed`, one column per random term, `residual`; `r2_marginal` (by the fixed effects) and
            `r2_conditional` (by fixed and random effects) of Nakagawa and Schielzeth; `status`, `reason`, `n_cells`.
            Components below zero count as zero, and the status says so.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
        >>> shares = fit.variance_shares()
        >>> bool((shares[["fixed", "sample", "residual"]].sum(axis=1).round(12) == 1).all())
        True
        """
        return frame(_core.lmm_variance_shares(self._core, QUIET))

    def compare(self, other: Inference, adjust: str = "group") -> pd.DataFrame:
        """Compare with another model of the same genes and cells, gene by gene.

        Parameters
        ----------
        other
            The other fit: of sums of the same cells, by the same method. Fits by REML must have the same fixed effects:
            use ``method="ML"`` to compare fixed effects.
        adjust
            Whether the false discovery rate is controlled per ``"group"``, or over ``"all"`` rows.

        Returns
        -------
        DataFrame
            A row per group and gene, sorted by p-value: `group`, `gene`, log-likelihoods `ll_1` (this fit) and `ll_2`,
            `parameters_1`, `parameters_2`, `aic_1`, `aic_2`, `bic_1`, `bic_2`; where one model is within the other,
            `lr`, `df`, `p_value`, `adj_p_value`, `log10_p_value`; `status`, `reason`, `n_cells`.

        Raises
        ------
        BadInputError
            Genes, groups, cells, transform, method or `negative` differ, or REML fits differ in their fixed effects.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> adata = small_study()
        >>> small = fe.lmm.fit(adata, "~ log(libsize) + (1 | sample)", method="ML")
        >>> large = fe.lmm.fit(adata, "~ log(libsize) + condition + (1 | sample)", method="ML")
        >>> small.compare(large).gene[0]
        'gene1'
        """
        core = getattr(other, "_core", None)
        if not isinstance(core, _core.Fit):
            message = f"expected a fit, found {type(other).__name__}"
            raise BadInputError(message, place="other", hint="give the result of `fe.lmm.fit`")
        return frame(_core.lmm_compare(self._core, core, adjust, QUIET))

    # Random effects

    def random_effects(self, group: str | None = None) -> pd.DataFrame:
        """Predicted random effects (BLUPs), genes x q; NaN without estimate.

        Parameters
        ----------
        group
            A level of the grouping column; not needed where there is one group.

        Raises
        ------
        MissingKeyError
            There is no such group.
        """
        return self._effects(group, self._core.random_effects)

    def random_effects_se(self, group: str | None = None) -> pd.DataFrame:
        """Standard errors of the predicted random effects, genes x q.

        The standard deviation of prediction minus effect, the estimation of the fixed effects included; NaN without
        estimate and where the component is below zero.

        Parameters
        ----------
        group
            As of :meth:`random_effects`.
        """
        return self._effects(group, lambda i, means: _core.lmm_random_effect_errors(self._core, i, means))

    def ranef(self, gene: str, group: str | None = None) -> pd.DataFrame:
        """Predicted random effects of a gene, with their standard errors, as a long table.

        Parameters
        ----------
        gene
            Name of the gene; of several genes of one name, the first.
        group
            As of :meth:`random_effects`.

        Returns
        -------
        DataFrame
            `term`, `level`, `estimate`, `se`.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + cell_type + (1 | donor)")
        >>> list(fit.ranef("gene1").level)
        ['d1', 'd2', 'd3', 'd4', 'd5', 'd6']
        """
        import pandas as pd

        genes = self._core.genes
        if gene not in genes:
            message = f"there is no gene `{gene}`"
            raise MissingKeyError(message, place="gene")
        row = genes.index(gene)
        names = [(term, _level(term, name)) for term, name in self._columns(group)]
        return pd.DataFrame(
            {
                "term": [term for term, _ in names],
                "level": [level for _, level in names],
                "estimate": self.random_effects(group).to_numpy()[row],
                "se": self.random_effects_se(group).to_numpy()[row],
            }
        )

    def _columns(self, group: str | None) -> list[tuple[str, str]]:
        """Term and name of each random effect."""
        components = self._groups[find_group(self._labels, group)]["components"]
        return [(term, name) for term, columns, _ in components for name in columns]

    def _effects(self, group: str | None, ask: Any) -> pd.DataFrame:
        import pandas as pd

        index = find_group(self._labels, group)
        names = [name for _, name in self._columns(group)]
        return pd.DataFrame(ask(index, QUIET), index=pd.Index(self._core.genes, name="gene"), columns=names)


def _level(term: str, name: str) -> str:
    """The level of a random effect, from the name of its column: ``donord1`` of `donor` is ``d1``."""
    first, *rest = term.split(":")
    return name.removeprefix(first).removesuffix(":" + ":".join(rest)) if rest else name.removeprefix(first)


def _one(name: str, asked: Asked) -> Any:
    """One hypothesis as the compiled module takes it."""
    if isinstance(asked, str):
        return (name, [asked])
    if hasattr(asked, "columns"):
        coefficients, weights = [str(column) for column in asked.columns], asked.to_numpy(dtype=float)
        return (name or "weights", coefficients, np.ascontiguousarray(weights))
    if isinstance(asked, np.ndarray):
        return (name or "weights", [], np.ascontiguousarray(np.atleast_2d(np.asarray(asked, dtype=float))))
    return (name, [str(expression) for expression in asked])
