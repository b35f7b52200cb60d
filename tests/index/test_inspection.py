"""``verify``: an intact collection has no problems, every kind of damage is named, leftovers of a kill are none."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import h5py
import numpy as np
import pytest

from assocmem.errors import DamagedError
from assocmem.index.derived.files import LABEL_COUNTS
from assocmem.index.store.segments import SegmentData, read_segment, segment_path, write_segment
from tests.fakes import open_photos, pictures


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A collection of two segments; some of its items are dead."""
    folder = tmp_path_factory.mktemp("template")
    paths = pictures(folder / "in", range(30))
    with pytest.MonkeyPatch.context() as patch, open_photos(folder / "photos.amem") as photos:
        # With files of derived memories, which 30 pictures would not have.
        patch.setattr("assocmem.index.derived.refresh.REFRESH_AT", 1)
        patch.setattr("assocmem.index.derived.refresh.REBUILT_UP_TO", -1)
        photos.add(paths[:20])
        photos.add(paths[20:])
        photos.remove(paths[3:6])
    assert [len(read_segment(folder / "photos.amem" / "segments", number).ids) for number in (1, 2)] == [20, 10]
    return folder


@pytest.fixture
def photos(template, tmp_path):
    shutil.copytree(template / "photos.amem", tmp_path / "photos.amem")
    with open_photos(tmp_path / "photos.amem") as collection:
        yield collection


def first_segment(photos):
    folder = photos.folder / "segments"
    segment = read_segment(folder, 1)
    return folder, segment.data(np.arange(len(segment.ids)))


def rewrite(photos, **columns):
    """Write the first segment with other columns: intact, but not what the catalog lists."""
    folder, data = first_segment(photos)
    changed = SegmentData(*(columns.get(name, getattr(data, name)) for name in SegmentData.__slots__))
    write_segment(folder, 1, len(changed.ids), [changed])


def flip_bit(photos, column):
    """Flip a bit among the stored values of a column."""
    path = segment_path(photos.folder / "segments", 1)
    with h5py.File(path) as file:
        place = file[column].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 7] ^= 16
    path.write_bytes(content)


def sql(photos, statement):
    with closing(sqlite3.connect(photos.folder / "catalog.sqlite3")) as db, db:
        db.execute(statement)


def test_an_intact_collection_has_no_problems(photos):
    steps = []
    assert photos.verify(progress=lambda done, total: steps.append((done, total))) == []
    assert steps == [(0, 2), (1, 2)]


@pytest.mark.parametrize("column", SegmentData.__slots__)
def test_a_flipped_bit_is_named(photos, column):
    flip_bit(photos, column)
    problems = photos.verify()
    assert len(problems) == 1
    assert "00000001.h5: expected a complete segment, found damage (" in problems[0]
    assert "filter returned failure" in problems[0]  # HDF5's words for a wrong checksum


def test_a_missing_segment_is_named(photos):
    segment_path(photos.folder / "segments", 2).unlink()
    problems = photos.verify()
    assert len(problems) == 1
    assert "00000002.h5: expected a segment of 10 items, found no file" in problems[0]


def test_a_segment_cut_short_is_named(photos):
    path = segment_path(photos.folder / "segments", 2)
    path.write_bytes(path.read_bytes()[:-100])
    assert ["truncated" in problem for problem in photos.verify()] == [True]


def test_several_damages_are_all_named(photos):
    flip_bit(photos, "codes")
    segment_path(photos.folder / "segments", 2).unlink()
    assert [problem.partition(".h5: ")[0][-1] for problem in photos.verify()] == ["1", "2"]


def test_features_of_other_items_are_named(photos):
    features = first_segment(photos)[1].features
    rewrite(photos, features=features[::-1].copy())
    assert photos.verify() == ["segment 1: 20 codes do not belong to their features"]


def test_wrong_codes_are_named(photos):
    codes = first_segment(photos)[1].codes.copy()
    codes[[2, 7]] ^= 1
    rewrite(photos, codes=codes)
    assert photos.verify() == ["segment 1: 2 codes do not belong to their features"]


def test_features_that_are_not_finite_are_named(photos):
    features = first_segment(photos)[1].features.copy()
    features[5, 3] = np.nan
    features[6, 0] = np.inf
    rewrite(photos, features=features)
    assert photos.verify() == ["segment 1: 2 features contain NaN or infinity"]


def test_ids_that_are_not_the_catalogs_are_named(photos):
    rewrite(photos, ids=first_segment(photos)[1].ids + 1)
    assert photos.verify() == ["segment 1: its ids are not those of the catalog"]


def test_a_segment_of_other_size_is_named(photos):
    data = first_segment(photos)[1]
    write_segment(photos.folder / "segments", 1, 19, [SegmentData(*(getattr(data, n)[:19] for n in data.__slots__))])
    assert photos.verify() == ["segment 1: expected ids of shape (20,), found (19,)"]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE items SET row = row + 1 WHERE segment = 1", "segment 1: expected rows 0 to 19 in the catalog"),
        ("UPDATE items SET row = 4 WHERE id = 3", "segment 1: expected rows 0 to 19 in the catalog"),
        ("UPDATE items SET row = 19 - row WHERE segment = 1", "segment 1: its ids are not those of the catalog"),
        ("DELETE FROM items WHERE id = 9", "segment 1: expected rows 0 to 19 in the catalog, found 19 others"),
        ("UPDATE items SET segment = 2 WHERE id = 9", "segment 1: expected rows 0 to 19 in the catalog"),
        ("UPDATE segments SET rows = 21 WHERE id = 1", "segment 1: expected ids of shape (21,), found (20,)"),
        ("DELETE FROM segments WHERE id = 2", "catalog: item 21 is in segment 2, which is not live"),
        ("DELETE FROM files WHERE id = 1", "catalog: item 1 belongs to no file"),
        ("UPDATE items SET alive = 1 WHERE id = 4", "catalog: item 4 belongs to no file"),
    ],
)
def test_a_catalog_that_points_elsewhere_is_named(photos, statement, problem):
    sql(photos, statement)
    assert problem in "\n".join(photos.verify())


def test_a_memory_of_other_items_is_named(photos):
    path = photos.folder / LABEL_COUNTS
    with h5py.File(path, "r+") as file:
        file["counts"][0, 0] += 1
    assert [problem.partition(": ")[2] for problem in photos.verify()] == [
        "its counts are not those of the items; remove it, it will be built again"
    ]
    path.unlink()
    assert photos.verify() == []


@pytest.mark.parametrize("content", [None, b"", b"no HDF5"])
def test_a_memory_that_cannot_be_read_is_not_damage(photos, content):
    path = photos.folder / LABEL_COUNTS
    path.unlink() if content is None else path.write_bytes(content)
    assert photos.verify() == []


def test_leftovers_are_not_damage_and_the_next_writer_removes_them(photos, template):
    segments = photos.folder / "segments"
    shutil.copy(segments / "00000001.h5", segments / "00000099.h5")
    (segments / "00000100.tmp").write_bytes(b"half a segment")
    (segments / "notes.txt").write_text("somebody's own")
    assert photos.verify() == []
    assert photos.add([]).items == 27
    assert sorted(path.name for path in segments.iterdir()) == ["00000001.h5", "00000002.h5", "notes.txt"]
    assert photos.verify() == []
    assert len(photos.search(template / "in" / "0000.png", k=50)) == 27


def test_a_writer_touches_nothing_in_a_damaged_collection(photos, template):
    segments = photos.folder / "segments"
    (segments / "00000001.h5").unlink()
    (segments / "00000099.h5").write_bytes(b"perhaps all that is left")
    generation = photos.info().generation
    pictures(template / "new", [99])
    for write in (lambda: photos.add([template / "new"]), lambda: photos.remove([template / "in" / "0001.png"])):
        with pytest.raises(DamagedError, match=r"00000001\.h5: expected a segment, found none; restore it"):
            write()
    assert photos.info().generation == generation
    assert (segments / "00000099.h5").exists()


def test_damage_is_not_merged_into_an_intact_segment(photos, session, template):
    """A flipped bit in a feature would get a new checksum when it is copied, and never be found again."""
    flip_bit(photos, "features")
    for seed in range(100, 105):
        photos.add(pictures(template / f"{seed}", [seed]))
    with pytest.raises(DamagedError, match=r"00000001\.h5: expected a complete segment, found damage"):
        photos.add(pictures(template / "last", [105]))
    assert len(session.snapshot().segments) == 8
    assert len(photos.verify()) == 1


def test_a_segment_that_is_merged_while_it_is_verified_is_not_damage(photos, template):
    """A writer removes segments while a reader checks them."""

    def merge(done, total):
        if done == 1:
            with open_photos(photos.folder) as writer:
                for seed in range(200, 206):
                    writer.add(pictures(template / f"{seed}", [seed]))
                assert writer.info().segments == 1

    assert photos.verify(progress=merge) == []
    assert photos.verify() == []
