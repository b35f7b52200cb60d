"""The repository: the names of the package, the command reference, the changelog."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

import assocmem
from tests import reference

ROOT = Path(__file__).resolve().parent.parent


def test_the_face_is_what_it_says():
    assert sorted(assocmem.__all__) == assocmem.__all__
    assert [*assocmem.__all__, "open"] == dir(assocmem)
    for name in dir(assocmem):
        assert getattr(assocmem, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        assocmem.nonsense  # noqa: B018


def test_a_star_import_leaves_the_built_in_names_alone():
    names: dict[str, object] = {}
    exec("from assocmem import *", names)
    assert not names.keys() & vars(builtins).keys() - {"__builtins__", "__doc__", "__name__"}
    assert names["CliqueIndex"] is assocmem.CliqueIndex


def test_the_command_reference_is_the_programs_own():
    """`make docs` writes it anew."""
    assert (ROOT / "docs" / "commands.md").read_text() == reference.render()


def test_the_changelog_knows_this_version():
    assert f"## [{assocmem.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
