"""What estimators share: the base classes and the checks of scikit-learn, or stand-ins where it is not installed.

scikit-learn is optional. Estimators derive from its base classes if it can be imported, so that they go wherever its
own go: pipelines, grids, notebooks. Otherwise they derive from the small classes below, which have the same methods as
far as the estimators themselves use them. Only modules with estimators import this one, when an estimator is first
used.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from assocmem import errors
from assocmem._numerics.types import F32, AnyArray
from assocmem._numerics.validation import check_vectors
from assocmem.errors import InputError

# Stand-ins


class _Parameters:
    """Stand-in for ``sklearn.base.BaseEstimator``."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in _defaults(type(self))}

    def __repr__(self) -> str:
        known = _defaults(type(self))
        changed = {name: value for name, value in self.get_params().items() if repr(value) != repr(known[name])}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


class _Scored:
    """Stand-in for ``sklearn.base.ClassifierMixin``."""

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """Return the share of rows whose label is predicted."""
        return float((self.predict(X) == np.asarray(y)).mean())  # type: ignore[attr-defined]


class _Transformed:
    """Stand-in for ``sklearn.base.TransformerMixin``."""

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> Any:
        """Fit, and transform the same rows."""
        return self.fit(X, y).transform(X)  # type: ignore[attr-defined]


class _Named:
    """Stand-in for ``sklearn.base.ClassNamePrefixFeaturesOutMixin``."""

    _n_features_out: int

    def get_feature_names_out(self, input_features: object = None) -> AnyArray:
        """Return a name for each column of what ``transform`` returns, object (columns,)."""
        names = [f"{type(self).__name__.lower()}{i}" for i in range(self._n_features_out)]
        return np.array(names, dtype=object)


if TYPE_CHECKING:
    BaseEstimator = _Parameters
    ClassifierMixin = _Scored
    TransformerMixin = _Transformed
    ClassNamePrefixFeaturesOutMixin = _Named
    NotFittedError = errors.NotFittedError
    HAS_SKLEARN: bool
else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
        from sklearn.exceptions import NotFittedError as TheirNotFittedError
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import validate_data

        HAS_SKLEARN = True

        class NotFittedError(errors.NotFittedError, TheirNotFittedError):
            """An estimator is asked before it is fitted; scikit-learn's error too."""

    except ImportError:  # not installed, or older than 1.6
        BaseEstimator, ClassifierMixin, TransformerMixin = _Parameters, _Scored, _Transformed
        ClassNamePrefixFeaturesOutMixin, NotFittedError = _Named, errors.NotFittedError
        HAS_SKLEARN = False


# For estimators


class Estimator(BaseEstimator):
    """Base of estimators: parameters are those of ``__init__``; what is learned has a name that ends in ``_``.

    Attributes
    ----------
    n_features_in_ : int
        After ``fit``: columns of a matrix.
    feature_names_in_ : object (columns,)
        After ``fit`` to a table with names; only if scikit-learn is installed.
    """

    n_features_in_: int

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; InputError, and nothing is changed, for an unknown name."""
        known = self.get_params()
        for name in params:
            if name not in known:
                raise InputError(f"set_params: expected {', '.join(known)}, found {name!r}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether ``fit`` was called."""
        return hasattr(self, "n_features_in_")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo a pickle; parameters that it does not know, as one of an earlier version, get their defaults."""
        self.__dict__.update(_defaults(type(self)) | state)


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of a class of estimators, with their defaults."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {one.name: one.default for one in parameters}


def check_fitted(estimator: Estimator, method: str) -> None:
    """Raise NotFittedError unless an estimator is fitted; ``method`` is what needs it."""
    if not estimator.__sklearn_is_fitted__():
        raise NotFittedError(f"{method}: expected a fitted {type(estimator).__name__}, found no data; call fit first")


def check_rows(estimator: Estimator, X: Any, *, reset: bool, nonzero: bool) -> F32:
    """Return the rows of a matrix, C-contiguous float32 (n, columns); the caller's array if it is such a one.

    Parameters
    ----------
    estimator : Estimator
    X : numbers (n, columns)
        A table with names of columns too.
    reset : bool
        Note the columns, as for ``fit``; otherwise they must be those of ``fit``.
    nonzero : bool
        Refuse rows without a direction.

    Raises
    ------
    TypeError
        A sparse matrix.
    InputError
        Anything else that is not a matrix of finite numbers, at least one row and one column.
    """
    array = _checked(estimator, X, reset=reset)
    return check_vectors(array, array.shape[1], "X", nonzero=nonzero)


def check_labelled_rows(estimator: Estimator, X: Any, y: Any, *, reset: bool, nonzero: bool) -> tuple[F32, AnyArray]:
    """Return rows as ``check_rows`` does, and a label for each, (n,) of any dtype that sorts.

    Raises
    ------
    TypeError, InputError
        As ``check_rows``; not as many labels as rows, or numbers that are no labels.
    """
    if HAS_SKLEARN:
        array, labels = _checked(estimator, X, y, reset=reset)
        try:
            check_classification_targets(labels)  # type: ignore[name-defined]
        except ValueError as error:
            raise InputError(str(error)) from error
    else:
        array, labels = _checked(estimator, X, reset=reset), np.asarray(y)
        if labels.shape != (len(array),):
            raise InputError(f"y: expected a label for each of {len(array)} rows, found shape {labels.shape}")
    return check_vectors(array, array.shape[1], "X", nonzero=nonzero), np.asarray(labels)


def _checked(estimator: Estimator, *data: Any, reset: bool) -> Any:
    """Return X, or X and y, as arrays; scikit-learn's errors become InputErrors, which are ValueErrors too."""
    if HAS_SKLEARN:
        try:
            return validate_data(estimator, *data, reset=reset)  # type: ignore[name-defined]
        except ValueError as error:
            raise InputError(str(error)) from error
    if hasattr(data[0], "toarray"):
        raise TypeError("X: expected a dense array, found a sparse one; X.toarray() makes it dense")
    array = np.asarray(data[0])
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"X: expected shape (n, columns), at least (1, 1), found {array.shape}")
    if reset:
        estimator.n_features_in_ = array.shape[1]
    elif array.shape[1] != estimator.n_features_in_:
        raise InputError(f"X: expected {estimator.n_features_in_} columns as for fit, found {array.shape[1]}")
    return array
