"""``assocmem review``: questions, answers, and a review at a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

import assocmem
from assocmem.index.store.lock import writer_lock
from tests.cli.processes import program, read_terminal
from tests.fakes import ColourExtractor, pictures

CHOICES = "[y/n/name/s/u/q]"


def test_answers_are_learned(run, ask, files):
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
    assert f", as the network calls it (48%)? {CHOICES} " in lines[3]
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
    assert result.stdout.count(CHOICES) == 1
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
def test_an_invalid_answer_is_asked_again(run, files, answer, message):
    result = run("review", "-n", 1, answers=f"{answer}\nheron\n")
    first, _, last = result.stderr.splitlines()
    assert first.startswith(message)
    assert last == "1 answer learned"
    assert result.stdout.count("is this ") == 2
    assert result.stdout.count("2. ") == 0


def test_an_answer_that_is_not_utf8_is_asked_again(run, files):
    result = run("review", "-n", 1, answers=b"caf\xe9\nheron\n")
    assert "which is no UTF-8" in result.stderr
    assert result.stderr.endswith("1 answer learned\n")


@pytest.mark.parametrize(("answer", "name"), [("=yes", "yes"), ("=q", "q"), ("== b", "= b"), ("[b], c", "[b], c")])
def test_names_that_look_like_answers(run, ask, files, answer, name):
    run("review", "-n", 1, answers=f"{answer}\n")
    assert [one["concept"] for one in ask("concepts")["concepts"]] == [name]


@pytest.mark.parametrize("answer", ["y", "Y", "yes", "n", "NO", "s", "skip"])
def test_words_for_answers_are_not_names(run, ask, files, answer):
    proposed = ask("review", "-n", 1)["questions"][0]["concept"]
    run("review", "-n", 1, answers=f"{answer}\n")
    said = [(one["concept"], one["is_one"]) for one in ask("history")["teachings"]]
    kind = answer.casefold()[0]
    assert said == ([] if kind == "s" else [(proposed, kind == "y")])


def test_a_question_without_a_guess_needs_a_name(run, ask, tmp_path, network_without_concepts):
    pictures(tmp_path / "in", range(3))
    run("index", tmp_path / "in")
    result = run("review", "-n", 2, answers="n\ny\nYes\nheron\n")  # without a guess, n skips the question
    refused = "expected a name, s, u or q; put = before a name that looks like one of the others\n"
    assert result.stderr.startswith(refused * 2 + "   learned: a new concept")
    assert result.stderr.endswith("\n1 answer learned\n")
    assert result.stdout.count("what is this? [name/s/u/q]") == 4
    assert [one["concept"] for one in ask("concepts")["concepts"]] == ["heron"]


def test_a_locked_collection_is_reported_and_asked_again(run, files, tmp_path):
    with writer_lock(tmp_path / "photos.amem"):
        result = run("review", answers="heron\nq\n")
    assert result.stdout.count(CHOICES) == 2
    error, end = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert "is writing to this collection" in error
    assert end == "0 answers learned"
    assert run("review", "-n", 1, answers="heron\n").stderr.endswith("\n1 answer learned\n")


def test_the_last_answer_is_undone_and_asked_again(run, ask, files):
    result = run("review", "-n", 2, answers="hreon\nu\nheron\ns\n")
    assert "   taken back\n" in result.stderr
    assert result.stderr.endswith("\n1 answer learned\n")
    assert [(one["concept"], one["undone"] is None) for one in ask("history")["teachings"]] == [
        ("hreon", False),
        ("heron", True),
    ]
    assert "there is no answer to take back" in run("review", "-n", 1, answers="u\ns\n").stderr


def test_questions_as_json(run, ask, files):
    answer = ask("review", "-n", 2, files[0].parent)
    assert answer.keys() == {"questions", "ended"}
    assert answer["ended"] is None
    assert [list(one) for one in answer["questions"]] == [["item", "concept", "probability", "source", "why"]] * 2
    assert list(answer["questions"][0]["item"]) == ["rank", "item", "path", "kind", "start", "end", "score"]
    every = ask("review")
    assert len({one["item"]["path"] for one in every["questions"]}) == 6
    assert every["ended"] == "all that is left is known, or a near copy of it"
    assert [one["item"]["path"] for one in ask("review", files[3])["questions"]] == [str(files[3])]
    assert run("history").stdout == ""  # nothing was taught


def test_review_at_a_terminal(files, tmp_path):
    """As a process: each prompt is printed before its answer is read, and the answers are learned."""
    folder = tmp_path / "photos.amem"
    command, environment = program("review", "-c", folder, COLUMNS="80", TERM="xterm", PYTHONUTF8="1")
    master, terminal = pty.openpty()
    shown = b""
    answers = iter(["Graureiher 🪶", "y", "q"])
    with subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        asked = 0
        while select.select([master], [], [], 120)[0]:  # without a limit it would wait for ever
            chunk = read_terminal(master)
            if not chunk:
                break
            shown += chunk
            if shown.count(b"/u/q] ") > asked:
                asked += 1
                os.write(master, f"{next(answers)}\n".encode())
    os.close(master)
    assert process.returncode == 0, shown
    text = shown.decode()
    assert "1. " in text
    assert "3. " in text
    assert text.rstrip().endswith("2 answers learned")
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        first, second = photos.teachings()
        assert (first.said, first.is_one, second.is_one) == ("Graureiher 🪶", True, True)
