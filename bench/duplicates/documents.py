"""Pictures that look alike and are no copies: pages, receipts, screenshots, plots, skies. Drawn, nothing downloaded.

``draw(family, number)`` gives picture ``number`` of a family; the same two always give the same picture. Any two of a
family differ in what a reader would look for: the words, the sum, the curve, the colour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from assocmem.bench.duplicates.alterations import Picture
from assocmem.errors import InputError

Rng = np.random.Generator
Draw = Callable[[Rng], Picture]

_WORDS = """account address amount and annual answer bank before building by city contract copy date dear delivery due
enclosed for from has invoice is kind letter meeting month number of office order our paid per please price regards
report sir sum tax thank that the this to total until was we week which with year your"""
WORDS = tuple(_WORDS.split())
_GOODS = "apples bread butter cheese coffee eggs flour honey juice milk oats rice salt soap tea"
GOODS = tuple(_GOODS.split())
_INKS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (90, 90, 90))


Sheet = tuple[Picture, ImageDraw.ImageDraw]


def _sheet(width: int, height: int, colour: str | tuple[int, int, int] = "white") -> Sheet:
    picture = Image.new("RGB", (width, height), colour)
    return picture, ImageDraw.Draw(picture)


def _words(rng: Rng, count: int) -> str:
    return " ".join(rng.choice(WORDS, count))


def _text_page(rng: Rng, *, size: int = 26, columns: int = 1) -> Picture:
    picture, draw = _sheet(1240, 1754)
    draw.text((100, 90), _words(rng, 3).title(), fill="black", font_size=44)
    step, width = round(1.4 * size), 1040 // columns
    for column in range(columns):
        y = 190
        while y < 1620:
            for _ in range(int(rng.integers(2, 9))):
                draw.text(
                    (100 + column * width, y), _words(rng, 22 * 12 // size // columns), fill="black", font_size=size
                )
                y += step
            y += step
    return picture


def _letter(rng: Rng) -> Picture:
    """One letter to many people: only the name and the sum differ."""
    picture, draw = _sheet(1240, 1754)
    fixed = np.random.default_rng(5)
    draw.text((820, 80), "Municipal Water Works", fill="navy", font_size=34)
    street = f"{rng.integers(1, 200)} {rng.choice(WORDS).title()} Street"
    draw.text((100, 260), f"{_words(rng, 2).title()}\n{street}", fill="black", font_size=28)
    for line in range(22):
        text = _words(fixed, 11)
        if line in (3, 9):
            text = f"{text[:30]} {rng.integers(100, 9999)}.{rng.integers(10, 99)} {_words(fixed, 5)}"
        draw.text((100, 460 + 42 * line), text, fill="black", font_size=26)
    return picture


def _receipt(rng: Rng) -> Picture:
    picture, draw = _sheet(600, 1200)
    draw.text((180, 40), "CORNER SHOP", fill="black", font_size=44)
    total = 0.0
    for line in range(int(rng.integers(12, 22))):
        price = float(rng.uniform(1, 60))
        total += price
        draw.text((40, 140 + 42 * line), str(rng.choice(GOODS)), fill="black", font_size=30)
        draw.text((460, 140 + 42 * line), f"{price:.2f}", fill="black", font_size=30)
    draw.text((40, 1100), f"TOTAL {total:.2f}", fill="black", font_size=40)
    return picture


def _bill(rng: Rng) -> Picture:
    """A bill on a form: the frame is the same, the numbers differ."""
    picture, draw = _sheet(1000, 1400)
    draw.rectangle((60, 60, 940, 200), fill=(30, 60, 120))
    draw.text((100, 100), "ELECTRICITY BILL", fill="white", font_size=56)
    for row in range(9):
        draw.line((60, 320 + 90 * row, 940, 320 + 90 * row), fill="grey", width=2)
        draw.text((80, 340 + 90 * row), f"{GOODS[row].title()} charge", fill="black", font_size=30)
        draw.text((700, 340 + 90 * row), f"{rng.uniform(10, 900):.2f}", fill="black", font_size=30)
    draw.text((80, 1240), f"To pay: {rng.uniform(100, 4000):.2f}", fill="black", font_size=48)
    return picture


def _chat(rng: Rng) -> Picture:
    picture, draw = _sheet(1080, 1920, (246, 246, 246))
    draw.rectangle((0, 0, 1080, 120), fill=(7, 94, 84))
    draw.text((120, 36), str(rng.choice(WORDS)).title(), fill="white", font_size=44)
    y = 160
    while y < 1760:
        width, height, left = int(rng.integers(300, 800)), int(rng.integers(80, 220)), rng.random() < 0.5
        x = 40 if left else 1040 - width
        draw.rounded_rectangle((x, y, x + width, y + height), 20, fill="white" if left else (220, 248, 198))
        draw.text((x + 20, y + 20), _words(rng, width // 150), fill="black", font_size=32)
        y += height + 30
    return picture


def _code(rng: Rng) -> Picture:
    picture, draw = _sheet(1600, 900, (30, 30, 30))
    draw.rectangle((0, 0, 260, 900), fill=(37, 37, 38))
    inks = ((86, 156, 214), (206, 145, 120), (220, 220, 170), (212, 212, 212))
    indent = 0
    for line in range(34):
        indent = int(np.clip(indent + rng.integers(-1, 2), 0, 4))
        x = 300 + 40 * indent
        for word in rng.choice(WORDS, int(rng.integers(0, 8))):
            draw.text((x, 14 + 26 * line), str(word), fill=inks[int(rng.integers(4))], font_size=20)
            x += 12 * len(word) + 14
    return picture


def _table(rng: Rng) -> Picture:
    picture, draw = _sheet(1400, 900)
    draw.rectangle((0, 0, 1400, 60), fill=(33, 115, 70))
    for column in range(10):
        draw.line((140 * column, 60, 140 * column, 900), fill=(210, 210, 210))
        for row in range(24):
            draw.line((0, 60 + 35 * row, 1400, 60 + 35 * row), fill=(210, 210, 210))
            value = str(rng.choice(GOODS)) if column == 0 else f"{rng.integers(0, 100_000):,}"
            draw.text((140 * column + 10, 66 + 35 * row), value, fill="black", font_size=20)
    return picture


def _diagram(rng: Rng) -> Picture:
    picture, draw = _sheet(900, 700)
    places = [(int(x), int(y)) for x, y in rng.uniform((90, 70), (810, 630), (int(rng.integers(4, 8)), 2))]
    for (ax, ay), (bx, by) in pairwise(places):
        draw.line((ax, ay, bx, by), fill="black", width=3)
    for x, y in places:
        draw.rectangle((x - 70, y - 35, x + 70, y + 35), fill="white", outline="black", width=3)
        draw.text((x, y), str(rng.choice(WORDS)), fill="black", font_size=26, anchor="mm")
    return picture


def _axes(width: int = 800, height: int = 600) -> Sheet:
    picture, draw = _sheet(width, height)
    draw.line((80, 40, 80, height - 60), fill="black", width=2)
    draw.line((80, height - 60, width - 40, height - 60), fill="black", width=2)
    for tick in range(6):
        draw.text((30, height - 70 - tick * (height - 120) // 5), f"{20 * tick}", fill="black", font_size=20)
        draw.text((80 + tick * (width - 140) // 5, height - 45), f"{10 * tick}", fill="black", font_size=20)
    return picture, draw


def _curve(rng: Rng) -> Picture:
    picture, draw = _axes()
    for ink in _INKS[: int(rng.integers(1, 3))]:
        heights = np.cumsum(rng.normal(0, 12, 60)) + rng.uniform(200, 400)
        points = [(80 + 11 * i, float(np.clip(y, 50, 530))) for i, y in enumerate(heights)]
        draw.line(points, fill=ink, width=3)
    return picture


def _bars(rng: Rng) -> Picture:
    picture, draw = _axes()
    for bar, height in enumerate(rng.uniform(60, 460, 8)):
        draw.rectangle((110 + 82 * bar, 540 - height, 160 + 82 * bar, 540), fill=_INKS[0])
    return picture


def _slide(rng: Rng) -> Picture:
    picture, draw = _sheet(1280, 720)
    draw.rectangle((0, 0, 1280, 110), fill=(20, 50, 90))
    draw.rectangle((0, 680, 1280, 720), fill=(20, 50, 90))
    draw.text((60, 26), _words(rng, 3).title(), fill="white", font_size=52)
    for line in range(int(rng.integers(3, 6))):
        draw.ellipse((80, 186 + 90 * line, 96, 202 + 90 * line), fill=(20, 50, 90))
        draw.text((120, 174 + 90 * line), _words(rng, 6), fill="black", font_size=36)
    return picture


def _form(rng: Rng) -> Picture:
    """A form that different people have filled in by hand."""
    picture, draw = _sheet(1240, 1754)
    draw.text((100, 80), "APPLICATION FOR A PERMIT", fill="black", font_size=52)
    for row in range(14):
        y = 220 + 100 * row
        draw.text((100, y), f"{row + 1}. {WORDS[3 * row].title()} {WORDS[3 * row + 1]}", fill="black", font_size=28)
        draw.rectangle((520, y - 20, 1140, y + 50), outline="black", width=2)
        steps = rng.normal((9, 0), (5, 9), (int(rng.integers(15, 50)), 2))
        path = np.clip(np.cumsum(steps, axis=0) + np.array((540, y + 15)), (530, y - 15), (1130, y + 45))
        draw.line([(float(a), float(b)) for a, b in path], fill=(20, 20, 120), width=3)
    return picture


def _music(rng: Rng) -> Picture:
    picture, draw = _sheet(1000, 1300)
    for staff in range(8):
        top = 100 + 150 * staff
        for line in range(5):
            draw.line((60, top + 14 * line, 940, top + 14 * line), fill="black", width=2)
        for note in range(16):
            x, y = 100 + 52 * note, top + 7 * int(rng.integers(0, 9))
            draw.ellipse((x - 8, y - 6, x + 8, y + 6), fill="black")
            draw.line((x + 8, y, x + 8, y - 44), fill="black", width=2)
    return picture


def _squares(rng: Rng) -> Picture:
    """A matrix code."""
    cells = np.kron(rng.integers(0, 2, (33, 33)), np.ones((12, 12)))
    picture, _ = _sheet(460, 460)
    picture.paste(Image.fromarray((255 * (1 - cells)).astype(np.uint8)).convert("RGB"), (32, 32))
    return picture


def _icon(rng: Rng) -> Picture:
    picture, draw = _sheet(256, 256)
    ink = _INKS[int(rng.integers(len(_INKS)))]
    for _ in range(int(rng.integers(2, 4))):
        x, y, a, b = (int(v) for v in rng.uniform((20, 20, 40, 40), (150, 150, 110, 110)))
        shape = (draw.ellipse, draw.rectangle)[int(rng.integers(2))]
        shape((x, y, min(246, x + a), min(246, y + b)), outline=ink, width=12)
    return picture


def _sky(rng: Rng) -> Picture:
    """A clear sky: one colour above, another below, in the grain of a camera."""
    above, below = rng.uniform(20, 255, (2, 3))
    share = np.linspace(0, 1, 480)[:, None, None] ** rng.uniform(0.6, 1.6)
    values = above * (1 - share) + below * share + rng.normal(0, 1.5, (480, 640, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _clouds(rng: Rng) -> Picture:
    """A cloudy sky: soft shapes, no edge."""
    coarse = Image.fromarray(rng.uniform(0, 255, (5, 7)).astype(np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    share = np.asarray(coarse.filter(ImageFilter.GaussianBlur(12)), np.float32)[..., None] / 255
    values = (90, 140, 210) * (1 - share) + (235, 238, 242) * share + rng.normal(0, 1.5, (480, 640, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _plain(rng: Rng) -> Picture:
    return Image.new("RGB", (400, 300), tuple(rng.integers(0, 256, 3).tolist()))


def _dark(rng: Rng) -> Picture:
    """The night: black, a few lights, much grain."""
    values = rng.normal(8, 5, (480, 640, 3))
    for x, y in rng.integers((10, 10), (630, 470), (int(rng.integers(2, 6)), 2)).tolist():
        values[y - 2 : y + 3, x - 2 : x + 3] = 240
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


FAMILIES: Mapping[str, Draw] = {
    "text page": _text_page,
    "small print": partial(_text_page, size=17),
    "two columns": partial(_text_page, size=20, columns=2),
    "letter": _letter,
    "receipt": _receipt,
    "bill": _bill,
    "chat": _chat,
    "code": _code,
    "table": _table,
    "diagram": _diagram,
    "curve": _curve,
    "bars": _bars,
    "slide": _slide,
    "form": _form,
    "music": _music,
    "matrix code": _squares,
    "icon": _icon,
    "sky": _sky,
    "clouds": _clouds,
    "plain": _plain,
    "night": _dark,
}
"""Name -> how to draw one."""


def draw(family: str, number: int) -> Picture:
    """Draw picture ``number`` of a family.

    Raises
    ------
    InputError
        There is no such family.
    """
    if family not in FAMILIES:
        raise InputError(f"family: expected one of {', '.join(FAMILIES)}, found {family!r}")
    return FAMILIES[family](np.random.default_rng((number, *family.encode())))
