"""Who may import whom: downwards only, without circles, and nothing private of another module."""

from __future__ import annotations

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bench", "cli", "data", "extractors", "index")
"""Top folders that are installed inside the package."""
CORE = {"errors", "_numerics", "_storage", "codes", "memory", "search", "concepts", "copies"}
LAYERS = {
    "errors": set(),
    "_compat": set(),
    "_numerics": {"errors"},
    "_storage": {"errors", "_numerics"},
    "codes": {"errors", "_numerics"},
    "memory": {"errors", "_numerics", "_storage", "codes"},
    "search": {"errors", "_numerics", "_storage", "codes"},
    "concepts": {"errors", "_numerics", "_storage", "codes"},
    "copies": {"errors", "_numerics", "codes", "search"},
    "data": {"errors"},
    "extractors": {"errors", "_numerics"},
    "index.store": {"errors", "_numerics", "_storage", "codes", "extractors"},
    "index.results": {"index.store", "memory"},
    "index.session": {"errors", "codes", "extractors", "index.store", "index.results"},
    "index.derived": {"errors", "_numerics", "_storage", "codes", "memory", "search", "concepts", "index.store",
                      "index.results"},
    "index.ingest": {"errors", "_numerics", "_storage", "codes", "extractors", "index.store", "index.results",
                     "index.session", "index.derived"},
    "index.teach": {"errors", "_numerics", "codes", "concepts", "copies", "data", "index.store", "index.results",
                    "index.session", "index.derived", "index.ingest"},
    "index.query": {"errors", "_numerics", "codes", "copies", "search", "data", "extractors", "index.store",
                    "index.results", "index.session", "index.derived", "index.ingest", "index.teach"},
    "index.inspection": {"errors", "codes", "index.store", "index.results", "index.session", "index.derived",
                         "index.teach"},
    "index.collection": {"extractors", "index.store", "index.results", "index.session", "index.ingest", "index.teach",
                         "index.query", "index.inspection"},
    "cli": {"assocmem", "errors", "codes", "memory", "search", "data", "extractors", "index.results",
            "index.derived", "index.teach", "index.query", "index.collection"},
    "bench": {"assocmem", *CORE, "extractors", "index.store", "index.session", "index.derived", "index.ingest",
              "index.collection", "cli"},
    "__main__": {"cli"},
}  # fmt: skip
"""Layer -> the layers that its modules may import, besides their own. ``assocmem`` itself names modules of every layer,
but loads them lazily, so it is in no layer."""


def _modules() -> dict[str, Path]:
    """Every module of the package by its full name."""
    found = {}
    for top in ("assocmem", *FOLDERS):
        for path in sorted((ROOT / top).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if not any((ROOT / parent).is_symlink() for parent in inside.parents):
                parts = inside.with_suffix("").parts
                name = ".".join(parts if top == "assocmem" else ("assocmem", *parts))
                found[name.removesuffix(".__init__")] = path
    return found


MODULES = _modules()
PACKAGES = {name: path for name, path in MODULES.items() if path.name == "__init__.py"}


def _layer(module: str) -> str:
    parts = module.split(".")[1:]
    if not parts:
        return "assocmem"
    return ".".join(parts[:2]) if parts[0] == "index" and len(parts) > 1 else parts[0]


def _imported(path: Path) -> list[tuple[str, str | None]]:
    """Modules of the package that a file imports, with the name taken from each; also in functions, and for types."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import absolutely"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES:
                    found.append((inner, None))
                elif node.module in MODULES:
                    found.append((node.module, alias.name))
    return found


IMPORTS = {name: _imported(path) for name, path in MODULES.items()}


def test_every_module_is_in_a_layer():
    missing = {name for name in MODULES if _layer(name) not in {*LAYERS, "assocmem", "index"}}
    assert not missing, f"name the layer of {sorted(missing)} in LAYERS"


def test_layers_have_no_circle():
    tuple(TopologicalSorter(LAYERS).static_order())


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_downwards(layer):
    for name, imports in IMPORTS.items():
        if _layer(name) == layer:
            for module, _ in imports:
                assert _layer(module) in LAYERS[layer] | {layer}, f"{name} imports {module}"


def test_no_layer_is_allowed_what_it_does_not_need():
    used = {layer: {_layer(m) for n in MODULES if _layer(n) == layer for m, _ in IMPORTS[n]} for layer in LAYERS}
    spare = {layer: allowed - used[layer] for layer, allowed in LAYERS.items() if allowed - used[layer]}
    assert not spare


def test_modules_have_no_circle():
    """Not even between imports in functions, or for types."""
    graph = {name: {module for module, _ in imports if module != name} for name, imports in IMPORTS.items()}
    del graph["assocmem"]  # it loads lazily what it names
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_module_imports_a_private_name_of_another():
    taken = [
        f"{name} takes {what} from {module}"
        for name, imports in IMPORTS.items()
        for module, what in imports
        if what is not None and what.startswith("_") and not what.startswith("__")
    ]
    assert not taken


@pytest.mark.parametrize("name", sorted(PACKAGES.keys() - {"assocmem", "assocmem.concepts"}))
def test_a_package_holds_a_docstring_only(name):
    """So that importing one module loads no others; ``concepts`` answers pickles that name it lazily."""
    body = ast.parse(PACKAGES[name].read_text()).body
    assert len(body) == 1
    assert ast.get_docstring(ast.Module(body, []))


def test_every_package_is_installed():
    """Setuptools is told each package by name: one that is forgotten would be missing from the wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(settings["packages"]) == set(PACKAGES)
    folders = {name: str(path.parent.relative_to(ROOT)) for name, path in PACKAGES.items()}
    assert settings["package-dir"] == folders
    for folder in FOLDERS:
        assert (ROOT / "assocmem" / folder).is_symlink()


def test_modules_have_a_reason_to_exist():
    """Few tiny ones, and no need for giants: complexity is ruff's business."""
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items() if name not in PACKAGES}
    tiny = {name: count for name, count in lines.items() if count < 60}
    assert len(tiny) <= 5, tiny
    assert 100 <= median(lines.values()) <= 250
