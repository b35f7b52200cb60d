"""The repository: the names of the package, the command reference, the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest

import assocmem
from tests import reference

ROOT = Path(__file__).resolve().parent.parent


def test_the_face_is_what_it_says():
    assert sorted(assocmem.__all__) == assocmem.__all__ == dir(assocmem)
    for name in assocmem.__all__:
        assert getattr(assocmem, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        assocmem.nonsense  # noqa: B018


def test_the_command_reference_is_the_programs_own():
    """`make docs` writes it anew."""
    assert (ROOT / "docs" / "commands.md").read_text() == reference.render()


def test_the_changelog_knows_this_version():
    assert f"## [{assocmem.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
