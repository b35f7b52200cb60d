"""How commands end on an error: one line on stderr, exit code 1 for a failure and 2 for wrong usage."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.processes import program


def test_one_error_is_one_line_without_a_traceback(run, tmp_path):
    (tmp_path / "x.jpg").write_text("no")
    result = run("search", tmp_path / "x.jpg", code=1)
    assert result.stderr.strip().splitlines() == [f"error: {tmp_path / 'x.jpg'}: neither a picture nor a video"]


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
        (["forget", "x"], 1, "no taught concept is called 'x'"),
        (["rename", "x"], 2, "Missing argument"),
        (["rename", "x", "y"], 1, "no taught concept is called 'x'"),
        (["merge", "x", "y"], 1, "no taught concept is called 'x'"),
        (["history", "x"], 1, "no taught concept is called 'x'"),
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
def test_without_a_collection_the_error_says_how_to_make_one(run, words):
    result = run(*words, code=1)
    assert result.stderr.endswith("there is no collection yet; make one with `assocmem index FOLDER`\n")
    assert result.stdout == ""


def test_a_full_disk_below_stdout_is_one_line(six_pictures):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command, environment = program("info", "-c", six_pictures / "photos.amem", PYTHONUNBUFFERED="1")
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_is_not_an_error(six_pictures):
    command, environment = program("info", "-c", six_pictures / "photos.amem")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.stderr == b""
