"""What released code wrote opens, and gives the answers it gave: files of the array classes, and a collection."""

from __future__ import annotations

import copy
import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assocmem
from tests.golden import arrays, collection, commands
from tests.golden.compare import differences

FIXTURE = Path(__file__).resolve().parent / "v0.1"
UNCHANGED = [name for name in arrays.MADE if not name.startswith("index-")]
"""Files that this version writes as it did."""
STEPS = re.compile(r"/([^/\[]+)|\[(\d+)\]")
DERIVED = {f"memory-{name}.h5" for name in ("cliques", "concepts", "messages", "seen")}


@functools.cache
def _answers() -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((FIXTURE / "answers.json").read_text())
    return answers


@functools.cache
def _inputs() -> arrays.Inputs:
    return arrays.inputs_of(FIXTURE)


@functools.cache
def _changed() -> dict[str, dict[str, Any]]:
    """Answers that this version gives otherwise, on purpose: by name, place -> present answer.

    Concepts are recognised in another way since examples count by more than ridge regression. Groups of copies name
    links beside copies and say how certain they are, and a file is no copy of itself. ``remove --missing`` tells what
    it kept.
    """
    changed: dict[str, dict[str, Any]] = json.loads((FIXTURE / "changed.json").read_text())
    return changed


def _with_changes(expected: Any, name: str) -> Any:
    out = copy.deepcopy(expected)
    for place, value in _changed().get(name, {}).items():
        steps = [int(number) if number else key for key, number in STEPS.findall(place)]
        at = out
        for step in steps[:-1]:
            at = at[step]
        at[steps[-1]] = value
    return out


def _check(expected: Any, found: Any, tolerance: float, name: str = "") -> None:
    lines = list(differences(_with_changes(expected, name), json.loads(json.dumps(found)), tolerance))
    assert not lines, "\n".join(lines[:40])


def _check_contents(expected: Path, found: Path, tolerance: float = 0.0) -> None:
    """Names, attributes and values of two HDF5 files: integers and bytes exactly, floats with a tolerance."""
    old, new = arrays.contents(expected), arrays.contents(found)
    assert new.keys() == old.keys()
    for name, one in old.items():
        new[name]["attributes"].pop("names", None)  # the sum of a file that is kept since
        _check(one["attributes"], new[name]["attributes"], tolerance)
        values, others = np.asarray(one["values"]), np.asarray(new[name]["values"])
        if name == "values" and values.dtype == np.float16:  # examples were stored as float16 then
            np.testing.assert_allclose(others, values, rtol=1e-3, atol=1e-4)
            continue
        assert others.dtype == values.dtype, name
        summed = name.removesuffix(" checksums")
        if name == "about":  # facts, as JSON
            assert json.loads(others.tobytes()) == json.loads(values.tobytes())
        elif values.dtype.kind == "f" and tolerance:
            np.testing.assert_allclose(others, values, rtol=tolerance, atol=tolerance, err_msg=name)
        elif summed == "values" and old[summed]["values"].dtype == np.float16:
            continue
        elif summed == name or (summed != "about" and not (tolerance and old[summed]["values"].dtype.kind == "f")):
            np.testing.assert_array_equal(others, values, err_msg=name)


@pytest.mark.parametrize("name", arrays.MADE)
def test_a_saved_file_opens_and_gives_the_same_answers(name):
    answers = arrays.ask(name, arrays.load(FIXTURE / name), _inputs())
    _check(_known(_answers()["arrays"][name], answers), answers, arrays.TOLERANCE, name)


def _known(expected: Any, answers: Any) -> Any:
    """The answers that must stay. Those of an index depend on its codes, which this version makes in another way."""
    if "search exact" not in answers:
        return expected
    known = {name: expected[name] for name in answers}
    return known | {"stats": {name: expected["stats"][name] for name in answers["stats"]}}


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_saved_file_that_is_saved_again_holds_the_same(name, tmp_path):
    arrays.load(FIXTURE / name).save(tmp_path / name)
    _check_contents(FIXTURE / name, tmp_path / name)


@pytest.mark.parametrize("name", UNCHANGED)
def test_the_same_inputs_make_the_same_file(name, tmp_path):
    made = arrays.MADE[name][1](_inputs())
    made.save(tmp_path / name)
    _check_contents(FIXTURE / name, tmp_path / name, arrays.TOLERANCE)
    answers = arrays.ask(name, made, _inputs())
    if name == "concepts.h5":  # the examples of the file were rounded to float16, so its answers are a little different
        return
    _check(_without_sizes(_answers()["arrays"][name]), _without_sizes(answers), arrays.TOLERANCE, name)


def _without_sizes(answers: dict[str, Any]) -> dict[str, Any]:
    """What is in memory has room to spare, what was loaded has not."""
    stats = answers.get("stats")
    return answers if stats is None else answers | {"stats": {k: v for k, v in stats.items() if k != "memory"}}


@pytest.fixture
def root(tmp_path):
    return collection.copied(FIXTURE, tmp_path.resolve())


def test_the_fixture_holds_one_catalog_file_and_no_path_of_a_machine(root):
    assert not list((root / "photos.amem").glob("catalog.sqlite3-*"))
    collection.move_paths(root / "photos.amem", str(root), collection.GOLDEN)
    for path in (root / "photos.amem").rglob("*"):
        assert not path.is_file() or str(root).encode() not in path.read_bytes()


def test_a_collection_opens_and_answers_from_python(root):
    _check(_answers()["python"], collection.ask_collection(root), commands.TOLERANCE, "python")


@pytest.mark.parametrize("group", commands.GROUPS)
def test_commands_answer_as_they_did(group, root):
    expected = _answers()[group]
    found = list(commands.run_group(group, root))
    assert [one["command"] for one in found] == [one["command"] for one in expected]
    _check(expected, found, commands.TOLERANCE, group)
    for place in ("photos.amem", "new.amem"):
        if (root / place).exists():
            _check_layout(_answers()[f"layout of {place} after {group}"], collection.layout(root / place))


def _check_layout(expected, found):
    """Files are as they were; a small collection may do without files of derived memories, which cost a commit each."""
    may_be_missing = DERIVED | {"memory-taught.h5"}
    missing = {name for name in may_be_missing if name in expected and name not in found}
    meta = found["catalog.sqlite3"]["meta"]
    meta[:] = [key for key in meta if key != "roots"]  # what was indexed is noted since
    if found.pop("memory-names.h5", None) is not None:  # a memory that says which item was seen is kept since
        found["memory-messages.h5"]["attributes"].remove("names")
    for name, file in found.items():
        if name.startswith("segments/"):  # fine detail is kept since, with what is new
            file["datasets"].pop("details", None)
    _check({name: value for name, value in expected.items() if name not in missing}, found, 0)


def test_derived_memories_are_made_again_as_they_were(root, tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.index.derived.refresh.REFRESH_AT", 1)  # not only after hundreds of changes
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in (root / "photos.amem").glob("memory-*.h5"):
        path.rename(kept / path.name)
    with assocmem.open(root / "photos.amem") as photos:
        photos.add(root / "pictures")
        photos.info()
    # What was taught is solved when it is asked for, and written when something is taught.
    names = {path.name for path in kept.iterdir()} - {"memory-taught.h5"}
    assert names == DERIVED
    for name in names:
        _check_contents(kept / name, root / "photos.amem" / name, arrays.TOLERANCE)
    _check(_answers()["python"], collection.ask_collection(root), commands.TOLERANCE, "python")


@pytest.mark.parametrize(
    "found",
    [
        {"a": 1, "b": [0.5, "x"], "c": 0},
        {"a": 1},
        {"a": 1.0, "b": [0.5, "x"]},
        {"a": True, "b": [0.5, "x"]},
        {"a": 1, "b": [0.51, "x"]},
        {"a": 1, "b": [0.5, "y"]},
        {"a": 1, "b": [0.5]},
        {"a": 1, "b": [float("nan"), "x"]},
        {"a": 1, "b": None},
    ],
)
def test_the_comparison_sees_every_difference(found):
    expected = {"a": 1, "b": [0.5, "x"]}
    assert list(differences(expected, expected | {"b": [0.5001, "x"]}, 1e-3)) == []
    assert list(differences(expected, found, 1e-3))
