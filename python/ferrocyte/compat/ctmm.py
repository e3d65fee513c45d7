"""The names of the Python package ctmm 1.1.0: ``op.free_HE(y_f, P_f, nu_f)``, ``ctp.full_ML(y_f, P_f, ctnu_f)``.

Change ``from ctmm import ctp`` to ``from ferrocyte.compat.ctmm import ctp``. Every function takes one gene, paths of
headerless text tables or arrays, and returns a dictionary of estimates and one of p-values (``full_*`` only the first).
``par``, ``method``, ``nrep`` and ``optim_by_R`` steered an optimiser that is not here: they are accepted, and a warning
says once that they have no effect. For all genes at once: :func:`ferrocyte.ctmm.fit`.
"""

# The arguments are those of the peer.
# ruff: noqa: FBT001, FBT002

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ctmm as _ctmm
from ..errors import FerrocyteWarning, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ctp", "op"]

_told: set[str] = set()


def _table(given: Any) -> np.ndarray[Any, Any]:
    """A headerless text table, or an array."""
    values = np.loadtxt(given) if isinstance(given, (str, os.PathLike)) else np.asarray(given)
    return np.asarray(values, dtype=np.float64)


def _ignored(**given: Any) -> None:
    """Says once of each argument of the peer's optimiser that it does nothing here."""
    for name, value in given.items():
        if name not in _told and value not in (None, False, 10):
            _told.add(name)
            message = f"`{name}` has no effect: the estimate is a defined one, found without random starts"
            warnings.warn(message, FerrocyteWarning, stacklevel=4)


def _columns(given: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.atleast_2d(_table(values).T).T for name, values in given.items()}


def _run(
    level: str, model: str, method: str, y: Any, share: Any, noise: Any, fixed: Any, random: Any, **how: Any
) -> Any:
    y, noise = _table(y), _table(noise)
    found = _ctmm.fit(
        y[None],
        noise[None],
        _table(share),
        level=level,
        model=model,
        method=method.lower(),
        fixed=_columns(fixed or {}),
        random=_columns(random or {}),
        progress=False,
        **how,
    )
    out = found.peer(0)
    if level == "op":
        out["nu"] = float(np.mean(noise))
    p = out.pop("p")
    if model == "hom":
        p.pop("V")
    return out if model == "full" else (out, p)


class _Level:
    """Functions of one level: ``hom``, ``iid``, ``free`` and ``full`` by ``HE``, ``ML`` and ``REML``."""

    def __init__(self, level: str) -> None:
        self._level = level
        for model in ("hom", "iid", "free", "full"):
            for method in ("ML", "REML"):
                setattr(self, f"{model}_{method}", self._likelihood(model, method))
            setattr(self, f"{model}_HE", self._moments(model))

    def _likelihood(self, model: str, estimator: str) -> Any:
        level = self._level

        def of_op(
            y_f: Any,
            P_f: Any,
            nu_f: Any,
            fixed_covars_d: Any = {},  # noqa: B006
            random_covars_d: Any = {},  # noqa: B006
            par: Any = None,
            method: Any = None,
            nrep: int = 10,
            optim_by_R: bool = False,
            jack_knife: bool = False,
        ) -> Any:
            _ignored(par=par, method=method, nrep=nrep, optim_by_R=optim_by_R)
            return _run("op", model, estimator, y_f, P_f, nu_f, fixed_covars_d, random_covars_d, jackknife=jack_knife)

        def of_ctp(
            y_f: Any,
            P_f: Any,
            ctnu_f: Any,
            nu_f: Any = None,
            fixed_covars_d: Any = {},  # noqa: B006
            random_covars_d: Any = {},  # noqa: B006
            par: Any = None,
            method: Any = None,
            nrep: int = 10,
            optim_by_R: bool = False,
            jack_knife: bool = False,
            information: bool = True,
        ) -> Any:
            _ignored(par=par, method=method, nrep=nrep, optim_by_R=optim_by_R)
            if not information:
                message = "standard errors from a numerical Hessian are not offered"
                raise UnsupportedError(message, place="information", hint="information=True, or jack_knife=True")
            out = _run("ctp", model, estimator, y_f, P_f, ctnu_f, fixed_covars_d, random_covars_d, jackknife=jack_knife)
            return _with_nu(out, nu_f)

        return _renamed(of_op if level == "op" else of_ctp, f"{model}_{estimator}")

    def _moments(self, model: str) -> Any:
        level = self._level

        def of_op(
            y_f: Any,
            P_f: Any,
            nu_f: Any,
            fixed_covars_d: Any = {},  # noqa: B006
            random_covars_d: Any = {},  # noqa: B006
            jack_knife: bool = False,
        ) -> Any:
            test = "gls_jackknife"
            how = {"jackknife": jack_knife, "mean_test": test}
            return _run("op", model, "HE", y_f, P_f, nu_f, fixed_covars_d, random_covars_d, **how)

        def of_ctp(
            y_f: Any,
            P_f: Any,
            ctnu_f: Any,
            nu_f: Any = None,
            fixed_covars_d: Any = {},  # noqa: B006
            random_covars_d: Any = {},  # noqa: B006
            jack_knife: bool = True,
            ols: bool = True,
            gls: bool = False,
            ols_jk: bool = False,
            gls_jk: bool = False,
            ct_specific_random: bool = False,
        ) -> Any:
            if gls or ct_specific_random:
                name = "gls" if gls else "ct_specific_random"
                message = f"`{name}=True` is not offered"
                raise UnsupportedError(message, place=name, hint="gls_jk=True tests weighted means")
            test = "ols" if ols and model == "free" else "gls_jackknife"
            if not ols and ols_jk:
                test = "ols_jackknife"
            elif not ols and gls_jk:
                test = "gls_jackknife"
            how = {"jackknife": jack_knife and model != "full", "mean_test": test}
            out = _run("ctp", model, "HE", y_f, P_f, ctnu_f, fixed_covars_d, random_covars_d, **how)
            return _with_nu(out, nu_f)

        return _renamed(of_op if level == "op" else of_ctp, f"{model}_HE")


def _with_nu(out: Any, nu: Any) -> Any:
    """The mean noise of overall expression, where it was given."""
    if nu is not None:
        estimates = out[0] if isinstance(out, tuple) else out
        estimates["nu"] = float(np.mean(_table(nu)))
    return out


def _renamed(function: Any, name: str) -> Any:
    function.__name__ = function.__qualname__ = name
    return function


op = _Level("op")
ctp = _Level("ctp")
