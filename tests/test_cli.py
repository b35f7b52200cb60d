"""The program as a process and through its runner: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assocmem.cli.common import clock, size
from assocmem.cli.main import app
from tests.fakes import picture, pictures

ROOT = Path(__file__).resolve().parent.parent


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
    assert result.stdout.startswith("3 indexed, 0 files unchanged, 1 failed; 3 items in the collection")
    assert "empty.png: empty file" in result.stderr


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


def test_words_are_joined_and_unknown_ones_answered_with_names(run, indexed):
    result = run("search", "golden", "retreiver", code=1)
    assert "no concept is called 'golden retreiver'" in result.stderr
    assert "golden retriever" in result.stderr
    assert result.stdout == ""


def test_a_concept_that_nothing_looks_like_says_what_there_is(run, indexed):
    from assocmem.data.labels import imagenet_labels

    for label in imagenet_labels():
        result = run("search", label.synonyms[0], "--json")
        if not json.loads(result.stdout)["hits"]:
            assert "nothing in the collection looks like" in result.stderr
            assert "what it holds most: " in result.stderr
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


def _program(*words, **environment):
    return [sys.executable, "-m", "assocmem", *map(str, words)], {**os.environ, "PYTHONPATH": str(ROOT), **environment}


def test_names_that_are_no_utf8_go_out_as_they_are(tmp_path, run):
    (tmp_path / "in").mkdir()
    raw = os.fsencode(tmp_path / "in") + b"/caf\xe9.png"
    picture(1).save(tmp_path / "plain.png")
    try:
        os.rename(tmp_path / "plain.png", raw)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    run("index", tmp_path / "in")
    (tmp_path / "in" / "bad\udce9.jpg").write_bytes(b"\xff\xd8\xff")
    run("index", tmp_path / "in")
    command, environment = _program("info", "--failures", "-c", tmp_path / "photos.amem")
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"bad\xe9.jpg\t" in done.stdout


def test_a_closed_pipe_is_no_error(run, indexed, tmp_path):
    command, environment = _program("info", "-c", tmp_path / "photos.amem")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.stderr == b""


def test_a_terminal_gets_a_table(run, indexed, tmp_path):
    command, environment = _program("info", "-c", tmp_path / "photos.amem", COLUMNS="80", TERM="xterm")
    master, terminal = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        seen = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux says so when the other end has closed
                break
            if not chunk:
                break
            seen += chunk
    os.close(master)
    assert process.returncode == 0
    assert b"8 (8 pictures, 0 shots)" in seen
    assert b"\t" not in seen


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from assocmem.cli.main import main; sys.argv = ['assocmem', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'h5py', 'onnxruntime', 'PIL', 'av', 'cv2', 'rich', 'sqlite3'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell):
    # Without the variable it finds out by itself which shell has called it: here, whatever runs the tests.
    command, environment = _program("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"_ASSOCMEM_COMPLETE=complete_{shell}" in done.stdout
    command, environment = _program(
        _ASSOCMEM_COMPLETE="complete_bash", COMP_WORDS="assocmem ver", COMP_CWORD="1", COMP_LINE="assocmem ver"
    )
    done = subprocess.run([sys.executable, "-c", "import sys; sys.argv = ['assocmem']; "
                           "from assocmem.cli.main import main; main()"],
                          env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert "verify" in done.stdout


def test_version():
    import assocmem

    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout.strip() == f"assocmem {assocmem.__version__}"


def test_times_and_sizes_read_well():
    assert [clock(s) for s in (None, 0, 5.24, 65.97, 3723.4)] == ["", "0:00.0", "0:05.2", "1:06.0", "1:02:03.4"]
    assert [size(n) for n in (999, 1500, 2.5e9, 7e15)] == ["999 bytes", "1.5 KB", "2.5 GB", "7000.0 TB"]
