"""Registration: a crop, a turn, a frame, a caption or a mirror image lies upon its original; unlike pictures do not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from assocmem.bench.duplicates.alterations import alterations, make_copy
from assocmem.bench.duplicates.documents import draw
from assocmem.codes.fine_detail import no_details
from assocmem.copies.registration import register
from tests.copies.test_second_look import detail_of, photograph

BY_NAME = {alteration.name: alteration for alteration in alterations()}


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("crop 15%", 0.85**-0.5),
        ("crop 30%", 0.7**-0.5),
        ("rotate 5", 1),
        ("border 5%", 1 / 1.115),
        ("caption bar", None),
    ],
)
def test_what_was_cut_turned_or_framed_is_lined_up(name, scale):
    for seed in range(2):
        picture = photograph(seed)
        found = register(detail_of(picture), detail_of(make_copy(picture, BY_NAME[name], seed)))
        assert found is not None
        assert not found.mirrored
        assert found.agreement > 0.8
        assert scale is None or abs(found.scale - scale) < 0.05


def test_a_mirror_image_is_found_as_such():
    picture = photograph(4)
    found = register(detail_of(picture), detail_of(make_copy(picture, BY_NAME["mirror"], 0)))
    assert found is not None
    assert found.mirrored
    assert found.overlap > 0.9


def test_the_order_decides_nothing_and_the_answer_is_repeated():
    whole, part = photograph(5), photograph(5).crop((60, 40, 400, 330))
    there, back = register(detail_of(whole), detail_of(part)), register(detail_of(part), detail_of(whole))
    assert there is not None
    assert back is not None
    assert abs(there.scale * back.scale - 1) < 0.05
    assert there == register(detail_of(whole), detail_of(part))


def test_unlike_pictures_have_nothing_in_common():
    details = [detail_of(photograph(seed)) for seed in range(8)]
    assert [pair for pair in combinations(range(8), 2) if register(*(details[n] for n in pair))] == []


@pytest.mark.parametrize("family", ["text page", "small print", "chat", "code", "diagram", "matrix code", "sky"])
def test_documents_of_one_family_have_nothing_in_common(family):
    details = [detail_of(draw(family, number)) for number in range(400, 404)]
    assert [pair for pair in combinations(range(4), 2) if register(*(details[n] for n in pair))] == []


def test_what_has_no_points_or_no_detail_has_nothing_in_common():
    black, missing = detail_of(Image.new("RGB", (300, 200))), no_details(1)[0]
    noise = detail_of(Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)))
    for one, other in combinations((black, missing, noise, detail_of(photograph(0))), 2):
        assert register(one, other) is None
