"""Every exception the project raises on purpose: one root, a few named children.

A message says what was expected, what was found and what to do about it.
"""


class AssocmemError(Exception):
    """Root of all errors that assocmem raises on purpose."""


class InputError(AssocmemError, ValueError):
    """An argument has the wrong shape, dtype, range or content; nothing was changed."""


class MediaError(AssocmemError):
    """A picture or video cannot be read, or not to its end.

    Attributes
    ----------
    reason : str
        One line for a report, without the path.
    lasting : bool
        True when reading the same bytes again must fail again, so that trying is a waste of time
        (a damaged file); False when circumstances decide (permissions, a missing extra, a vanished disk).
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class ExtractorError(AssocmemError):
    """A model is missing, does not fit, or failed to run."""


class CollectionError(AssocmemError):
    """A collection on disk cannot be used as asked."""


class LockedError(CollectionError):
    """Another process is writing to the collection."""


class MismatchError(CollectionError):
    """The collection belongs to another extractor or a newer format."""


class DamagedError(CollectionError):
    """A file of the collection is missing, cut short or fails its checksum."""


class MissingFileError(AssocmemError, FileNotFoundError):
    """There is no file of the name that was given."""


class DtypeError(InputError):
    """An array has another dtype than the one asked for; converting it is the caller's decision."""


class ShapeError(InputError):
    """An array has another shape, or rows that do not lie one behind the other."""


class NotFiniteError(InputError):
    """A vector has NaN or infinity in it."""


class ZeroVectorError(InputError):
    """A vector of zeros, which has no direction, where directions are compared."""


class IdError(InputError):
    """Ids are below 0, twice in one call, or not whole numbers of 64 bits."""


class DuplicateIdError(IdError):
    """An id is in the index already."""


class UnknownIdError(IdError, KeyError):
    """An id is not in the index, or no longer."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class EmptyIndexError(InputError):
    """Something was asked of an index that holds nothing."""
