"""One factorisation with the face of ``sklearn.decomposition.NMF``. scikit-learn itself is not needed."""

from __future__ import annotations

import inspect
import numbers
from typing import Any

import numpy as np

from .. import _core
from .._messages import warn
from .._run import means
from .._sources import matrix_of
from ..errors import BadInputError, UnsupportedError
from ._request import Request
from ._validate import Checked, check_names, checked, not_fitted

__all__ = ["NMF"]


class NMF:
    """Non-negative matrix factorisation, as ``sklearn.decomposition.NMF`` has it.

    The same start gives the same iterates, iterations and factors to rounding; ``init="random"`` with a whole number as
    `random_state` is the same start. Starts from singular vectors are made from exact ones, so that they differ from
    those of scikit-learn, which finds them at random, in the last components.

    Parameters
    ----------
    n_components
        How many; ``"auto"`` is as many as `X` has columns, or as a given `H` has rows.
    init
        ``"random"``, ``"nndsvd"``, ``"nndsvda"``, ``"nndsvdar"``, ``"custom"`` (`W` and `H` are given to ``fit``), or
        ``None``: ``"nndsvda"``, where there are more components than the smaller side of `X` ``"random"``.
    solver
        ``"cd"``, ``"mu"``, or ours: ``"accelerated"``, coordinate descent with several sweeps for each pass.
    beta_loss
        ``"frobenius"``, ``"kullback-leibler"``, ``"itakura-saito"`` or a number.
    tol, max_iter
        When iterations end.
    random_state
        A whole number makes starts that can be found again.
    alpha_W, alpha_H, l1_ratio
        Penalties; ``alpha_H="same"`` takes `alpha_W`.
    verbose, shuffle
        Taken for scikit-learn's sake; ``shuffle=True`` is refused.
    refit
        Ours, for ``transform``: ``"peer"`` ends by scikit-learn's rule, ``"exact"`` finds the optimum of every row.
    n_threads
        Ours; changes no number.

    Attributes
    ----------
    components_
        Components × columns.
    n_components_, n_features_in_, n_iter_, feature_names_in_
        What they are called.
    reconstruction_err_
        The norm of what the factors leave; for other losses the root of twice the divergence.
    status_
        ``"ok"``, or why iterations ended otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> X = np.array([[1.0, 1], [2, 1], [3, 1.2], [4, 1], [5, 0.8], [6, 1]])
    >>> model = fe.nmf.NMF(n_components=2, init="random", random_state=0)
    >>> W = model.fit_transform(X)
    >>> W.shape, model.components_.shape
    ((6, 2), (2, 2))
    """

    def __init__(
        self,
        n_components: int | str | None = "auto",
        *,
        init: str | None = None,
        solver: str = "cd",
        beta_loss: str | float = "frobenius",
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        verbose: int = 0,
        shuffle: bool = False,
        refit: str = "peer",
        n_threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.solver = solver
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.verbose = verbose
        self.shuffle = shuffle
        self.refit = refit
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> NMF:
        """Factorise `X` (rows × columns, dense or sparse, values >= 0); `y` is ignored."""
        self.fit_transform(X, y, W, H)
        return self

    def fit_transform(self, X: Any, y: Any = None, W: Any = None, H: Any = None) -> np.ndarray[Any, Any]:
        """Factorise `X` and return its usages, rows × components. `W` and `H` are the start of ``init="custom"``."""
        given = checked(X, self)
        n, g = given.values.shape
        k = self._rank(g, H)
        start = self._start(n, g, k, W, H)
        request = self._request(given)
        (w, h), n_iter, loss, status = _core.nmf_factorise(
            matrix_of(given.values, "X"), k, start, request, means(self.n_threads, progress=False)
        )
        dtype = given.dtype
        if given.names is not None:
            self.feature_names_in_ = np.asarray(given.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_ = g
        self.components_ = h.astype(dtype, copy=False)
        self.n_components_ = k
        self.n_iter_ = n_iter
        self.reconstruction_err_ = float(np.sqrt(2.0 * loss))
        self.status_ = status
        if status == "max_iter" and self.tol > 0:
            warn(f"{n_iter} iterations were used up before the stopping rule was met; raise max_iter")
        return w.astype(dtype, copy=False)

    def transform(self, X: Any) -> np.ndarray[Any, Any]:
        """Return the usages of the fitted components by the rows of `X`."""
        self._check_fitted()
        given = checked(X, self)
        check_names(given, self)
        if given.values.shape[1] != self.n_features_in_:
            message = (
                f"X has {given.values.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
            raise BadInputError(message, place="X")
        spectra = np.ascontiguousarray(self.components_, dtype=np.float64)
        w, _, _, _ = _core.nmf_refit(
            matrix_of(given.values, "X"),
            spectra,
            self.refit,
            self._request(given),
            means(self.n_threads, progress=False),
        )
        return w.astype(given.dtype, copy=False)

    def inverse_transform(self, X: Any) -> np.ndarray[Any, Any]:
        """Return the rows that usages (rows × components) stand for."""
        self._check_fitted()
        return np.asarray(X @ self.components_)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Return the names of the components; `input_features` is ignored."""
        self._check_fitted()
        name = type(self).__name__.lower()
        return np.asarray([f"{name}{t}" for t in range(self.n_components_)], dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - scikit-learn's signature
        """Return the parameters by name; `deep` changes nothing, for none of them has parameters."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> NMF:
        """Set parameters by name."""
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                message = f"there is no parameter `{name}`"
                raise BadInputError(message, place="set_params", hint=f"there are {', '.join(known)}")
            setattr(self, name, value)
        return self

    @classmethod
    def _parameters(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = {name: value for name, value in self.get_params().items() if value is not defaults[name].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "components_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, which alone asks, wants to know."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(sparse=True, positive_only=True),
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "components_"):
            raise not_fitted(type(self).__name__)

    def _rank(self, g: int, H: Any) -> int:
        """How many components there are."""
        k: Any = self.n_components
        if k is None or k == "auto":
            return len(H) if k == "auto" and self.init == "custom" and H is not None else g
        if isinstance(k, bool) or not isinstance(k, numbers.Integral) or k < 1:
            message = f"expected a whole number of at least 1, or 'auto', found {k!r}"
            raise BadInputError(message, place="n_components")
        return int(k)

    def _start(self, n: int, g: int, k: int, W: Any, H: Any) -> tuple[str, int, Any]:
        """Where the factorisation begins: a word, a seed, and factors."""
        init = self.init
        if init == "custom":
            if W is None or H is None:
                message = "a custom start needs W and H"
                raise BadInputError(message, place="init", hint="give both to fit, or choose another init")
            given = tuple(np.ascontiguousarray(factor, dtype=np.float64) for factor in (W, H))
            if given[0].shape != (n, k) or given[1].shape != (k, g):
                message = f"expected W of {n} x {k} and H of {k} x {g}, found {given[0].shape} and {given[1].shape}"
                raise BadInputError(message, place="init")
            return "random", 0, given
        if init is None:
            init = "nndsvda" if k <= min(n, g) else "random"
        return init, self._seed(), None

    def _seed(self) -> int:
        state = self.random_state
        if isinstance(state, numbers.Integral):
            if not 0 <= int(state) < 2**32:
                message = f"expected a number from 0 to 2**32 - 1, found {state}"
                raise BadInputError(message, place="random_state")
            return int(state)
        if state is None:
            return int(np.random.default_rng().integers(2**32))
        if hasattr(state, "randint"):
            return int(state.randint(0, 2**31 - 1))
        return int(state.integers(2**32))

    def _request(self, given: Checked) -> Request:
        """How it is factorised, as the compiled module reads it."""
        if self.shuffle:
            message = "components are taken in their order; shuffle=True is not supported"
            raise UnsupportedError(message, place="shuffle")
        return Request(
            beta_loss=str(self.beta_loss),
            solver=self.solver,
            sweeps=4,
            tol=float(self.tol),
            max_iter=int(self.max_iter),
            alpha_w=float(self.alpha_W),
            alpha_h=float(self.alpha_W if self.alpha_H == "same" else self.alpha_H),
            l1_ratio=float(self.l1_ratio),
            precision="single" if given.dtype == np.float32 else "double",
        )
