"""A collection on disk: a catalog, immutable segments, one writer, any number of readers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assocmem.extractors.base import Extractor
    from assocmem.index.collection import Collection


def default_folder() -> Path:
    """Where the collection is when nobody says: ``$ASSOCMEM_COLLECTION``, else one place per user."""
    from_environment = os.environ.get("ASSOCMEM_COLLECTION")
    if from_environment:
        return Path(from_environment)
    import platformdirs

    return Path(platformdirs.user_data_dir("assocmem", appauthor=False)) / "default.amem"


def open_collection(
    path: str | os.PathLike[str] | None = None,
    *,
    extractor: str | Extractor | None = None,
    weights: str | os.PathLike[str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Collection:
    """Open a collection; a new one comes into being with its first ``add``.

    Parameters
    ----------
    path : path, optional
        The collection's directory; ``$ASSOCMEM_COLLECTION`` or one place per user by default.
    extractor, weights, options
        See ``Collection``.
    """
    from assocmem.index.collection import Collection

    return Collection(default_folder() if path is None else path, extractor=extractor, weights=weights, options=options)
