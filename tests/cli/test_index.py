"""``assocmem index``: its reports, for people and as JSON, and its exit codes."""

from __future__ import annotations

from tests.fakes import pictures


def test_index_reports_as_json(ask, tmp_path):
    pictures(tmp_path / "in", range(3))
    (tmp_path / "in" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    answer = ask("index", tmp_path / "in")
    assert answer.keys() == {"indexed", "unchanged", "failed", "left_out", "items", "elapsed_s"}
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
    assert "1 indexed file no longer there (`assocmem remove --missing` removes the items)" in again.stderr


def test_index_exits_with_1_when_nothing_was_indexed(run, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    run("index", tmp_path / "bad.jpg", code=1)
    (tmp_path / "void").mkdir()
    assert "found no pictures or videos" in run("index", tmp_path / "void", code=1).stderr
