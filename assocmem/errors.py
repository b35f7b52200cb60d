"""Every exception that the project raises on purpose.

A message says what was expected, what was found and what to do. The hierarchy::

    AssocmemError
    ├── InputError (also a ValueError): an argument is invalid; nothing was changed
    │   ├── DtypeError
    │   ├── ShapeError
    │   ├── NotFiniteError
    │   ├── ZeroVectorError
    │   ├── IdError
    │   │   ├── DuplicateIdError
    │   │   └── UnknownIdError (also a KeyError)
    │   ├── EmptyIndexError
    │   ├── NothingAllowedError
    │   └── NotFittedError (also an AttributeError, and scikit-learn's error of this name)
    ├── UnknownConceptError: no concept has this name
    ├── MissingFileError (also a FileNotFoundError): no file has this name
    ├── DamagedError: a file is cut short, or its checksums are wrong
    │   └── DamagedCollectionError (also a CollectionError)
    ├── MismatchError: a file or memory of another kind, format or settings
    │   └── CollectionMismatchError (also a CollectionError)
    ├── CollectionError: a collection on disk cannot be used as asked
    │   └── LockedError: another process is writing
    ├── MediaError: a picture or video cannot be read
    └── ExtractorError: a network is missing, does not fit, or failed

    UserWarning
    ├── PrecisionWarning: vectors are stored in more memory than was asked for, because they would have become equal
    └── RecallWarning: only an exact search reaches the recall that was asked for
"""

from collections.abc import Sequence


class AssocmemError(Exception):
    """Root of all errors that assocmem raises on purpose."""


class InputError(AssocmemError, ValueError):
    """An argument has an invalid shape, dtype, range or content; nothing was changed."""


class DtypeError(InputError):
    """An array has another dtype than expected; converting it is the caller's decision."""


class ShapeError(InputError):
    """An array has another shape than expected, or rows that are not contiguous."""


class NotFiniteError(InputError):
    """A vector contains NaN or infinity."""


class ZeroVectorError(InputError):
    """A vector of zeros, which has no direction, where directions are compared."""


class IdError(InputError):
    """Ids are negative, not whole numbers of 64 bits, or too many or too few."""


class DuplicateIdError(IdError):
    """An id is given twice, or is in the index already."""


class UnknownIdError(IdError, KeyError):
    """An id is not in the index, or no longer."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class EmptyIndexError(InputError):
    """An operation needs an index or memory that is not empty."""


class NothingAllowedError(InputError):
    """A filter lets no item of the index pass."""


class NotFittedError(InputError, AttributeError):
    """An estimator is asked before it is fitted.

    If scikit-learn is installed, what is raised is an error of its class ``NotFittedError`` too.
    """


class UnknownConceptError(AssocmemError):
    """No concept has this name.

    Attributes
    ----------
    nearest : tuple of str
        Names with a similar spelling.
    """

    def __init__(self, words: str, nearest: Sequence[str], *, taught: bool = False, file: bool = True) -> None:
        hint = f"; the nearest names are: {', '.join(nearest)}" if nearest else ""
        what = f"no {'taught ' if taught else ''}concept is called {words!r}"
        super().__init__(what + (", and no file either" if file and not taught else "") + hint)
        self.nearest = tuple(nearest)


class MissingFileError(AssocmemError, FileNotFoundError):
    """No file has the given name."""


class DamagedError(AssocmemError):
    """A file is cut short, altered, or fails its checksums."""


class MismatchError(AssocmemError):
    """A file or memory of another kind, of a newer format, or made with other settings."""


class CollectionError(AssocmemError):
    """A collection on disk cannot be used as asked."""


class LockedError(CollectionError):
    """Another process is writing to the collection."""


class DamagedCollectionError(CollectionError, DamagedError):
    """A file of a collection is missing, cut short, altered, or fails its checksums."""


class CollectionMismatchError(CollectionError, MismatchError):
    """A collection was made with another extractor, or written by a newer version."""


class MediaError(AssocmemError):
    """A picture or video cannot be read, or not to its end.

    Attributes
    ----------
    reason : str
        One line for a report, without the path.
    lasting : bool
        True if reading the same bytes again must fail again, as of a damaged file: trying again is a waste of time.
        False if circumstances decide, such as permissions, a missing extra, or a disk that is not mounted.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class ExtractorError(AssocmemError):
    """A network is missing, does not fit, or failed to run."""


class PrecisionWarning(UserWarning):
    """Vectors are stored in more memory than was asked for, because float16 would have made different ones equal."""


class RecallWarning(UserWarning):
    """Only an exact search reaches the recall that was asked for."""
