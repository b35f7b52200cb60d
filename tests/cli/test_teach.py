"""The commands of ``cli/teach.py``: teach, correct, forget, rename, merge, history and undo."""

from __future__ import annotations

import pytest

from tests.fakes import pictures

REPORT = {"taught", "known", "changed", "indexed", "concepts", "teachings", "failed", "examples"}
ALONE = "this is the only concept so far; teach a second one, so that the two can be distinguished\n"
TEACHING = ["id", "example", "concept", "is_one", "said", "at", "who", "path", "start", "end", "undone"]


# teach


def test_teach_prints_what_it_did(run, files):
    result = run("teach", "lighthouse", *files[:2])
    assert result.stdout == "2 taught\nlighthouse: 2 examples\n"
    assert result.stderr == ALONE
    again = run("teach", "LightHouse ", files[0], files[2])
    assert again.stdout == "1 taught, 1 known already\nlighthouse: 3 examples\n"
    assert run("teach", "tower", files[0]).stdout == (
        "1 taught, 1 of them was something else before\ntower: 1 example\n"
    )


def test_teach_as_json(ask, files, tmp_path):
    answer = ask("teach", "tower", files[0])
    assert answer == {
        "taught": 1, "known": 0, "changed": 0, "indexed": 0, "concepts": ["tower"], "teachings": [1], "failed": [],
        "examples": {"tower": 1},
    }  # fmt: skip
    pictures(tmp_path / "more", [0, 6, 7])
    (tmp_path / "more" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    answer = ask("teach", "mill", tmp_path / "more")
    assert answer.keys() == REPORT
    assert (answer["taught"], answer["changed"], answer["indexed"], answer["examples"]) == (3, 1, 3, {"mill": 3})
    assert [list(failure) for failure in answer["failed"]] == [["path", "reason"]]


def test_teach_indexes_new_files_first_and_says_so_on_stderr(run, tmp_path):
    path, *_ = pictures(tmp_path / "new", range(2))
    result = run("teach", "tower", path)
    assert result.stderr == "1 picture or shot indexed first\n" + ALONE
    assert result.stdout == "1 taught\ntower: 1 example\n"
    (tmp_path / "new" / "line\nbreak.jpg").touch()
    result = run("teach", "tower", tmp_path / "new")
    assert "line\\nbreak.jpg: empty file; skipped" in result.stderr
    assert len(result.stderr.splitlines()) == 3


def test_teach_folders(run, ask, tmp_path):
    for name, seeds in (("a, b", range(2)), ("[red] dog", range(2, 5)), ("čáp", [7])):
        pictures(tmp_path / "sorted" / name, seeds)
    (tmp_path / "sorted" / "void").mkdir()
    result = run("teach", "--folders", tmp_path / "sorted")
    assert result.stdout == "6 taught\n[red] dog: 3 examples\na, b: 2 examples\nčáp: 1 example\n"
    assert ask("teach", "--folders", tmp_path / "sorted")["known"] == 6
    refused = run("teach", "--folders", tmp_path / "sorted" / "void", code=1)
    assert refused.stderr.endswith("expected a folder with a folder for each concept in it, found none\n")


def test_a_search_for_the_parent_finds_the_concept(run, ask, files):
    run("teach", "Bello", files[0], "--parent", "pets")
    assert ask("concepts")["concepts"][0]["parent"] == "pets"
    assert ask("search", "pets", "-k", 1)["hits"][0]["path"] == str(files[0])
    assert "is called 'pets'" in run("teach", "pets", "--parent", "Bello", code=1).stderr  # nothing shows pets
    run("teach", "pets", files[1])
    assert "not below 'pets', found 'Bello'" in run("teach", "pets", "--parent", "Bello", code=1).stderr


def test_a_parent_with_an_unknown_name_is_reported(run, files):
    assert "nothing else is called 'dogg'" in run("teach", "heron", files[0], "--parent", "dogg").stderr
    assert "nothing else" not in run("teach", "stork", files[1], "--parent", "bird").stderr


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "a, b; c", "Ж́ук 🪲", "=x", "100 %", 'He said "no"'])
def test_any_name_is_printed_as_it_was_given(run, ask, files, name):
    assert run("teach", name, files[0]).stdout == f"1 taught\n{name}: 1 example\n"
    assert ask("concepts")["concepts"][0]["concept"] == name
    assert run("concepts").stdout == f"{name}\t1\n"
    assert run("concepts", files[0], "-k", 1).stdout.splitlines()[0] == f"1.000\t{name}\ttaught"
    assert f"\tis {name}\t" in run("history", name).stdout
    assert run("forget", name).stdout == f"1 teaching of {name} taken back\n"


# correct, forget


def test_correct_takes_what_files_are_not_and_what_they_are(run, ask, files):
    run("teach", "tower", *files[:2])
    answer = ask("correct", files[0], "--not", "TOWER", "--is", "mill")
    assert answer.keys() == REPORT
    assert (answer["taught"], answer["concepts"], answer["examples"]) == (1, ["mill"], {"mill": 1})
    assert ask("concepts", files[0])["concepts"][0]["concept"] == "mill"
    denied = run("correct", files[1], "--not", "tower")
    assert denied.stdout == "1 corrected, 1 of them was something else before\n"
    assert run("correct", files[1], "--not", "tower").stdout == "0 corrected, 1 known already\n"
    assert "tower" not in [one["concept"] for one in ask("concepts", files[1])["concepts"]]


def test_an_unknown_name_is_answered_with_similar_names(run, files):
    run("teach", "weathercock", files[0])
    result = run("correct", files[0], "--not", "wethercock", code=1)
    assert result.stderr.startswith("error: no concept is called 'wethercock'; the nearest names are: weathercock")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_forget_takes_back(run, ask, files):
    run("teach", "tower", *files[:4])
    assert ask("forget", "tower", files[0]) == {"undone": 1}
    assert ask("forget", "tower", files[1], files[1].parent, files[1]) == {"undone": 3}  # each once
    assert ask("concepts") == {"concepts": []}
    run("teach", "tower", *files[:2])
    assert run("forget", "Tower").stdout == "2 teachings of Tower taken back\n"
    assert "taught" not in [one["source"] for one in ask("concepts", files[0])["concepts"]]
    assert len(ask("search", files[0])["hits"]) == 6  # the pictures stay


def test_forget_of_what_was_not_taught_changes_nothing(run, ask, files):
    run("teach", "tower", files[0])
    result = run("forget", "tower", files[0], files[1], code=1)
    assert result.stderr == f"error: {files[1]}: was not taught as 'tower'; nothing was forgotten\n"
    assert ask("concepts")["concepts"][0]["examples"] == 1


# rename, merge


def test_rename_and_merge(run, ask, files):
    run("teach", "tower", files[0])
    run("teach", "mill", files[1])
    assert run("rename", "TOWER", "water tower").stdout == "TOWER is called water tower now\n"
    refused = run("rename", "mill", "Water Tower", code=1)
    assert refused.stderr == "error: rename: the concept 'water tower' exists already; merge the two if they are one\n"
    assert run("merge", "mill", "water tower").stdout == "mill is water tower now: 2 examples\n"
    assert [one["concept"] for one in ask("concepts")["concepts"]] == ["water tower"]
    assert (
        "expected two concepts, found 'water tower' twice" in run("merge", "water tower", "Water Tower", code=1).stderr
    )


def test_concepts_that_were_only_denied_can_be_merged(run, files):
    for name, path in (("tower", files[0]), ("mill", files[1])):
        run("teach", name, path)
        run("correct", path, "--not", name)
    assert run("merge", "tower", "mill").stdout == "tower is mill now: 0 examples\n"


# history, undo


def test_history_lists_and_undo_takes_back(run, ask, files):
    assert run("history").stdout == ""
    run("teach", "tower", *files[:2])
    run("correct", files[0], "--not", "tower")
    teachings = ask("history")["teachings"]
    assert [list(one) for one in teachings] == [TEACHING] * 3
    assert [(one["concept"], one["is_one"], one["undone"]) for one in teachings] == [
        ("tower", True, None), ("tower", True, None), ("tower", False, None),
    ]  # fmt: skip
    number, at, _, said, path = run("history", "TOWER").stdout.splitlines()[2].split("\t")
    assert (number, said, path) == (str(teachings[2]["id"]), "is not tower", str(files[0]))
    assert at == teachings[2]["at"]
    assert run("undo", number).stdout == "1 teaching taken back\n"
    assert run("undo", number, number).stdout == "0 teachings taken back, 1 had been already\n"
    assert ask("history")["teachings"][2]["undone"] is not None
    assert ask("concepts", files[0])["concepts"][0] == {
        "rank": 1, "concept": "tower", "score": pytest.approx(1), "source": "taught",
    }  # fmt: skip
    refused = run("undo", number, 99, code=1)
    assert refused.stderr == "error: undo: expected the number of a teaching, found 99; `history` lists them\n"


def test_what_a_command_taught_is_undone_by_its_numbers(run, ask, files):
    told = run("teach", "heron", *files[:4]).stderr
    assert told.startswith("`assocmem undo 1-4` takes it back\n")
    assert run("undo", "1-3", 4).stdout == "4 teachings taken back\n"
    assert ask("concepts")["concepts"] == []


def test_history_of_nothing_names_the_next_step(run, files):
    assert "nothing has been taught yet; begin with `assocmem teach" in run("history").stderr
    run("teach", "tower", files[0])
    assert run("history", "towr", code=1).stderr == (
        "error: no taught concept is called 'towr'; the nearest names are: tower\n"
    )
