"""Files of one shot are no copies: a raw photograph and its JPEG, a live photo and its video."""

from __future__ import annotations

import pytest

from assocmem.index.query.links import Files, without_links
from assocmem.index.results import Hit


def hits(*paths):
    return [Hit(1, number, path, "shot" if path.endswith("MOV") else "image", None, None, 1.2)
            for number, path in enumerate(paths)]  # fmt: skip


def grouped(*paths):
    original, *others = hits(*paths)
    return without_links(original, [(hit, "same") for hit in others], Files(), alike=True)


@pytest.mark.parametrize(
    ("paths", "copies", "stacked"),
    [
        (("/a/IMG_1.JPG", "/a/IMG_1.CR2", "/b/IMG_1.JPG"), ["/b/IMG_1.JPG"], ["/a/IMG_1.CR2"]),
        (("/a/IMG_1.JPG", "/b/img_1.jpg", "/b/IMG_1.cr3"), ["/b/img_1.jpg"], ["/b/IMG_1.cr3"]),
        (("/a/IMG_1.HEIC", "/a/IMG_1.MOV", "/a/IMG_1 2.HEIC"), ["/a/IMG_1 2.HEIC"], ["/a/IMG_1.MOV"]),
        (("/a/IMG_1.JPG", "/a/IMG_1.PNG"), ["/a/IMG_1.PNG"], []),  # converted: a copy
        (("/a/IMG_1.NEF", "/b/IMG_1.NEF"), ["/b/IMG_1.NEF"], []),
        (("/a/IMG_1.JPG", "/b/IMG_1.CR2"), ["/b/IMG_1.CR2"], []),  # another folder: somebody put it there
    ],
)
def test_files_of_one_shot_are_stacked(paths, copies, stacked):
    group = grouped(*paths)
    assert [hit.path for hit in group.copies] == copies
    assert [hit.path for hit in group.stacked] == stacked
    assert len(group.kinds) == len(copies)
    assert [hit.rank for hit in group.copies] == list(range(1, 1 + len(copies)))


def test_a_picture_that_is_asked_about_is_no_video_of_its_namesake():
    asked = Hit(1, -1, "/a/IMG_1.jpg", "query", None, None, 1.4)
    group = without_links(asked, [(hit, "same") for hit in hits("/a/IMG_1.png")], Files(), alike=False)
    assert [hit.path for hit in group.copies] == ["/a/IMG_1.png"]
    assert group.stacked == []


@pytest.mark.parametrize("paths", [("/a/IMG_1.JPG", "/a/IMG_1.CR2"), ("/a/IMG_1.HEIC", "/a/IMG_1.MOV")])
def test_a_shot_alone_is_no_group(paths):
    assert grouped(*paths) is None
    assert grouped(*reversed(paths)) is None
