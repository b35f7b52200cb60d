"""A second look: one picture saved again is the same; another page, receipt, curve or sky is not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from assocmem.bench.duplicates.alterations import alterations, make_copy
from assocmem.bench.duplicates.documents import FAMILIES, draw
from assocmem.codes.fine_detail import (
    COLOUR_SIDE,
    DETAIL_LENGTH,
    DETAIL_SIDE,
    colours_of,
    fine_detail,
    greys_of,
    has_detail,
    no_details,
)
from assocmem.copies.second_look import is_same, look
from assocmem.errors import InputError
from assocmem.index.ingest.pipeline import picture_detail
from tests.media import photo

MILD = ("jpeg 70", "jpeg 30", "scale 50%", "scale 25%", "blur 1", "blur 2", "noise 10", "light 60%", "contrast 50%",
        "tint 15%", "grey")  # fmt: skip
CHANGES = ("crop 15%", "rotate 5", "border 5%", "occlusion 30%", "caption over", "mirror")
BY_NAME = {alteration.name: alteration for alteration in alterations()}


def detail_of(picture):
    return picture_detail(np.asarray(picture.convert("RGB")))


def photograph(seed):
    return Image.fromarray(photo(seed, 384, 512))


# Detail


def test_a_detail_holds_grey_and_colours():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (DETAIL_SIDE, DETAIL_SIDE), dtype=np.uint8)
    colours = rng.integers(0, 256, (COLOUR_SIDE, COLOUR_SIDE, 3), dtype=np.uint8)
    detail = fine_detail(grey, colours)
    assert detail.shape == (DETAIL_LENGTH,)
    assert has_detail(detail)
    np.testing.assert_array_equal(greys_of(detail), grey)
    np.testing.assert_array_equal(colours_of(detail), colours)
    assert not has_detail(no_details(2)[1])


@pytest.mark.parametrize("shape", [(DETAIL_SIDE, DETAIL_SIDE - 1), (DETAIL_SIDE,), (1, DETAIL_SIDE, DETAIL_SIDE)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="expected uint8"):
        fine_detail(np.zeros(shape, np.uint8), np.zeros((COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8))
    with pytest.raises(InputError, match="expected uint8"):
        fine_detail(np.zeros((DETAIL_SIDE, DETAIL_SIDE)), np.zeros((COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8))


# Copies


@pytest.mark.parametrize("name", MILD)
def test_a_picture_that_is_saved_again_is_the_same(name):
    found = []
    for seed in range(4):
        picture = photograph(seed)
        found.append(is_same(detail_of(picture), detail_of(make_copy(picture, BY_NAME[name], seed))))
    assert all(found), found


@pytest.mark.parametrize("name", CHANGES)
def test_a_picture_that_shows_something_else_is_not_the_same(name):
    for seed in range(4):
        picture = photograph(seed)
        assert not is_same(detail_of(picture), detail_of(make_copy(picture, BY_NAME[name], seed)))


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_of_one_family_are_no_copies(family):
    details = [detail_of(draw(family, number)) for number in range(200, 206)]
    assert [pair for pair in combinations(range(6), 2) if is_same(details[pair[0]], details[pair[1]])] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_document_that_is_saved_again_is_the_same(family):
    picture = draw(family, 300)
    smaller = picture.copy()
    smaller.thumbnail((512, 512))
    for copy in (smaller, make_copy(picture, BY_NAME["jpeg 70"], 0)):
        assert is_same(detail_of(picture), detail_of(copy))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 40), other=st.integers(0, 40), name=st.sampled_from([*MILD, *CHANGES]))
def test_the_order_does_not_matter_and_everything_equals_itself(seed, other, name):
    a, b = detail_of(photograph(seed)), detail_of(make_copy(photograph(other), BY_NAME[name], seed))
    assert look(a, b) == look(b, a) or is_same(a, b) == is_same(b, a)
    assert is_same(a, a)
    assert is_same(b, b)


# Little detail


def test_plain_pictures_are_the_same_only_if_they_are_equal():
    black, dark, white = (detail_of(Image.new("RGB", (400, 300), colour)) for colour in ("black", "#0a0a0a", "white"))
    red, green = (detail_of(Image.new("RGB", (400, 300), colour)) for colour in ((130, 40, 40), (20, 87, 40)))
    assert is_same(black, detail_of(Image.new("RGB", (90, 80), "black")))
    for a, b in combinations((black, dark, white, red, green), 2):
        assert not is_same(a, b)
        assert look(a, b).plain


def test_black_is_no_copy_of_a_picture_and_nothing_is_of_what_has_no_detail():
    picture, black = detail_of(photograph(1)), detail_of(Image.new("RGB", (640, 480), "black"))
    assert not is_same(picture, black)
    missing = no_details(1)[0]
    assert not is_same(missing, missing)
    assert not is_same(missing, picture)


# One change at one place


def test_one_other_number_on_a_bill_is_a_change():
    bill = draw("bill", 1)
    other = bill.copy()
    pen = ImageDraw.Draw(other)
    pen.rectangle((690, 420, 860, 470), fill="white")
    pen.text((700, 430), "1.00", fill="black", font_size=30)
    assert not is_same(detail_of(bill), detail_of(other))


def test_another_colour_is_a_change_and_another_balance_is_not():
    icon = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(icon).ellipse((40, 40, 200, 200), outline=(210, 40, 40), width=30)
    blue = Image.fromarray(np.asarray(icon)[..., ::-1])
    assert not is_same(detail_of(icon), detail_of(blue))
    warm = Image.fromarray((np.asarray(photograph(3)) * (1.0, 0.9, 0.75)).astype(np.uint8))
    assert is_same(detail_of(photograph(3)), detail_of(warm))


def test_edits_one_after_the_other_are_undone_together():
    picture = photograph(2)
    edited = ImageEnhance.Contrast(picture.filter(ImageFilter.GaussianBlur(1)).resize((300, 225))).enhance(0.7)
    assert is_same(detail_of(picture), detail_of(edited))
    assert is_same(detail_of(edited), detail_of(picture))
