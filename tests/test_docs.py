"""The documents: what they show runs, what they name exists, and the site can be built from them."""

from __future__ import annotations

import doctest
import importlib
import json
import re

import pytest

import assocmem
from tests.documents import (
    LANGUAGES,
    ROOT,
    World,
    anchors,
    blocks,
    check_command,
    documents,
    inline_commands,
    links,
    modules_with_examples,
)

PAGES = [page for page in documents() if page.name != "README.md"]
EXAMPLES = [page for page in PAGES if blocks(page)]


def _name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


@pytest.mark.parametrize("page", EXAMPLES, ids=_name)
def test_the_examples_of_a_page_run(page, world):
    for block in blocks(page):
        world.run(block)


def test_the_guides_have_examples():
    python = {_name(page) for page in PAGES if any(block.language == "python" for block in blocks(page))}
    assert python >= {
        f"docs/{name}.md"
        for name in ("clique-index", "concepts", "duplicates", "extractors", "getting-started", "memory")
    }


@pytest.mark.parametrize("page", documents(), ids=_name)
def test_blocks_say_their_language(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: {block.language!r}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_blocks_fit_a_page_of_the_site(page):
    for block in blocks(page):
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            assert len(line) <= 88, f"{block.page}:{number}: {len(line)} characters"


@pytest.mark.parametrize("page", EXAMPLES, ids=_name)
def test_python_blocks_check_what_they_show(page):
    for block in blocks(page):
        assert block.language != "python" or "assert" in block.text, str(block)


@pytest.mark.parametrize("page", documents(), ids=_name)
def test_commands_in_sentences_exist(page):
    for line in inline_commands(page):
        check_command(line.split())


@pytest.mark.parametrize("page", documents(), ids=_name)
def test_links_lead_somewhere(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{_name(page)}: {target}"
        assert not anchor or anchor in anchors(other), f"{_name(page)}: {target}"


@pytest.mark.parametrize("module", modules_with_examples())
def test_the_examples_of_docstrings_are_right(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed


def test_the_json_of_a_search_is_what_the_guide_shows(world):
    guide = ROOT / "docs" / "getting-started.md"
    shown = json.loads(next(block.text for block in blocks(guide) if block.language == "json"))
    world.run_line("assocmem index .")
    answer = json.loads(world.run_line("assocmem search photo.jpg --json"))
    assert answer.keys() == shown.keys()
    assert answer["hits"][0].keys() == shown["hits"][0].keys()


def test_the_api_reference_has_every_public_name_once():
    """The page of results takes what the other pages leave."""
    pages = {page.name: page.read_text() for page in (ROOT / "docs" / "api").glob("*.md")}
    named = re.findall(r":: assocmem\.(\w+)$", "".join(pages.values()), re.MULTILINE)
    assert set(named) - {"errors"} <= set(dir(assocmem))
    assert len(named) == len(set(named))
    assert "<!-- results -->" in pages["results.md"]


def test_the_site_needs_no_network():
    """No web fonts, no inventories of other sites, no scripts from elsewhere."""
    settings = (ROOT / "docs" / "conf.py").read_text()
    assert "intersphinx" not in settings
    assert "http" not in settings
    assert "url(" not in (ROOT / "docs" / "demo.svg").read_text().replace("url(#", "")
