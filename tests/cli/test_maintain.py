"""``assocmem remove`` and ``verify``: what they change, what they print, and their exit codes."""

from __future__ import annotations


def test_remove_leaves_the_files(run, ask, indexed):
    assert ask("remove", indexed[0]) == {"removed": 1, "items": 7}
    assert indexed[0].exists()
    assert run("remove", indexed[1], indexed[2]).stdout == "2 items removed; 5 items in the collection\n"


def test_remove_what_is_missing(ask, indexed):
    indexed[3].unlink()
    assert ask("remove", "--missing") == {"removed": 1, "items": 7, "out_of_reach": []}
    assert ask("remove", "--missing") == {"removed": 0, "items": 7, "out_of_reach": []}


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


def test_a_folder_that_has_vanished_empties_nothing(run, ask, indexed):
    folder = indexed[0].parent
    away = folder.with_name("not-mounted")
    folder.rename(away)
    kept = {"folder": str(folder), "reason": "no such folder", "files": 8}
    assert ask("remove", "--missing") == {"removed": 0, "items": 8, "out_of_reach": [kept]}
    told = run("remove", "--missing")
    assert told.stdout == "0 items removed; 8 items in the collection\n"
    assert told.stderr == f"{folder}: no such folder; 8 files kept, is a disk missing? --yes removes them\n"
    folder.mkdir()  # where a disk is mounted
    assert ask("remove", "--missing")["out_of_reach"] == [kept | {"reason": "an empty folder"}]
    assert ask("remove", "--missing", "--dry-run") == {
        "removed": 0,
        "items": 8,
        "missing": [],
        "out_of_reach": [kept | {"reason": "an empty folder"}],
    }
    assert ask("remove", "--missing", "--yes")["removed"] == 8


def test_a_dry_run_lists_what_is_gone(run, ask, indexed):
    indexed[3].unlink()
    assert run("remove", "--missing", "--dry-run").stdout == f"{indexed[3]}\n"
    assert ask("remove", "--missing")["removed"] == 1


def test_options_that_do_not_go_together_are_refused(run, indexed):
    for wrong in (["--dry-run"], ["--yes", indexed[0]], ["--missing", "--dry-run", indexed[0]]):
        assert "--dry-run and --yes go with --missing" in " ".join(run("remove", *wrong, code=2).stderr.split())
