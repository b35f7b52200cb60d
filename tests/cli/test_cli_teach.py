"""The commands that teach: what they print, where, in which shape, and how they end."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.errors import LockedError
from tests.fakes import ColourExtractor, pictures

ROOT = Path(__file__).resolve().parents[2]
REPORT = {"taught", "known", "changed", "indexed", "concepts", "teachings", "failed", "examples"}
ALONE = "this is the only concept yet; taught another, it can tell them apart\n"
ASKED = "[y/n/name/s/u/q]"
TEACHING = ["id", "example", "concept", "is_one", "said", "at", "who", "path", "start", "end", "undone"]


@pytest.fixture(autouse=True)
def _quick_network(monkeypatch):
    def opened(spec="", **_):
        extractor = ColourExtractor()
        extractor.name = spec
        return extractor

    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", opened)


@pytest.fixture
def run(tmp_path):
    def call(*words, code=0, answers=None):
        environment = {"ASSOCMEM_COLLECTION": str(tmp_path / "photos.amem"), "COLUMNS": "100"}
        result = CliRunner().invoke(app, [str(word) for word in words], input=answers, env=environment)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("teach")
    with assocmem.open(root / "photos.amem", extractor=ColourExtractor()) as photos:
        photos.add(pictures(root / "in", range(6)))
    return root


@pytest.fixture
def files(made, tmp_path):
    """Pictures that are not to be changed, in a collection of the test's own."""
    shutil.copytree(made / "photos.amem", tmp_path / "photos.amem")
    return sorted((made / "in").iterdir())


@pytest.fixture
def ask(run):
    """Command -> its JSON."""
    return lambda *words: json.loads(run(*words, "--json").stdout)


# teach


def test_teach_tells_what_it_did(run, files):
    result = run("teach", "lighthouse", *files[:2])
    assert result.stdout == "2 taught\nlighthouse: 2 examples\n"
    assert result.stderr == ALONE
    again = run("teach", "LightHouse ", files[0], files[2])
    assert again.stdout == "1 taught, 1 known already\nlighthouse: 3 examples\n"
    assert run("teach", "tower", files[0]).stdout == (
        "1 taught, 1 of them was something else before\ntower: 1 example\n"
    )


def test_teach_answers_as_json(ask, files, tmp_path):
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


def test_teach_indexes_first_what_is_new_and_says_so_on_stderr(run, tmp_path):
    path, *_ = pictures(tmp_path / "new", range(2))
    result = run("teach", "tower", path)
    assert result.stderr == "1 picture or shot indexed first\n" + ALONE
    assert result.stdout == "1 taught\ntower: 1 example\n"
    (tmp_path / "new" / "line\nbreak.jpg").touch()
    result = run("teach", "tower", tmp_path / "new")
    assert "line\\nbreak.jpg: empty file; left out" in result.stderr
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


def test_a_parent_is_above(run, ask, files):
    run("teach", "Bello", files[0], "--parent", "pets")
    assert ask("concepts")["concepts"][0]["parent"] == "pets"
    assert ask("search", "pets", "-k", 1)["hits"][0]["path"] == str(files[0])
    assert "is called 'pets'" in run("teach", "pets", "--parent", "Bello", code=1).stderr  # nothing shows pets
    run("teach", "pets", files[1])
    assert "not below 'pets', found 'Bello'" in run("teach", "pets", "--parent", "Bello", code=1).stderr


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "a, b; c", "Ж́ук 🪲", "=x", "100 %", 'He said "no"'])
def test_any_name_comes_back_as_it_was_said(run, ask, files, name):
    assert run("teach", name, files[0]).stdout == f"1 taught\n{name}: 1 example\n"
    assert ask("concepts")["concepts"][0]["concept"] == name
    assert run("concepts").stdout == f"{name}\t1\n"
    assert run("concepts", files[0], "-k", 1).stdout.splitlines()[0] == f"1.000\t{name}\ttaught"
    assert f"\tis {name}\t" in run("history", name).stdout
    assert run("forget", name).stdout == f"1 teaching of {name} taken back\n"


# correct, forget


def test_correct_says_what_is_not_and_what_is(run, ask, files):
    run("teach", "tower", *files[:2])
    answer = ask("correct", files[0], "--not", "TOWER", "--is", "mill")
    assert answer.keys() == REPORT
    assert (answer["taught"], answer["concepts"], answer["examples"]) == (1, ["mill"], {"mill": 1})
    assert ask("concepts", files[0])["concepts"][0]["concept"] == "mill"
    denied = run("correct", files[1], "--not", "tower")
    assert denied.stdout == "1 corrected, 1 of them was something else before\n"
    assert run("correct", files[1], "--not", "tower").stdout == "0 corrected, 1 known already\n"
    assert "tower" not in [one["concept"] for one in ask("concepts", files[1])["concepts"]]


def test_what_correct_does_not_know_is_answered_with_names(run, files):
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


# rename, merge, history, undo


def test_rename_and_merge(run, ask, files):
    run("teach", "tower", files[0])
    run("teach", "mill", files[1])
    assert run("rename", "TOWER", "water tower").stdout == "TOWER is called water tower now\n"
    refused = run("rename", "mill", "Water Tower", code=1)
    assert refused.stderr == "error: rename: there is a concept 'water tower' already; merge the two if they are one\n"
    assert run("merge", "mill", "water tower").stdout == "mill is water tower now: 2 examples\n"
    assert [one["concept"] for one in ask("concepts")["concepts"]] == ["water tower"]
    assert (
        "expected two concepts, found 'water tower' twice" in run("merge", "water tower", "Water Tower", code=1).stderr
    )


def test_merging_what_was_only_denied_is_no_traceback(run, files):
    for name, path in (("tower", files[0]), ("mill", files[1])):
        run("teach", name, path)
        run("correct", path, "--not", name)
    assert run("merge", "tower", "mill").stdout == "tower is mill now: 0 examples\n"


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


def test_history_says_where_nothing_was_taught_and_of_what_there_is_none(run, files):
    assert "nothing has been taught yet; begin with `assocmem teach" in run("history").stderr
    run("teach", "tower", files[0])
    assert run("history", "towr", code=1).stderr == (
        "error: no concept that was taught is called 'towr'; the nearest names are: tower\n"
    )


# concepts


def test_concepts_lists_what_was_taught(run, ask, files):
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


def test_concepts_of_a_file_say_when_it_is_none_of_those_taught(run, ask, files):
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


# review


def test_review_learns_what_is_answered(run, ask, files):
    result = run("review", answers="heron\ny\ns\nn\n=x\nq\n")
    learned = [line.removeprefix("   learned: ") for line in result.stderr.splitlines()]
    assert learned[0] == "a new concept, 'heron' (u takes it back)"
    assert learned[2].startswith("not ")
    assert learned[3:] == ["a new concept, 'x' (u takes it back)", "4 answers learned"]
    lines = result.stdout.splitlines()
    assert lines[0] == ""
    assert lines[1].startswith("1. ")
    assert Path(lines[1][3:]) in files
    assert lines[2].startswith("   (nothing was taught yet")
    assert lines[3].startswith("   is this ")
    assert f", as the network calls it (48%)? {ASKED} " in lines[3]
    said = ask("history")["teachings"]
    assert [one["is_one"] for one in said] == [True, True, False, True]
    assert (said[0]["concept"], said[3]["concept"]) == ("heron", "x")
    assert said[0]["path"] == lines[1][3:]
    assert f"is this {said[1]['concept']}" in result.stdout
    assert len({one["path"] for one in said}) == 4


def test_review_ends_by_itself_and_says_why(run, files):
    result = run("review", answers="heron\n" * 9)
    assert result.stderr.endswith("\n6 answers learned; all that is left is known, or a near copy of it\n")
    assert "6. " in result.stdout
    assert "7. " not in result.stdout


@pytest.mark.parametrize("answers", ["", "q\n", "Q\n", "quit\n"])
def test_the_end_of_input_is_the_end(run, files, answers):
    result = run("review", answers=answers)
    assert result.stderr == "0 answers learned\n"
    assert result.stdout.count(ASKED) == 1
    assert run("history").stdout == ""


def test_a_line_without_its_end_counts(run, files):
    assert run("review", answers="heron").stderr.endswith("\n1 answer learned\n")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "expected y, n, a name, s, u or q"),
        ("x", "expected y, n, a name, s, u or q"),
        ("   ", "expected y, n, a name, s, u or q"),
        ("=", "error: concept: expected a name with a letter or a digit in it, found ''"),
        ("...", "error: concept: expected a name with a letter or a digit in it, found '...'"),
        ("x" * 201, "error: concept: expected a name of at most 200 characters, found 201"),
        ("a\x1b[A", "error: concept: expected a name without control characters"),
    ],
)
def test_nonsense_is_asked_again(run, files, answer, message):
    result = run("review", "-n", 1, answers=f"{answer}\nheron\n")
    first, _, last = result.stderr.splitlines()
    assert first.startswith(message)
    assert last == "1 answer learned"
    assert result.stdout.count("is this ") == 2
    assert result.stdout.count("2. ") == 0


def test_what_is_no_utf8_is_asked_again(run, files):
    result = run("review", "-n", 1, answers=b"caf\xe9\nheron\n")
    assert "which is no UTF-8" in result.stderr
    assert result.stderr.endswith("1 answer learned\n")


@pytest.mark.parametrize(("answer", "name"), [("=yes", "yes"), ("=q", "q"), ("== b", "= b"), ("[b], c", "[b], c")])
def test_names_that_look_like_answers(run, ask, files, answer, name):
    run("review", "-n", 1, answers=f"{answer}\n")
    assert [one["concept"] for one in ask("concepts")["concepts"]] == [name]


@pytest.mark.parametrize("answer", ["y", "Y", "yes", "n", "NO", "s", "skip"])
def test_words_for_answers_are_no_names(run, ask, files, answer):
    proposed = ask("review", "-n", 1)["questions"][0]["concept"]
    run("review", "-n", 1, answers=f"{answer}\n")
    said = [(one["concept"], one["is_one"]) for one in ask("history")["teachings"]]
    kind = answer.casefold()[0]
    assert said == ([] if kind == "s" else [(proposed, kind == "y")])


def test_a_question_without_a_proposal_wants_a_name(run, ask, files, monkeypatch):
    monkeypatch.setattr("assocmem.index.teach.review._SURE", 2)
    result = run("review", "-n", 2, answers="n\ny\nYes\nheron\n")  # no to nothing is to skip it
    assert result.stderr.startswith("expected a name, s, u or q\n" * 2 + "   learned: a new concept")
    assert result.stderr.endswith("\n1 answer learned\n")
    assert result.stdout.count("what is this? [name/s/u/q]") == 4
    assert [one["concept"] for one in ask("concepts")["concepts"]] == ["heron"]


def test_a_busy_collection_is_said_and_asked_again(run, files, monkeypatch):
    from assocmem.index.teach import curating

    real, busy = curating.writer_lock, [True]

    def lock(folder):
        if busy:
            busy.pop()
            raise LockedError("another process is writing")
        return real(folder)

    monkeypatch.setattr(curating, "writer_lock", lock)
    result = run("review", "-n", 1, answers="heron\nheron\n")
    assert result.stderr.startswith("error: another process is writing\n   learned: ")


def test_the_last_answer_is_taken_back_and_asked_anew(run, ask, files):
    result = run("review", "-n", 2, answers="hreon\nu\nheron\ns\n")
    assert "   taken back\n" in result.stderr
    assert result.stderr.endswith("\n1 answer learned\n")
    assert [(one["concept"], one["undone"] is None) for one in ask("history")["teachings"]] == [
        ("hreon", False),
        ("heron", True),
    ]
    assert "there is no answer to take back" in run("review", "-n", 1, answers="u\ns\n").stderr


def test_what_a_command_taught_is_undone_by_its_numbers(run, ask, files):
    told = run("teach", "heron", *files[:4]).stderr
    assert told.startswith("`assocmem undo 1-4` takes it back\n")
    assert run("undo", "1-3", 4).stdout == "4 teachings taken back\n"
    assert ask("concepts")["concepts"] == []


def test_concepts_of_several_files(run, ask, files):
    run("teach", "heron", *files[:2])
    answers = ask("concepts", files[0], files[1], "-k", 1)["answers"]
    assert [answer["query"] for answer in answers] == [str(files[0]), str(files[1])]
    lines = run("concepts", files[0], files[1], "-k", 1).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(files[0])] * 2 + [str(files[1])] * 2


def test_a_parent_that_nothing_is_called_is_told(run, files):
    assert "nothing else is called 'dogg'" in run("teach", "heron", files[0], "--parent", "dogg").stderr
    assert "nothing else" not in run("teach", "stork", files[1], "--parent", "bird").stderr


def test_review_prints_questions_as_json(run, ask, files):
    answer = ask("review", "-n", 2, files[0].parent)
    assert answer.keys() == {"questions", "ended"}
    assert answer["ended"] is None
    assert [list(one) for one in answer["questions"]] == [["item", "concept", "probability", "source", "why"]] * 2
    assert list(answer["questions"][0]["item"]) == ["rank", "item", "path", "kind", "start", "end", "score"]
    every = ask("review")
    assert len({one["item"]["path"] for one in every["questions"]}) == 6
    assert every["ended"] == "all that is left is known, or a near copy of it"
    assert [one["item"]["path"] for one in ask("review", files[3])["questions"]] == [str(files[3])]
    assert run("history").stdout == ""  # nothing was said


def test_review_in_a_terminal(files, tmp_path):
    """As a process of its own: prompts come before answers are given, and what was typed is learned."""
    folder = tmp_path / "photos.amem"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "xterm", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "assocmem", "review", "-c", str(folder)]
    master, terminal = pty.openpty()
    seen = b""
    answers = iter(["Graureiher 🪶", "y", "q"])
    with subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        heard = 0
        while select.select([master], [], [], 120)[0]:  # else it waits for what nobody will say
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux says so when the other end has closed
                break
            if not chunk:
                break
            seen += chunk
            if seen.count(b"/u/q] ") > heard:
                heard += 1
                os.write(master, f"{next(answers)}\n".encode())
    os.close(master)
    assert process.returncode == 0, seen
    text = seen.decode()
    assert "1. " in text
    assert "3. " in text
    assert text.rstrip().endswith("2 answers learned")
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        first, second = photos.teachings()
        assert (first.said, first.is_one, second.is_one) == ("Graureiher 🪶", True, True)


# wrong use


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["teach"], 2, "expected a CONCEPT with its files, or --folders DIR"),
        (["teach", "x", "--folders", "d"], 2, "expected a CONCEPT with its files, or --folders DIR"),
        (["teach", "--folders", "d", "--parent", "x"], 2, "expected a CONCEPT with its files, or --folders DIR"),
        (["teach", "x"], 2, "expected files that show 'x'; name one or more"),
        (["teach", "...", "FILE"], 1, "expected a name with a letter or a digit in it, found '...'"),
        (["teach", "x", "FILE", "/no/such.jpg"], 1, "/no/such.jpg: no such file or directory; nothing was taught"),
        (["teach", "x", ""], 1, "expected a path, found an empty one"),
        (["teach", "--folders", "/no/such"], 1, "expected a folder with a folder for each concept in it, found none"),
        (["correct", "FILE"], 2, "expected --not NAME, --is NAME, or both"),
        (["correct", "--is", "x"], 2, "Missing argument"),
        (["correct", "FILE", "--is", "x", "--not", "X"], 1, "correct: expected two concepts, found 'X' twice"),
        (["correct", "FILE", "--not", "qqqqq"], 1, "no concept is called 'qqqqq'"),
        (["correct", "FILE", "--is", ""], 1, "expected a name with a letter or a digit in it, found ''"),
        (["forget"], 2, "Missing argument"),
        (["forget", "x"], 1, "no concept that was taught is called 'x'"),
        (["rename", "x"], 2, "Missing argument"),
        (["rename", "x", "y"], 1, "no concept that was taught is called 'x'"),
        (["merge", "x", "y"], 1, "no concept that was taught is called 'x'"),
        (["history", "x"], 1, "no concept that was taught is called 'x'"),
        (["undo"], 2, "Missing argument"),
        (["undo", "x"], 2, "expected a number, or two as in 5-9"),
        (["undo", "7"], 1, "expected the number of a teaching, found 7"),
        (["concepts", "FILE", "-k", "0"], 2, "-k"),
        (["concepts", "missing.jpg"], 1, "missing.jpg: no such file"),
        (["review", "-n", "0"], 2, "-n"),
        (["review", "/no/such"], 1, "/no/such: not in the collection; index it first"),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_teaches_nothing(run, files, words, code, message):
    result = run(*(str(files[0]) if word == "FILE" else word for word in words), code=code)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert code == 2 or len(result.stderr.splitlines()) == 1
    assert run("history").stdout == ""


@pytest.mark.parametrize("words", [["forget", "x"], ["rename", "x", "y"], ["merge", "x", "y"], ["history"],
                                   ["undo", "1"], ["review"]])  # fmt: skip
def test_without_a_collection_it_is_said_how_to_make_one(run, words):
    result = run(*words, code=1)
    assert result.stderr.endswith("there is no collection yet; make one with `assocmem index FOLDER`\n")
    assert result.stdout == ""
