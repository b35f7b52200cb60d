"""Who may import whom, and which packages are installed; and that the checks find what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import layers
from tests.layers import LAYERS

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("assocmem", "bench", "cli", "data", "extractors", "index")
CHECKS = {
    "unnamed packages": lambda root: layers.unnamed_packages(root, LAYERS),
    "wrong imports": lambda root: layers.wrong_imports(root, LAYERS),
    "relative imports": layers.relative_imports,
    "circles": layers.circles,
    "private names": layers.private_names,
    "full inits": layers.full_inits,
    "not installed": layers.not_installed,
    "odd sizes": layers.odd_sizes,
}


@pytest.mark.parametrize("check", CHECKS)
def test_the_source_tree_is_in_order(check):
    assert CHECKS[check](ROOT) == []


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A copy of the sources; tests add to copies of it."""
    copy = tmp_path_factory.mktemp("sources")
    for top in TOPS:
        shutil.copytree(ROOT / top, copy / top, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.tsv"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


NEW = '"""A new package."""\n'
LONG = NEW + 60 * "# ...\n"
BROKEN = {
    # A package or module that the table does not name, at the top, between packages, and below one that it names.
    "a package below another": ("index/store/sql/__init__.py", NEW, {"unnamed packages", "not installed"}),
    "a package below a core package": ("assocmem/codes/old/__init__.py", NEW, {"unnamed packages", "not installed"}),
    "a package of index": ("index/cache/__init__.py", NEW, {"unnamed packages", "not installed"}),
    "a package of the benchmarks": ("bench/memory/__init__.py", NEW, {"unnamed packages", "not installed"}),
    "a package at the top": ("server/__init__.py", NEW, {"unnamed packages", "not installed"}),
    "a module of index": ("index/cache.py", LONG, {"unnamed packages"}),
    "a module of the core": ("assocmem/cache.py", LONG, {"unnamed packages"}),
    "a folder without an __init__": ("index/store/sql/tables.py", LONG, {"unnamed packages"}),
    # Imports that run upwards, or across.
    "upwards, at the top": ("index/store/disk.py", "import assocmem.index.session", {"wrong imports", "circles"}),
    "upwards, in a function": (
        "index/teach/teaching.py",
        "def late():\n    from assocmem.index.query import searcher",
        {"wrong imports"},
    ),
    "upwards, for a type": (
        "assocmem/codes/winner_codes.py",
        "if TYPE_CHECKING:\n    from assocmem.memory import capacity",
        {"wrong imports"},
    ),
    "an extractor that knows the core": (
        "extractors/image.py",
        "from assocmem.codes import hash_codes",
        {"wrong imports"},
    ),
    "the core that knows extractors": ("assocmem/memory/base.py", "import assocmem.extractors.base", {"wrong imports"}),
    "an index that knows commands": (
        "index/collection.py",
        "from assocmem.cli.main import app",
        {"wrong imports", "circles"},
    ),
    "commands that know benchmarks": ("cli/main.py", "from assocmem.bench import commands", {"wrong imports"}),
    "a benchmark that knows another": (
        "bench/recall/dataset.py",
        "from assocmem.bench.seen import growth",
        {"wrong imports"},
    ),
    # Imports within one package.
    "a circle": ("assocmem/codes/winner_codes.py", "from assocmem.codes import nibble_codes", {"circles"}),
    "a circle in a function": (
        "index/derived/files.py",
        "def late():\n    from assocmem.index.derived import label_counts",
        {"circles"},
    ),
    "a circle for a type": (
        "index/query/concept_search.py",
        "if TYPE_CHECKING:\n    from assocmem.index.query.searcher import Query",
        {"circles"},
    ),
    "a relative import": ("index/store/disk.py", "from . import records", {"relative imports"}),
    # Private names, and packages that import.
    "a private name": (
        "index/query/near_duplicates.py",
        "from assocmem.index.query.searcher import _words_query",
        {"private names"},
    ),
    "a private name by its module": (
        "index/query/near_duplicates.py",
        "from assocmem.index.query import searcher as other\nother._words_query",
        {"private names"},
    ),
    "a package that imports": ("index/store/__init__.py", "import json", {"full inits"}),
    "a package that defines": ("assocmem/concepts/__init__.py", "def more(): ...", {"full inits"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_checks_find(name, sources, tmp_path):
    """Each line of code is wrong in its way, and the checks that are named find it; the others find nothing."""
    path, code, expected = BROKEN[name]
    shutil.copytree(sources, tmp_path / "sources", symlinks=True)
    changed = tmp_path / "sources" / path
    assert changed.exists() == (not code.startswith(NEW))
    changed.parent.mkdir(exist_ok=True)
    with changed.open("a") as file:
        file.write(f"\n{code}\n")
    assert {check for check in CHECKS if CHECKS[check](tmp_path / "sources")} == expected


def test_the_checks_find_a_table_that_is_not_exact_or_has_a_circle():
    for change, problem in (
        ({"codes": f"{LAYERS['codes']} _storage"}, "codes: LAYERS allows _storage, which it does not import"),
        ({"codes": f"{LAYERS['codes']} memory"}, "codes: LAYERS allows memory, which is not lower"),
        ({"codes": "errors"}, "which LAYERS does not allow"),
        ({"index.cache": ""}, "index.cache: in LAYERS, but there is no such package"),
    ):
        found = layers.wrong_imports(ROOT, LAYERS | change) + layers.unnamed_packages(ROOT, LAYERS | change)
        assert any(problem in line for line in found), problem


@pytest.mark.parametrize("what", ["package", "folder", "link", "other link", "twice"])
def test_the_checks_find_what_is_not_installed(what, sources, tmp_path):
    shutil.copytree(sources, tmp_path / "sources", symlinks=True)
    settings, link = tmp_path / "sources" / "pyproject.toml", tmp_path / "sources" / "assocmem" / "bench"
    text = settings.read_text()
    if what == "package":
        settings.write_text(text.replace('    "assocmem.index.teach",\n', ""))
    elif what == "twice":
        settings.write_text(text.replace('    "assocmem.index.teach",\n', 2 * '    "assocmem.index.teach",\n'))
    elif what == "folder":
        settings.write_text(text.replace('"assocmem.bench.recall" = "bench/recall"', '"assocmem.bench.recall" = "x"'))
    else:
        link.unlink()
        if what == "other link":
            link.symlink_to("../cli")
    assert len(layers.not_installed(tmp_path / "sources")) == 1


def test_the_checks_find_odd_sizes(sources, tmp_path, monkeypatch):
    shutil.copytree(sources, tmp_path / "sources", symlinks=True)
    for number in range(layers.MOST_SMALL + 1):
        (tmp_path / "sources" / "index" / "store" / f"small{number}.py").write_text(NEW)
    [problem] = layers.odd_sizes(tmp_path / "sources")
    assert "modules below 60 lines" in problem
    for medians in (range(10, 100), range(200, 300)):
        monkeypatch.setattr(layers, "MEDIANS", medians)
        assert any("a median of" in line for line in layers.odd_sizes(ROOT))
