"""``assocmem remove`` and ``verify``: what they change, what they print, and their exit codes."""

from __future__ import annotations


def test_remove_leaves_the_files(run, ask, indexed):
    assert ask("remove", indexed[0]) == {"removed": 1, "items": 7}
    assert indexed[0].exists()
    assert run("remove", indexed[1], indexed[2]).stdout == "2 items removed; 5 items in the collection\n"


def test_remove_what_is_missing(ask, indexed):
    indexed[3].unlink()
    assert ask("remove", "--missing") == {"removed": 1, "items": 7}
    assert ask("remove", "--missing") == {"removed": 0, "items": 7}


def test_verify_finds_damage(run, ask, indexed, tmp_path):
    assert ask("verify") == {"items": 8, "problems": []}
    healthy = run("verify")
    assert (healthy.stdout, healthy.stderr) == ("8 items, all is well\n", "")
    segment = next((tmp_path / "photos.amem" / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:2000])
    damaged = run("verify", code=1)
    assert "expected a complete segment, found damage" in damaged.stdout
    assert damaged.stdout.endswith("\n1 problem\n")
    assert "restore the collection from a backup" in damaged.stderr
