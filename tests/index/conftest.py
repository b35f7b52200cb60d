"""Collections for tests: they use the colour extractor, which needs no weights."""

from __future__ import annotations

import pytest

from assocmem.index.session import Session
from tests.fakes import ColourExtractor, kinds, open_photos, pictures


@pytest.fixture
def extractor():
    """The extractor of ``photos``."""
    return ColourExtractor()


@pytest.fixture
def photos(tmp_path, extractor):
    """A collection that is still empty: its folder is made by the first ``add``."""
    with open_photos(tmp_path / "photos.amem", extractor) as collection:
        yield collection


@pytest.fixture
def twelve(photos, tmp_path):
    """The collection ``photos`` with the pictures 0 to 11 in ``tmp_path/in``."""
    photos.add(pictures(tmp_path / "in", range(12)))
    return photos


@pytest.fixture
def session(photos):
    """A second session on the collection ``photos``: it has the last snapshot and the coders."""
    opened = Session(photos.folder)
    yield opened
    opened.close()


@pytest.fixture
def files(tmp_path):
    """Four pictures each of kinds 1 and 2, below ``tmp_path/in``."""
    return kinds(tmp_path / "in", (1, 2), 4)


@pytest.fixture
def refreshed_at_once(monkeypatch):
    """Replace the files of derived memories after each commit: a test's few pictures would leave them alone."""
    monkeypatch.setattr("assocmem.index.derived.refresh.REFRESH_AT", 1)
    monkeypatch.setattr("assocmem.index.derived.refresh.REBUILT_UP_TO", -1)  # after each removal too


@pytest.fixture
def kept_at_once(monkeypatch):
    """Keep what was solved of the first teaching on: a test's few examples would never be kept."""
    monkeypatch.setattr("assocmem.index.teach.taught_model.KEPT_FROM", 1)


@pytest.fixture
def read_only(monkeypatch):
    """Make every folder read-only to the catalog, for an administrator too, whom permissions do not bind."""
    import os

    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **how: access(path, mode, **how) and not mode & os.W_OK)
