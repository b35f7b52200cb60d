"""The program as a process and through its runner: what it prints, where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from tests.fakes import pictures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _quick_network(monkeypatch):
    """A network in a moment: what the commands do with it is the matter here, not what it sees."""
    from tests.fakes import ColourExtractor

    monkeypatch.setattr(
        "assocmem.extractors.registry.open_extractor", lambda spec="", **_: _checked(ColourExtractor(), spec)
    )


def _checked(extractor, spec):
    extractor.name = spec
    return extractor


@pytest.fixture
def run(tmp_path):
    def call(*words, code=0):
        environment = {"ASSOCMEM_COLLECTION": str(tmp_path / "photos.amem"), "COLUMNS": "100"}
        result = CliRunner().invoke(app, [str(word) for word in words], env=environment)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def indexed(run, tmp_path):
    paths = pictures(tmp_path / "in", range(8))
    run("index", tmp_path / "in")
    return paths


def test_index_reports_as_json(run, tmp_path):
    pictures(tmp_path / "in", range(3))
    (tmp_path / "in" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    answer = json.loads(run("index", tmp_path / "in", "--json").stdout)
    assert answer.keys() == {"indexed", "unchanged", "failed", "items", "elapsed_s"}
    assert (answer["indexed"], answer["unchanged"], answer["items"]) == (3, 0, 3)
    assert [failure.keys() for failure in answer["failed"]] == [{"path", "reason"}]
    assert answer["failed"][0]["path"].endswith("bad.jpg")


def test_index_reports_to_people(run, tmp_path):
    pictures(tmp_path / "in", range(3))
    (tmp_path / "in" / "empty.png").touch()
    result = run("index", tmp_path / "in")
    assert result.stdout.startswith("3 pictures and shots indexed, 0 files unchanged, 1 file with trouble; 3 items in")
    assert "empty.png: empty file" in result.stderr
    (tmp_path / "in" / "0000.png").unlink()
    again = run("index", tmp_path / "in")
    assert "as before, 1 file could not be read" in again.stderr
    assert "empty.png" not in again.stderr
    assert "1 indexed file no longer there (`assocmem remove --missing` takes them out)" in again.stderr


def test_index_exits_with_1_when_nothing_was_indexed(run, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    run("index", tmp_path / "bad.jpg", code=1)
    (tmp_path / "void").mkdir()
    assert "found no pictures or videos" in run("index", tmp_path / "void", code=1).stderr


def test_search_prints_the_contract(run, indexed):
    answer = json.loads(run("search", indexed[2], "-k", 3, "--json").stdout)
    assert answer.keys() == {"query", "elapsed_ms", "hits"}
    assert answer["query"] == str(indexed[2])
    assert answer["elapsed_ms"] > 0
    first = answer["hits"][0]
    assert list(first) == ["rank", "item", "path", "kind", "start", "end", "score"]
    assert (first["rank"], first["path"], first["kind"], first["start"]) == (1, str(indexed[2]), "image", None)
    assert len(answer["hits"]) == 3


def test_search_prints_a_line_per_hit_into_a_pipe(run, indexed):
    lines = run("search", indexed[2], "-k", 2).stdout.splitlines()
    score, path = lines[0].split("\t")
    assert path == str(indexed[2])
    assert float(score) == pytest.approx(1, abs=0.01)
    assert len(lines) == 2


def test_one_picture_at_a_time(run, indexed):
    result = run("search", indexed[0], indexed[1], code=2)
    assert "one picture or video at a time" in " ".join(result.stderr.split())


def test_a_contact_sheet_never_takes_the_place_of_a_picture(run, indexed):
    before = indexed[1].read_bytes()
    result = run("search", indexed[0], "--html", indexed[1], code=1)
    assert "found something else; left alone" in result.stderr
    assert indexed[1].read_bytes() == before
    sheet = indexed[1].with_name("sheet.html")
    for _ in range(2):  # an earlier sheet may be replaced
        run("search", indexed[0], "--html", sheet)
    assert sheet.read_text().count("<img") == 9
    assert sorted(path.suffix for path in sheet.parent.iterdir()) == [".html"] + [".png"] * 8


def test_names_with_line_breaks_stay_on_one_line(run, indexed):
    odd = indexed[0].with_name("line\nbreak\tand tab.png")
    indexed[0].rename(odd)
    run("index", odd.parent)
    lines = run("search", odd, "-k", 3).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split("\t")[1] == str(odd).replace("\n", "\\n").replace("\t", "\\t")


def test_a_collection_without_concepts_says_so(run, tmp_path, monkeypatch):
    from tests.fakes import ColourExtractor

    class Silent(ColourExtractor):
        has_logits = False

        def extract(self, images):
            extraction = super().extract(images)
            return type(extraction)(extraction.features)

    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: Silent())
    pictures(tmp_path / "in", range(2))
    run("index", tmp_path / "in")
    for words in (["search", "tabby"], ["concepts", tmp_path / "in" / "0000.png"]):
        assert "gives no ImageNet concepts" in run(*words, code=1).stderr


def test_words_are_joined_and_unknown_ones_answered_with_names(run, indexed):
    result = run("search", "golden", "retreiver", code=1)
    assert "no concept is called 'golden retreiver'" in result.stderr
    assert "golden retriever" in result.stderr
    assert result.stdout == ""


def test_words_with_hits_say_what_they_were_taken_to_mean(run, indexed, tmp_path):
    """Unless that is what they say."""
    from assocmem.data.hierarchy import ancestors, labels_of_kind
    from assocmem.data.labels import imagenet_labels

    with assocmem.open(tmp_path / "photos.amem") as photos:
        index, name = next(
            (label.index, label.name)
            for label in imagenet_labels()
            if " " in label.name
            and photos.meant(label.name).names == [label.name]
            and label in photos.meant(max(label.name.split(), key=len)).labels
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
    more = len(labels_of_kind(general)) - 5
    assert f"taken to mean: {general} (" in of_kind.stderr
    assert f" and {more} more)" in of_kind.stderr


def test_a_folder_is_no_question(run, indexed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = run("search", "in", code=1)
    assert "in: expected a picture, a video or words for a concept, found a folder" in refused.stderr


def test_a_concept_that_nothing_looks_like_says_what_there_is(run, indexed):
    from assocmem.data.labels import imagenet_labels

    for label in imagenet_labels():
        result = run("search", label.synonyms[0], "--json")
        if not json.loads(result.stdout)["hits"]:
            assert "nothing in the collection looks like" in result.stderr
            assert f"taken to mean: {label.name}" in result.stderr
            assert "what the collection holds most: " in result.stderr
            return
    raise AssertionError("every concept was found among eight pictures")


def test_concepts_print_the_contract(run, indexed):
    answer = json.loads(run("concepts", indexed[0], "-k", 2, "--json").stdout)
    assert answer.keys() == {"query", "concepts"}
    assert [list(hit) for hit in answer["concepts"]] == [["rank", "concept", "score", "source"]] * 2
    assert answer["concepts"][0]["source"] == "imagenet"


def test_remove_info_and_verify(run, indexed, tmp_path):
    assert json.loads(run("remove", indexed[0], "--json").stdout) == {"removed": 1, "items": 7}
    info = json.loads(run("info", "--json").stdout)
    assert (info["items"], info["images"], info["shots"], info["code_bytes"]) == (7, 7, 0, 64)
    assert json.loads(run("verify", "--json").stdout) == {"items": 7, "problems": []}
    assert "7 items, all is well" in run("verify").stdout
    segment = next((tmp_path / "photos.amem" / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:2000])
    assert "expected a whole segment, found damage" in run("verify", code=1).stdout


def test_info_lists_failures(run, indexed, tmp_path):
    (tmp_path / "in" / "empty.png").touch()
    run("index", tmp_path / "in")
    assert "empty.png\tempty file" in run("info", "--failures").stdout
    assert json.loads(run("info", "--failures", "--json").stdout)["failed"][0]["reason"] == "empty file"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["search", "missing.jpg"], 1, "missing.jpg: no such file"),
        (["search"], 2, "Missing argument"),
        (["search", ""], 1, "found an empty one"),
        (["search", "tabby", "--mask", "0,0,0.5,0.5"], 1, "--mask: expected a picture or video"),
        (["search", "x.jpg", "--exact", "--effort", "0.5"], 2, "expected --exact or --effort, found both"),
        (["search", "/"], 1, "/: is a directory"),
        (["remove", ""], 1, "found an empty one"),
        (["index", ""], 1, "found an empty one"),
        (["info", "-c", ""], 1, "found an empty one"),
        (["search", "tabby", "--html", "/no/such/folder/x.html"], 1, "found no folder /no/such/folder"),
        (["search", "tabby", "--html", "/"], 1, "found something else; left alone"),
        (["search", "x.jpg", "-k", "0"], 2, "-k"),
        (["remove"], 2, "name files or folders"),
        (["index", "x", "-o", "size"], 2, "expected KEY=VALUE"),
        (["index", "x", "--weights", "w.pt"], 1, "name it too"),
        (["info"], 1, "there is no collection yet"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_wrong_use_is_answered_on_stderr(run, words, code, message):
    result = run(*words, code=code)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_one_error_is_one_line_without_a_traceback(run, tmp_path):
    (tmp_path / "x.jpg").write_text("no")
    result = run("search", tmp_path / "x.jpg", code=1)
    assert result.stderr.strip().splitlines() == [f"error: {tmp_path / 'x.jpg'}: neither a picture nor a video"]
