"""The writer: what a commit stores, how it treats known content and failures, what it removes and merges."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.codes.dct_sketches import SKETCH_LENGTH, SKETCH_SIDE, sketch
from assocmem.codes.fine_detail import DETAIL_LENGTH
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import CollectionError
from assocmem.index.ingest.pipeline import End, Item, Job, Result, softmax
from assocmem.index.ingest.walk import FoundFile
from assocmem.index.ingest.writer import Writer
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.records import Failure, FileRow
from assocmem.index.store.segments import SegmentData, read_segment, segment_path, write_segment

DIM = 12


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos.amem"
    made.mkdir()
    return made


@pytest.fixture
def catalog(folder):
    opened = Catalog(folder, create={})
    yield opened
    opened.close()


@pytest.fixture
def writer(folder, catalog):
    return Writer(catalog, folder, CliqueCoder(DIM, clusters=8))


def feature(seed):
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


def item(seed, start=None, end=None, logits=None, grey=None):
    return Item(feature(seed), logits, start, end, grey)


def result(path, *items, known=False, failure=None, mtime_ns=7, size=100, kind="image", content=None):
    """Return what was read of a file; its content is named after its path unless another one is given."""
    job = Job(FoundFile(str(path), size, mtime_ns), kind)
    return Result(End(job, (content or str(path)).encode(), known, failure), list(items))


def failed(path, reason="cut short", *, lasting=True, mtime_ns=7, size=100):
    return Failure(str(path), reason, size, mtime_ns, lasting)


def touched(path):
    path.write_bytes(b"")
    return path


def living(catalog):
    """Return {item id: (path, kind, start, end)}."""
    ids = {row[0] for row in catalog.rows("SELECT id FROM items WHERE alive")}
    return {one.id: (one.path, one.kind, one.start, one.end) for one in catalog.items(ids).values()}


def data_of(writer, item_id):
    """Return the stored data of an item, one row."""
    (placed,) = writer.catalog.placed([item_id])
    return read_segment(writer.folder, placed.segment).data(np.array([placed.row], np.int64))


def blank(first, rows):
    """Return the data of items with the ids from ``first`` on, all zeros."""
    kinds = {"codes": (4, np.uint8), "features": (DIM, np.float16), "labels": (0, np.int16)}
    kinds |= {"label_scores": (0, np.float16), "sketches": (SKETCH_LENGTH, np.int8)}
    kinds |= {"details": (DETAIL_LENGTH, np.uint8)}
    columns = {name: np.zeros((rows, width), dtype) for name, (width, dtype) in kinds.items()}
    return SegmentData(ids=np.arange(first, first + rows), **columns)


# Adding


def test_files_and_items_get_numbers_and_data_in_their_order(writer, catalog, tmp_path):
    grey = np.arange(SKETCH_SIDE**2, dtype=np.int64).reshape(SKETCH_SIDE, SKETCH_SIDE).astype(np.uint8)
    first = writer.commit(
        [result("/in/a.png", item(1, grey=grey)), result("/in/v.mp4", item(2, 0, 4), item(3, 4, 9), kind="video")]
    )
    assert first == 3
    assert living(catalog) == {
        1: ("/in/a.png", "image", None, None),
        2: ("/in/v.mp4", "shot", 0, 4),
        3: ("/in/v.mp4", "shot", 4, 9),
    }
    assert writer.commit([result("/in/b.png", item(4))]) == 1
    assert living(catalog)[4][0] == "/in/b.png"
    assert catalog.segments() == {1: 3, 2: 1}
    assert catalog.generation == 2
    assert catalog.file("/in/v.mp4")[1].kind == "video"
    assert (catalog.file("/in/a.png")[1].size, catalog.file("/in/a.png")[1].mtime_ns) == (100, 7)
    for number in range(1, 5):
        stored, expected = data_of(writer, number), feature(number).astype(np.float16)
        assert stored.ids.tolist() == [number]
        assert np.array_equal(stored.features[0], expected)
        assert np.array_equal(stored.codes, writer.coder.encode(expected))
        assert stored.labels.shape == stored.label_scores.shape == (1, 0)
    assert np.array_equal(data_of(writer, 1).sketches, sketch(grey[None]))
    assert data_of(writer, 1).sketches.any()
    assert data_of(writer, 2).sketches.tolist() == [[0] * SKETCH_LENGTH]


def test_the_five_most_probable_labels_are_stored_the_first_of_equals_first(writer):
    logits = np.float32([0, 3, 1, 1, 2, 5, -1])
    writer.commit([result("/a", item(1, logits=logits))])
    stored = data_of(writer, 1)
    assert stored.labels.tolist() == [[5, 1, 4, 2, 3]]
    assert stored.labels.dtype == np.int16
    assert np.array_equal(stored.label_scores[0], softmax(logits)[[5, 1, 4, 2, 3]].astype(np.float16))


def test_nothing_new_makes_no_segment(writer, catalog):
    assert writer.commit([]) == 0
    assert catalog.segments() == {}
    assert list(writer.folder.iterdir()) == []


def test_a_changed_file_has_new_items_only(writer, catalog):
    writer.commit([result("/a", item(1)), result("/b", item(2))])
    writer.commit([result("/a", item(3), mtime_ns=8, content="new")])
    assert {number: path for number, (path, *_) in living(catalog).items()} == {2: "/b", 3: "/a"}
    assert catalog.file("/a")[1].hash == b"new"
    assert catalog.dead_rows() == {1: [0]}


def test_a_file_with_a_new_time_and_known_content_keeps_its_items(writer, catalog):
    writer.commit([result("/a", item(1))])
    assert writer.commit([result("/a", known=True, mtime_ns=9)]) == 0
    assert list(living(catalog)) == [1]
    assert catalog.file("/a")[1].mtime_ns == 9


def test_a_file_that_was_moved_keeps_its_items(writer, catalog, tmp_path):
    writer.commit([result("/gone/a", item(1)), result("/in/b", item(2))])
    catalog.set_failure(failed("/gone/a"))
    assert writer.commit([result("/in/b", known=True, mtime_ns=9, content="/gone/a")]) == 0
    assert living(catalog) == {1: ("/in/b", "image", None, None)}
    assert catalog.file("/in/b")[1].mtime_ns == 9
    assert catalog.file("/gone/a") is None
    assert [failure.path for failure in catalog.failures()] == ["/in/b"]  # what its content is known to lack


def test_a_file_that_took_the_place_of_none_is_moved_too(writer, catalog):
    writer.commit([result("/gone/a", item(1))])
    writer.commit([result("/in/new", known=True, content="/gone/a")])
    assert {number: path for number, (path, *_) in living(catalog).items()} == {1: "/in/new"}


def test_a_copy_of_known_content_has_items_with_the_same_data(writer, catalog, tmp_path):
    original = touched(tmp_path / "a")
    writer.commit([result("/other", item(9)), result(original, item(1, 0, 2), item(2, 2, 5), kind="video")])
    catalog.set_failure(failed(original))
    count = writer.commit([result("/copy", known=True, content=str(original), kind="video", size=5, mtime_ns=6)])
    assert count == 2
    found = living(catalog)
    assert found[4] == ("/copy", "shot", 0, 2)
    assert found[5] == ("/copy", "shot", 2, 5)
    for copy, source in ((4, 2), (5, 3)):
        one, other = data_of(writer, copy), data_of(writer, source)
        assert one.ids.tolist() == [copy]
        for name in set(SegmentData.__slots__) - {"ids"}:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert catalog.failure("/copy") == Failure("/copy", "cut short", 5, 6)


def test_of_several_files_with_one_content_one_is_copied(writer, catalog, tmp_path):
    one, other = touched(tmp_path / "a"), touched(tmp_path / "b")
    writer.commit([result(one, item(1), content="same"), result(other, item(1), content="same")])
    assert writer.commit([result("/copy", known=True, content="same")]) == 1
    assert catalog.failures() == []
    catalog.set_failure(failed(other, "the other"))
    writer.commit([result("/copy 2", known=True, content="same")])
    assert catalog.failure("/copy 2") is None
    catalog.set_failure(failed(one, "the first"))
    writer.commit([result("/copy 3", known=True, content="same")])
    assert catalog.failure("/copy 3").reason == "the first"


def test_content_that_was_known_and_left_has_to_be_decoded(writer, catalog):
    asked = result("/copy", known=True, content="left")
    assert writer.commit([asked]) == 0
    assert writer.lost == [asked.end.job]
    assert catalog.file("/copy") is None


def test_a_copy_whose_owner_changes_in_the_same_commit_still_has_its_data(writer, catalog, tmp_path):
    owner = touched(tmp_path / "a")
    writer.commit([result(owner, item(1), content="old")])
    writer.commit([result(owner, item(2), content="new"), result("/copy", known=True, content="old")])
    paths = {path: number for number, (path, *_) in living(catalog).items()}
    assert sorted(paths) == ["/copy", str(owner)]
    assert np.array_equal(data_of(writer, paths["/copy"]).features[0], feature(1).astype(np.float16))


def test_one_copy_among_new_files_gives_each_its_own_items(writer, catalog, tmp_path):
    owner = touched(tmp_path / "a")
    writer.commit([result(owner, item(1), content="old")])
    writer.commit([result("/copy", known=True, content="old"), result("/new", item(5), kind="image")])
    for path, seed in (("/copy", 1), ("/new", 5)):
        (number,) = catalog.ids_below(path)
        assert np.array_equal(data_of(writer, number).features[0], feature(seed).astype(np.float16))


# Failures


def test_a_file_that_cannot_be_read_loses_its_items_and_has_a_failure(writer, catalog):
    writer.commit([result("/a", item(1)), result("/b", item(2))])
    assert writer.commit([result("/a", failure=failed("/a"), content="broken")]) == 0
    assert list(living(catalog)) == [2]
    assert catalog.file("/a") is None
    assert catalog.failures() == [failed("/a")]
    writer.commit([result("/a", item(3), content="mended")])
    assert catalog.failures() == []


def test_a_file_that_circumstances_hide_keeps_its_items(writer, catalog):
    writer.commit([result("/a", item(1))])
    writer.commit([result("/a", failure=failed("/a", "no permission", lasting=False), content="?")])
    assert list(living(catalog)) == [1]
    assert catalog.failures() == [failed("/a", "no permission", lasting=False)]


@pytest.mark.parametrize("lasting", [False, True])
def test_a_file_that_is_read_in_part_has_items_and_a_failure(writer, catalog, lasting):
    failure = failed("/v", lasting=lasting)
    assert writer.commit([result("/v", item(1, 0, 3), kind="video", failure=failure)]) == 1
    assert living(catalog) == {1: ("/v", "shot", 0, 3)}
    assert catalog.failures() == [failure]


# Removing


@pytest.fixture
def several(writer):
    paths = ["/in/a", "/in/b/c", "/in/b/d", "/in/bc", "/out"]
    writer.commit([result(path, item(seed)) for seed, path in enumerate(paths)])
    writer.catalog.set_failure(failed("/in/b/x"))
    writer.catalog.set_failure(failed("/in/y"))
    return writer


def remaining(writer):
    return [path for _, path in writer.catalog.paths()], [failure.path for failure in writer.catalog.failures()]


@pytest.mark.parametrize(
    ("paths", "count", "files", "failures"),
    [
        (["/in/a"], 1, ["/in/b/c", "/in/b/d", "/in/bc", "/out"], ["/in/b/x", "/in/y"]),
        (["/in/b"], 2, ["/in/a", "/in/bc", "/out"], ["/in/y"]),
        (["/in/b/", "/out"], 3, ["/in/a", "/in/bc"], ["/in/y"]),
        (["/in/b/x"], 0, ["/in/a", "/in/b/c", "/in/b/d", "/in/bc", "/out"], ["/in/y"]),
        (["/"], 5, [], []),
    ],
)
def test_files_and_folders_are_removed_with_their_failures(several, paths, count, files, failures):
    generation = several.catalog.generation
    assert several.remove(paths, missing=False) == count
    assert remaining(several) == (files, failures)
    assert several.catalog.generation == generation + (count > 0)


@pytest.mark.parametrize("paths", [["/in/b", "/in/z"], ["/i"], ["/in/b/c/d"]])
def test_nothing_is_removed_if_a_path_is_unknown(several, paths):
    before = remaining(several)
    with pytest.raises(CollectionError, match="not in the collection; nothing was removed"):
        several.remove(paths, missing=False)
    assert remaining(several) == before


def test_files_that_are_gone_are_removed_if_asked(several, tmp_path):
    kept = touched(tmp_path / "kept")
    several.commit([result(kept, item(9))])
    several.catalog.set_failure(failed("/out"))
    assert several.remove([], missing=False) == 0
    assert several.remove([], missing=True) == 5
    assert remaining(several) == ([str(kept)], ["/in/b/x", "/in/y"])


# Sweeping and merging


def test_what_a_killed_writer_left_is_swept(writer, folder):
    writer.commit([result("/a", item(1))])
    left = [writer.folder / name for name in ("00000002.h5", ".00000003.h5.1.tmp", "00000001.tmp")]
    left.append(folder / ".memory-cliques.h5.1.tmp")
    kept = [writer.folder / "notes.txt", folder / "memory-cliques.h5", folder / "other.tmp", folder / ".memory-a.h5"]
    for path in left + kept:
        path.write_bytes(b"")
    writer.sweep()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)
    assert segment_path(writer.folder, 1).exists()


def test_the_folder_of_segments_is_made_once(folder, catalog, monkeypatch):
    synced = []
    monkeypatch.setattr("assocmem.index.ingest.writer.sync", synced.append)
    for _ in range(2):
        assert Writer(catalog, folder, CliqueCoder(DIM, clusters=8)).folder == folder / "segments"
    assert synced == [folder]


def test_small_segments_are_merged_without_their_dead_rows(writer, catalog):
    for seed in range(1, 8):
        writer.commit([result(f"/{seed}", item(seed)), result(f"/{seed}-b", item(10 + seed))])
    writer.remove(["/2", "/4", "/4-b"], missing=False)
    generation = catalog.generation
    writer.merge_small_segments()
    assert len(catalog.segments()) == 7
    assert catalog.generation == generation
    writer.commit([result("/8", item(8))])
    writer.merge_small_segments()
    assert catalog.segments() == {9: 12}
    assert catalog.generation == generation + 2
    assert [path.name for path in writer.folder.iterdir()] == ["00000009.h5"]
    assert catalog.dead_rows() == {}
    paths = {path: number for number, (path, *_) in living(catalog).items()}
    assert len(paths) == 12
    for path, number in paths.items():
        seed = 10 + int(path[1]) if path.endswith("-b") else int(path[1])
        assert np.array_equal(data_of(writer, number).features[0], feature(seed).astype(np.float16))
        assert data_of(writer, number).ids.tolist() == [number]


def test_segments_without_living_rows_vanish(writer, catalog):
    for seed in range(3):
        writer.commit([result(f"/{seed}", item(seed))])
    writer.remove(["/"], missing=False)
    writer.merge_small_segments(3)
    assert catalog.segments() == {}
    assert list(writer.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ([512, 1, 2], [515]),
        ([513, 1, 2], [513, 1, 2]),
        ([513, 1, 2, 3], [513, 6]),
        ([4096, 513, 600], [5209]),
        ([4097, 513, 600], [4097, 513, 600]),
        ([600, 600, 300, 300, 300], [2100]),
        ([600, 600, 600, 1, 1, 1], [3, 1800]),
    ],
)
def test_segments_of_about_one_size_are_merged(writer, catalog, sizes, left):
    """512 rows, then eight times as many, are the borders; the smallest are merged first."""
    file_id = catalog.add_file(FileRow("/many", "image", b"many", 1, 1))
    with catalog.transaction():
        for number, size in enumerate(sizes, 1):
            first = catalog.take("next_item", size)
            write_segment(writer.folder, catalog.take("next_segment", 1), size, [blank(first, size)])
            catalog.add_segment(number, size)
            catalog.add_items((first + row, file_id, "image", None, None, number, row) for row in range(size))
    writer.merge_small_segments(3)
    assert list(catalog.segments().values()) == left
    assert sum(len(read_segment(writer.folder, number).ids) for number in catalog.segments()) == sum(sizes)
