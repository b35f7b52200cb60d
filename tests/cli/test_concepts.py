"""``assocmem concepts``: what files show, and the concepts that were taught."""

from __future__ import annotations

from tests.fakes import pictures


def test_concepts_of_a_file_as_json(ask, indexed):
    answer = ask("concepts", indexed[0], "-k", 2)
    assert answer.keys() == {"query", "concepts"}
    assert [list(hit) for hit in answer["concepts"]] == [["rank", "concept", "score", "source"]] * 2
    assert answer["concepts"][0]["source"] == "imagenet"


def test_a_file_may_show_none_of_the_taught_concepts(run, ask, files):
    run("teach", "mill", files[0])
    answer = ask("concepts", files[0], "-k", 2)
    assert answer.keys() == {"query", "concepts", "none_of_taught"}
    assert not answer["none_of_taught"]
    assert [one["source"] for one in answer["concepts"]] == ["taught", "imagenet", "imagenet"]
    run("correct", files[0], "--not", "mill")
    run("teach", "mill", files[1])
    assert ask("concepts", files[0])["none_of_taught"]
    assert run("concepts", files[0]).stderr == "not the taught concept\n"
    run("teach", "tower", files[2])
    run("correct", files[3], "--not", "mill")
    run("correct", files[3], "--not", "tower")
    assert run("concepts", files[3]).stderr == "none of the 2 taught concepts\n"


def test_concepts_of_several_files(run, ask, files):
    run("teach", "heron", *files[:2])
    answers = ask("concepts", files[0], files[1], "-k", 1)["answers"]
    assert [answer["query"] for answer in answers] == [str(files[0]), str(files[1])]
    lines = run("concepts", files[0], files[1], "-k", 1).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(files[0])] * 2 + [str(files[1])] * 2


def test_the_taught_concepts_are_listed(run, ask, files):
    empty = run("concepts")
    assert (empty.stdout, "no concept has been taught yet; begin with" in empty.stderr) == ("", True)
    run("teach", "mill", *files[:3])
    run("teach", "tower", files[3], "--parent", "building")
    first, second = ask("concepts")["concepts"]
    assert list(first) == ["concept", "parent", "examples", "denied", "confidence", "taught"]
    assert (first["concept"], first["parent"], first["examples"], first["denied"]) == ("mill", None, 3, 0)
    assert 0 <= first["confidence"] <= 1
    assert (second["concept"], second["parent"], second["confidence"]) == ("tower", "building", None)
    assert run("concepts").stdout == f"mill\t3\t{first['confidence']:.2f}\ntower\t1\t\tbuilding\n"


def test_a_network_without_concepts_is_an_error(run, tmp_path, network_without_concepts):
    pictures(tmp_path / "in", range(2))
    run("index", tmp_path / "in")
    for words in (["search", "tabby"], ["concepts", tmp_path / "in" / "0000.png"]):
        assert "gives no ImageNet concepts" in run(*words, code=1).stderr
