"""``assocmem search``: its hits as JSON and as lines, what words mean, contact sheets, and wrong use."""

from __future__ import annotations

import json

import pytest

import assocmem


def test_hits_as_json(ask, indexed):
    answer = ask("search", indexed[2], "-k", 3)
    assert answer.keys() == {"query", "elapsed_ms", "hits"}
    assert answer["query"] == str(indexed[2])
    assert answer["elapsed_ms"] > 0
    first = answer["hits"][0]
    assert list(first) == ["rank", "item", "path", "kind", "start", "end", "score"]
    assert (first["rank"], first["path"], first["kind"], first["start"]) == (1, str(indexed[2]), "image", None)
    assert len(answer["hits"]) == 3


def test_each_hit_is_a_line_in_a_pipe(run, indexed):
    lines = run("search", indexed[2], "-k", 2).stdout.splitlines()
    score, path = lines[0].split("\t")
    assert path == str(indexed[2])
    assert float(score) == pytest.approx(1, abs=0.01)
    assert len(lines) == 2


def test_names_with_line_breaks_stay_on_one_line(run, indexed):
    odd = indexed[0].with_name("line\nbreak\tand tab.png")
    indexed[0].rename(odd)
    run("index", odd.parent)
    lines = run("search", odd, "-k", 3).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split("\t")[1] == str(odd).replace("\n", "\\n").replace("\t", "\\t")


def test_one_picture_at_a_time(run, indexed):
    result = run("search", indexed[0], indexed[1], code=2)
    assert "one picture or video at a time" in " ".join(result.stderr.split())


def test_a_folder_is_not_a_query(run, indexed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = run("search", "in", code=1)
    assert "in: expected a picture, a video or words for a concept, found a folder" in refused.stderr


def test_a_contact_sheet_never_replaces_a_picture(run, indexed):
    before = indexed[1].read_bytes()
    result = run("search", indexed[0], "--html", indexed[1], code=1)
    assert "found something else; left alone" in result.stderr
    assert indexed[1].read_bytes() == before
    sheet = indexed[1].with_name("sheet.html")
    for _ in range(2):  # an earlier sheet may be replaced
        run("search", indexed[0], "--html", sheet)
    assert sheet.read_text().count("<img") == 9
    assert sorted(path.suffix for path in sheet.parent.iterdir()) == [".html"] + [".png"] * 8


def test_words_are_joined_and_unknown_ones_answered_with_similar_names(run, indexed):
    result = run("search", "golden", "retreiver", code=1)
    assert "no concept is called 'golden retreiver'" in result.stderr
    assert "golden retriever" in result.stderr
    assert result.stdout == ""


def test_the_meaning_of_words_is_printed(run, indexed, tmp_path):
    """It is printed unless the words are the name of just one concept."""
    from assocmem.data.imagenet import ancestors, imagenet_labels, labels_in_category

    with assocmem.open(tmp_path / "photos.amem") as photos:
        index, name = next(
            (label.index, label.name)
            for label in imagenet_labels()
            if " " in label.name
            and photos.searcher.meant(label.name).names == [label.name]
            and label in photos.searcher.meant(max(label.name.split(), key=len)).labels
            and photos.search(label.name)
        )
    assert "taken to mean" not in run("search", name).stderr
    loosely = run("search", max(name.split(), key=len), "--json")
    meant = json.loads(loosely.stdout)["meant"]
    assert name in meant
    assert "taken to mean: " in loosely.stderr
    assert ", ".join(meant[:5]) in loosely.stderr
    general = ancestors(index)[-1]
    of_kind = run("search", general, "--json")
    assert set(json.loads(of_kind.stdout)["meant"]) >= {name}
    more = len(labels_in_category(general)) - 5
    assert f"taken to mean: {general} (" in of_kind.stderr
    assert f" and {more} more)" in of_kind.stderr


def test_a_concept_without_hits_is_answered_with_frequent_ones(run, indexed):
    from assocmem.data.imagenet import imagenet_labels

    for label in imagenet_labels():
        result = run("search", label.synonyms[0], "--json")
        if not json.loads(result.stdout)["hits"]:
            assert "nothing in the collection looks like" in result.stderr
            assert f"taken to mean: {label.name}" in result.stderr
            assert "the most frequent concepts in the collection: " in result.stderr
            return
    raise AssertionError("every concept was found among eight pictures")
