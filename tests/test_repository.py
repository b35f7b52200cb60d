"""The house itself: who may import whom, which packages are installed, what the documents promise."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import assocmem
from tests import reference

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"core": 0, "data": 0, "extractors": 1, "index": 2, "cli": 3}
"""A module may import from its own floor and those below."""
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _modules():
    for folder, floor in (
        ("assocmem", "core"),
        ("data", "data"),
        ("extractors", "extractors"),
        ("index", "index"),
        ("cli", "cli"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder).parts
            if folder != "assocmem" or len(inside) == 1:
                yield path, floor


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import absolutely"
            yield node.module or ""


def _floor(module):
    parts = module.split(".")
    if parts[0] != "assocmem":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "core"


# The face of the package names things of every floor, lazily; `python -m assocmem` starts the program.
@pytest.mark.parametrize(
    ("path", "floor"), [m for m in _modules() if m[0].name not in ("__init__.py", "__main__.py") or m[1] != "core"]
)
def test_imports_run_downwards(path, floor):
    for module in _imports(path):
        other = _floor(module)
        assert other is None or FLOORS[other] <= FLOORS[floor], f"{path.name} ({floor}) imports {module}"


def test_extractors_and_core_know_nothing_of_each_other():
    for path, floor in _modules():
        allowed = {"core": ("core",), "extractors": ("extractors", "errors", "data", "_numerics")}.get(floor)
        if allowed is None or (floor == "core" and path.name in ("__init__.py", "__main__.py")):
            continue
        for module in _imports(path):
            if module.startswith("assocmem"):
                room = module.split(".")[1] if "." in module else "core"
                assert room in allowed or (floor == "core" and _floor(module) == "core"), (
                    f"{path.name} imports {module}"
                )


def test_every_package_is_installed():
    """Setuptools is told each package by name: one that is forgotten would be missing from the wheel."""
    settings = PYPROJECT["tool"]["setuptools"]
    found = {"assocmem"}
    for folder in ("cli", "data", "extractors", "index"):
        assert (ROOT / "assocmem" / folder).is_symlink()
        for path in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join(["assocmem", *path.parent.relative_to(ROOT).parts]))
    assert set(settings["packages"]) == found
    assert set(settings["package-dir"]) == found


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


def test_files_stay_small():
    sizes = {path: len(path.read_text().splitlines()) for path, _ in _modules()}
    assert max(sizes.values()) <= 300, {str(path): size for path, size in sizes.items() if size > 300}
