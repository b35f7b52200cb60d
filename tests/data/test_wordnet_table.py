"""The tool that writes ``wordnet.tsv``, and that the committed table was written by it."""

from __future__ import annotations

from importlib.resources import files

from tests import wordnet_table

ROWS = [line.split("\t") for line in files("assocmem.data").joinpath("wordnet.tsv").read_text("utf-8").splitlines()]
ABOVE = {wnid: above.split() for wnid, above, _ in ROWS}
NAMES = {wnid: names.split(", ") for wnid, _, names in ROWS if names}

NOUNS = """\
  1 the licence
00000001 03 n 01 thing 0 001 ~ 00000002 n 0000 | anything
00000002 05 n 02 pet 0 house_pet 1 002 @ 00000001 n 0000 ~ 00000003 n 0000 | an animal; | kept
00000003 05 n 01 moggy 0 003 @ 00000002 n 0000 @i 00000001 n 0000 #m 00000001 n 0000 | a cat
00000004 05 n 01 mutt 0 001 @ 00000001 n 0000 | no label
""".splitlines()


def test_the_table_is_made_of_hypernyms() -> None:
    nouns = wordnet_table.read_nouns(NOUNS)
    assert nouns["n00000002"] == (["pet", "house pet"], ["n00000001"])
    assert nouns["n00000003"] == (["moggy"], ["n00000002"])
    whole = ["n00000001\t\tthing", "n00000002\tn00000001\tpet, house pet", "n00000003\tn00000002\t"]
    assert wordnet_table.table(nouns, ["n00000003"]) == whole


def test_paths_go_through_ids_that_are_dropped() -> None:
    nouns = wordnet_table.read_nouns(NOUNS)
    short = wordnet_table.table(nouns, ["n00000003"], ["n00000002"])
    assert short == ["n00000001\t\tthing", "n00000003\tn00000001\t"]
    nameless = nouns | {"n00000002": ([], ["n00000001"])}
    assert wordnet_table.table(nameless, ["n00000003"]) == short


def test_the_committed_table_agrees_with_the_lists() -> None:
    assert not wordnet_table.DROPPED & set(ABOVE)
    assert not [(name, wnid) for name, wnid in wordnet_table.NOT_MEANT if name in NAMES.get(wnid, ())]
    assert all(set(names) <= set(NAMES[wnid]) for wnid, names in wordnet_table.ALSO_CALLED.items())
    assert all(upper in ABOVE[lower] for lower, upper in wordnet_table.ALSO_BELOW)
    assert not [lower for lower, upper in wordnet_table.NOT_BELOW if upper in ABOVE[lower]]
