"""``assocmem info``: what the collection contains."""

from __future__ import annotations


def test_info_as_json(run, ask, indexed):
    run("remove", indexed[0])
    about = ask("info")
    assert (about["items"], about["images"], about["shots"], about["code_bytes"]) == (7, 7, 0, 64)


def test_info_lists_failures(run, ask, indexed, tmp_path):
    (tmp_path / "in" / "empty.png").touch()
    run("index", tmp_path / "in")
    assert "not readable\t1 file (--failures lists them)\n" in run("info").stdout
    assert "empty.png\tempty file" in run("info", "--failures").stdout
    assert ask("info", "--failures")["failed"][0]["reason"] == "empty file"
