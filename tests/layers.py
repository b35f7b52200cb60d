"""Checks of the source tree: layers, circles, private names, packages. Each returns one line per problem.

They read the source and import none of it, so they count imports in functions and for types too.
"""

from __future__ import annotations

import ast
import functools
import os
import statistics
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

CORE = "errors _numerics codes"
TOOLS = "bench.processes bench.records bench.tables bench.inputs"
LAYERS = {
    "_compat": "",
    "errors": "",
    "data": "errors",
    "_numerics": "errors",
    "_storage": "errors _numerics",
    "extractors": "errors _numerics",
    "codes": "errors _numerics",
    "memory": f"{CORE} _storage",
    "search": f"{CORE} _storage",
    "concepts": f"{CORE} _storage",
    "copies": f"{CORE} search",
    "index.store": f"{CORE} _storage extractors",
    "index.results": "memory index.store",
    "index.session": "errors codes extractors index.store index.results",
    "index.derived": f"{CORE} _storage memory search concepts index.store index.results",
    "index.ingest": f"{CORE} _storage extractors index.store index.results index.session index.derived",
    "index.teach": f"{CORE} data concepts copies index.store index.results index.session index.derived index.ingest",
    "index.query": f"{CORE} data extractors search copies index.store index.results index.session index.derived "
    "index.ingest index.teach",
    "index.inspection": "errors codes index.store index.results index.session index.derived index.teach",
    "index.collection": "extractors index.store index.results index.session index.ingest index.teach index.query "
    "index.inspection",
    "assocmem": "_compat errors codes memory search concepts index.store index.results index.teach index.collection",
    "cli": "errors data extractors codes memory search index.results index.derived index.teach index.query "
    "index.collection assocmem",
    "__main__": "cli",
    "bench.processes": "",
    "bench.records": "",
    "bench.plots": "",
    "bench.tables": "",
    "bench.inputs": "",
    "bench.startup": TOOLS,
    "bench.ingest": TOOLS,
    "bench.engines": TOOLS,
    "bench.capacity": f"{TOOLS} bench.plots",
    "bench.concepts": "bench.processes bench.records bench.tables bench.plots",
    "bench.duplicates": f"{TOOLS} bench.plots",
    "bench.recall": f"{TOOLS} bench.plots",
    "bench.growth": f"{TOOLS} bench.plots bench.recall",
    "bench.seen": TOOLS,
    "bench.partial": f"{TOOLS} bench.plots",
    "bench.commands": "bench.startup bench.ingest bench.engines bench.capacity bench.concepts bench.duplicates "
    "bench.recall bench.growth bench.seen bench.partial",
}
"""What each package may import, and does, the lower ones first. ``assocmem`` is the module of the public names.

A package with modules that are not on one level is listed module by module, as ``index`` is. Benchmarks are above
everything: they may import whatever is not a benchmark.
"""
SPLIT = ("index", "bench")
"""Packages that are listed module by module."""
LAZY = ("assocmem", "assocmem.concepts")
"""Packages whose ``__init__`` finds names when they are first used; all others hold a docstring only."""
SMALL, MOST_SMALL, MEDIANS = 60, 5, range(100, 251)
"""Lines below which a module is small, how many may be, and what the median may be."""


def modules(root: Path) -> dict[str, Path]:
    """Return the path of every module and package that is installed, by name."""
    found = {}
    for top in _tops(root):
        for folder, _, names in os.walk(root / top):  # does not follow the symbolic links in assocmem/
            for name in names:
                path = Path(folder, name)
                if path.suffix == ".py":
                    parts = path.relative_to(root).with_suffix("").parts
                    parts = parts if top == "assocmem" else ("assocmem", *parts)
                    found[".".join(parts).removesuffix(".__init__")] = path
    return dict(sorted(found.items()))


def _tops(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/__init__.py") if path.parent.name != "tests")


@functools.cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    """Return the imports and the attributes of modules in a file, anywhere in it."""
    kinds = (ast.Import, ast.ImportFrom, ast.Attribute)
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds))


def _nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return _nodes(path.read_text(encoding="utf-8"))


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the project's modules that a file imports, anywhere in it."""
    found = set()
    for node in _nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in known else node.module)
    return found


def _layer(module: str) -> str:
    parts = module.split(".")[1:]
    if not parts:
        return "assocmem"
    return ".".join(parts[:2]) if parts[0] in SPLIT else parts[0]


# Checks


def unnamed_packages(root: Path, layers: dict[str, str]) -> list[str]:
    """Every package, and every module between packages, is named in the table, and nothing else is."""
    known = modules(root)
    packages = {name for name, path in known.items() if path.name == "__init__.py"}
    problems = [f"{name}: its folder has no __init__.py" for name in known if name.rpartition(".")[0] not in
                (packages | {""})]  # fmt: skip
    alone = {"assocmem", *(f"assocmem.{name}" for name in SPLIT)}  # their modules and packages are named instead
    problems += [
        f"{name}: a package that is not in LAYERS"
        for name in sorted(packages - alone)
        if name.removeprefix("assocmem.") not in layers
    ]
    used = {_layer(name) for name in known if name not in alone or name == "assocmem"}
    problems += [f"{name}: not in LAYERS" for name in sorted(used - layers.keys())]
    return problems + [f"{name}: in LAYERS, but there is no such package" for name in sorted(layers.keys() - used)]


def wrong_imports(root: Path, layers: dict[str, str]) -> list[str]:
    """Packages import those that the table lists, all of which are lower, and use each of them."""
    known, problems, used = modules(root), [], set()
    for name, path in known.items():
        for other in sorted(imports(path, known)):
            pair = _layer(name), _layer(other)
            used.add(pair)
            below = pair[0].startswith("bench.") and not pair[1].startswith("bench.")
            if pair[0] != pair[1] and not below and pair[1] not in layers.get(pair[0], "").split():
                problems.append(f"{name} imports {other}, which LAYERS does not allow")
    lower: set[str] = set()
    for layer, allowed in layers.items():
        problems += [f"{layer}: LAYERS allows {other}, which is not lower" for other in {*allowed.split()} - lower]
        problems += [f"{layer}: LAYERS allows {other}, which it does not import" for other in allowed.split()
                     if (layer, other) not in used]  # fmt: skip
        lower.add(layer)
    return problems


def relative_imports(root: Path) -> list[str]:
    """Imports are absolute; the other checks would not see them otherwise."""
    return [
        f"{name} imports relatively"
        for name, path in modules(root).items()
        for node in _nodes_of(path)
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def circles(root: Path) -> list[str]:
    """No module imports itself through others, not even in a function or for a type."""
    known = modules(root)
    graph = {name: imports(path, known) - {name} for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def private_names(root: Path) -> list[str]:
    """No module or test imports or reads a name with an underscore from a module; packages may have such names."""
    known, problems = modules(root), []
    tests = {path.relative_to(root).as_posix(): path for path in sorted((root / "tests").rglob("*.py"))}
    for name, path in (known | tests).items():
        names = _imported_names(path)
        read = [
            f"{names[node.value.id]}.{node.attr}"
            for node in _nodes_of(path)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
        ]
        for whole in [*names.values(), *read]:
            module, _, last = whole.rpartition(".")
            if module in known and whole not in known and _is_private(last):
                problems.append(f"{name} uses {whole}")
    return problems


def _imported_names(path: Path) -> dict[str, str]:
    """Return what the names that a file imports stand for: ``module``, or ``module.name``."""
    found = {}
    for node in _nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def full_inits(root: Path) -> list[str]:
    """Every ``__init__`` holds a docstring only: importing a package imports nothing else."""
    problems = []
    for name, path in modules(root).items():
        if path.name == "__init__.py" and name != "assocmem":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            if not body or ast.get_docstring(ast.Module(body, [])) is None:
                problems.append(f"{name}: its __init__ has no docstring")
            elif any(not _may_be_in_init(node, name) for node in body[1:]):
                problems.append(f"{name}: its __init__ holds more than a docstring")
    return problems


def _may_be_in_init(node: ast.stmt, package: str) -> bool:
    if package not in LAZY:
        return False
    if isinstance(node, ast.If):
        return all(_may_be_in_init(inner, package) for inner in node.body)
    if isinstance(node, ast.ImportFrom):
        return node.module == "typing"
    return isinstance(node, ast.FunctionDef) and node.name == "__getattr__"


def not_installed(root: Path) -> list[str]:
    """Setuptools gets each package by name and folder: one that is missing there would be missing from the wheel."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {
        name: path.parent.relative_to(root).as_posix()
        for name, path in modules(root).items()
        if path.name == "__init__.py"
    }
    problems = [f"{name}: listed twice" for name in found if settings["packages"].count(name) > 1]
    either = sorted(found.keys() ^ set(settings["packages"]))
    problems += [f"{name}: in the tree or in packages of pyproject.toml, but not in both" for name in either]
    links = {path.name: os.readlink(path) for path in (root / "assocmem").iterdir() if path.is_symlink()}
    expected = {top: f"../{top}" for top in _tops(root) if top != "assocmem"}
    return [
        *problems,
        *_differences("package-dir", found, settings["package-dir"]),
        *_differences("link in assocmem/", expected, links),
    ]


def _differences(what: str, expected: dict[str, str], found: dict[str, str]) -> list[str]:
    return [
        f"{name}: expected {what} {expected.get(name)}, found {found.get(name)}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def odd_sizes(root: Path) -> list[str]:
    """Few modules are small, and the median is neither small nor large; no single module has a limit."""
    sizes = dict(_sizes(root))
    small = {name: size for name, size in sizes.items() if size < SMALL}
    problems = [f"{len(small)} modules below {SMALL} lines: {small}"] if len(small) > MOST_SMALL else []
    median = statistics.median(sizes.values())
    return problems if MEDIANS[0] <= median <= MEDIANS[-1] else [*problems, f"a median of {median} lines"]


def _sizes(root: Path) -> Iterator[tuple[str, int]]:
    for name, path in modules(root).items():
        if path.name != "__init__.py":
            yield name, len(path.read_text(encoding="utf-8").splitlines())
