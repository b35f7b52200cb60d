"""Sphinx configuration: `make site` builds docs/ into build/site, offline, with warnings as errors.

The API reference is made of the docstrings of the imported package, so names that load lazily are as good as any.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.util.inspect import stringify_signature

import assocmem

project = "assocmem"
project_copyright = author = "the assocmem authors"
version = release = assocmem.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
default_role = "code"  # docstrings put names into single backticks
highlight_language = "text"
smartquotes = False  # options in sentences keep their two hyphens

html_theme = "furo"
html_title = "assocmem"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    # scikit-learn's own methods are described there, and its docstrings link to its own pages
    "inherited-members": "Exception,dict,tuple,BaseEstimator,ClassifierMixin,TransformerMixin,"
    "ClassNamePrefixFeaturesOutMixin,_MetadataRequester,_SetOutputMixin,KNeighborsMixin,RadiusNeighborsMixin",
}
maximum_signature_line_length = 90
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False

_attributes: dict[str, list[str]] = {}


def written_signature(
    _app: Any, what: str, _name: str, obj: Any, _options: Any, _signature: str | None, _returns: str | None
) -> tuple[str, str | None] | None:
    """Show annotations as the source has them (``F32``, ``StrPath``): evaluated, an array takes two lines.

    Plain data has no signature, its fields follow.
    """
    if what == "class" and dataclasses.is_dataclass(obj):
        return "", None
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    parameters = [one for one in found.parameters.values() if one.name not in ("self", "cls")]
    text = stringify_signature(found.replace(parameters=parameters), show_return_annotation=False)
    returns = None if what == "class" else stringify_signature(found.replace(parameters=[])).partition(" -> ")[2]
    return _without_numpy(text), _without_numpy(returns or "") or None


def _without_numpy(annotation: str) -> str:
    return re.sub(r"\bnpt?\.", "", annotation)


def save_attribute(_app: Any, what: str, name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Save the docstring of an attribute: napoleon would take what is before a colon in it for its type."""
    if what in ("attribute", "property"):
        _attributes[name] = list(lines)


def restore_attribute(_app: Any, _what: str, name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Put it back; elsewhere, tidy what napoleon wrote, and keep recall@10 from being an address of mail."""
    lines[:] = _attributes.pop(name, [line.replace(" -- ", " \N{EN DASH} ") for line in lines])
    lines[:] = [re.sub(r"(\w)@(\d)", r"\1\\@\2", line) for line in lines]


def tidy_dashes(_app: Any, doctree: nodes.document) -> None:
    """Make a dash of the two hyphens after the name of an exception, and drop them if nothing follows."""
    for text in list(doctree.findall(nodes.Text)):
        if text.astext() == " -- ":
            after = text.parent.children[text.parent.index(text) + 1 :]
            followed = any(node.astext().strip() for node in after)
            text.parent.replace(text, nodes.Text(" \N{EN DASH} " if followed else ""))


def leave_built_in_types(_app: Any, doctree: nodes.document) -> None:
    """Take `bytes` for the built-in type: several results have an attribute of that name, and none is meant."""
    for reference in list(doctree.findall(addnodes.pending_xref)):
        if reference.get("reftarget") == "bytes":
            reference.replace_self(reference.children)


def list_results(_app: Any, page: str, source: list[str]) -> None:
    """Put every public name that no other page of the reference has on the page of results."""
    if page == "api/results":
        pages = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("api/*.md"))
        named = set(re.findall(r":: assocmem\.(\w+)$", pages, re.MULTILINE)) | {"AssocmemError", "__version__"}
        results = [
            f".. autoclass:: assocmem.{name}\n   :undoc-members:\n" for name in assocmem.__all__ if name not in named
        ]
        source[0] = source[0].replace("<!-- results -->", "```{eval-rst}\n" + "\n".join(results) + "```")


def setup(app: Any) -> None:
    """Connect the functions above; napoleon's own has priority 500."""
    app.connect("autodoc-process-signature", written_signature)
    app.connect("autodoc-process-docstring", save_attribute, priority=400)
    app.connect("autodoc-process-docstring", restore_attribute, priority=600)
    app.connect("doctree-read", tidy_dashes)
    app.connect("doctree-read", leave_built_in_types)
    app.connect("source-read", list_results)
