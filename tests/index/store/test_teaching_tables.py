"""Teachings in the catalog: read whole, without what was undone, and for some examples."""

from __future__ import annotations

import pytest

from assocmem.index.store.catalog import Catalog
from assocmem.index.store.teaching_tables import TeachingTables


@pytest.fixture
def tables(photos, files):
    """Teachings of seven examples, some of which have several; one was undone."""
    photos.teach("castle", files[1])
    photos.teach("village", files[2])
    photos.correct(files[1][:2], wrong="castle", right="village")
    photos.undo(photos.teachings()[0].id)
    catalog = Catalog(photos.folder)
    yield TeachingTables(catalog)
    catalog.close()


@pytest.mark.parametrize("standing", [False, True])
def test_those_of_some_examples_are_found_among_all_in_order(tables, standing):
    every = tables.teachings(standing=standing)
    assert [one.id for one in every] == sorted(one.id for one in every)
    assert all(one.undone is None for one in every) == standing
    ids = sorted({one.example for one in every})
    for wanted in ([], ids[:1], ids[::-2], ids, [*ids, *ids, -1]):
        expected = [one for one in every if one.example in wanted]
        assert tables.teachings(standing=standing, examples=wanted) == expected


def test_many_examples_are_asked_for_in_parts_and_stay_in_order(tables):
    every = tables.teachings()
    wanted = [one.example + step for one in every for step in range(600)]
    assert tables.teachings(examples=wanted) == every


def test_a_label_is_taken_from_the_examples_that_are_labelled_alone(photos, files, monkeypatch):
    photos.teach("castle", files[1])
    photos.teach("village", files[2])
    read = []
    teachings = TeachingTables.teachings

    def counted(self, **options):
        found = teachings(self, **options)
        read.append(len(found))
        return found

    monkeypatch.setattr(TeachingTables, "teachings", counted)
    assert photos.teach("castle", files[1][:1]).known == 1
    assert read == [1]
