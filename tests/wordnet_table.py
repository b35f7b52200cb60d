"""Writes the categories above the labels from WordNet 3.0.

    python -m tests.wordnet_table data.noun > data/wordnet.tsv

``data.noun`` is WordNet's own file of nouns (Debian: package wordnet-base). WordNet is used unchanged except for the
short lists below. They leave out meanings of a word that people who search photographs do not mean, and add a few
everyday meanings that WordNet lacks.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path

Synsets = dict[str, tuple[list[str], list[str]]]
"""WordNet's id of a meaning -> its names, and the ids of the meanings directly above it."""

# Meanings that are so general that nobody searches for what their labels have in common, or that exist only because of
# how WordNet is built. What is below them is placed below what is above them.
DROPPED = {
    "n00001740", "n00001930", "n00002137", "n00002684", "n00003553", "n00007347", "n00019613", "n00020090",
    "n00020827", "n00022903", "n00024264", "n00027167", "n00027807", "n00031921", "n00033020", "n02788689",
    "n03032811", "n03076708", "n03091374", "n03093574", "n03096960", "n03129123", "n03178782", "n03257877",
    "n03536348", "n03574816", "n03700963", "n03736970", "n03738472", "n03892891", "n03932203", "n04007894",
    "n04188643", "n04359589", "n04360501", "n04362025", "n04377057", "n04453910", "n04550840", "n04599396",
    "n04602044", "n06254669", "n08578706", "n08620061", "n09214060", "n09214581", "n09349797", "n09626238",
    "n09816771", "n10401829", "n13134947", "n13809207", "n13865483", "n14580897", "n14778436", "n15046900",
}  # fmt: skip

# Words and ids of meanings that nobody means by the word.
NOT_MEANT = {
    ("arm", "n04565375"), ("ball", "n13899404"), ("blower", "n02062430"), ("board", "n02856463"),
    ("cap", "n02954938"), ("cap", "n02955065"), ("car", "n02959942"), ("cat", "n02127808"), ("clothes", "n02728440"),
    ("coach", "n02924116"), ("convertible", "n03100346"), ("course", "n07556970"), ("cover", "n04151940"),
    ("cutlery", "n03154073"), ("dress", "n02728440"), ("dress", "n02756098"), ("engine", "n03684823"),
    ("fixing", "n03323703"), ("game", "n02152991"), ("home", "n03259505"), ("hose", "n03540267"),
    ("house", "n03544360"), ("house", "n04417809"), ("lid", "n03497657"), ("machine", "n02958343"),
    ("mantle", "n03151077"), ("measure", "n03733644"), ("measure", "n03735637"), ("monitor", "n01694709"),
    ("pall", "n03151077"), ("piece", "n03343853"), ("plant", "n03956922"), ("plate", "n03959701"),
    ("plate", "n03959936"),
    ("post", "n03988170"), ("press", "n06263369"), ("projectile", "n04099429"), ("protection", "n04014297"),
    ("racer", "n02384858"), ("rail", "n02014941"), ("reed", "n02817799"), ("scale", "n03959701"),
    ("scope", "n04403638"), ("screen", "n02851099"), ("screen", "n04151581"), ("screen", "n04151940"),
    ("shade", "n04181718"), ("shell", "n03959701"), ("sign", "n06791372"), ("soul", "n00007846"),
    ("string", "n02880546"), ("surface", "n02688443"), ("sweet", "n07609840"), ("tank", "n04388743"),
    ("toy", "n02085374"), ("wheel", "n02834778"), ("white goods", "n04580298"), ("wind", "n04586932"),
    ("wood", "n04598582"), ("works", "n03956922"),
}  # fmt: skip

# Everyday words for meanings that have other names in WordNet.
ALSO_CALLED = {
    "n02159955": ["bug"],
    "n03051540": ["clothes"],
    "n03546340": ["house", "home"],
    "n07705931": ["fruit"],
    "n09433442": ["beach"],
}

# (below, above): what everybody counts among a category, and WordNet does not.
ALSO_BELOW = (
    ("n01514668", "n01791625"),  # cock, chicken
    ("n01514859", "n01791625"),  # hen, chicken
    ("n01986214", "n01976957"),  # hermit crab, crab
    ("n02414578", "n02411705"),  # wild sheep, sheep
    ("n02766320", "n02818832"),  # baby bed, bed
    ("n02959942", "n04468005"),  # railway car, train
    ("n03684823", "n04468005"),  # locomotive, train
    ("n04128837", "n02858304"),  # sailing vessel, boat
    ("n04552348", "n02691156"),  # warplane, airplane
    ("n03791053", "n03790512"),  # motor scooter, motorcycle
    ("n06359193", "n00021939"),  # web site, artifact
    ("n07565083", "n00021939"),  # menu, artifact
    ("n07734744", "n12992868"),  # mushroom, fungus
)

NOT_BELOW = {
    ("n06359193", "n03082979"),  # web site, computer: the photographs are of pages
    ("n07871810", "n07683786"),  # meat loaf, loaf of bread
    ("n07800091", "n00021265"),  # fodder, food
    ("n07565083", "n07560652"),  # menu, fare: the photographs are of printed ones
}


def read_nouns(lines: Iterable[str]) -> Synsets:
    """Read WordNet's ``data.noun``; of the pointers only those to hypernyms (``@``), not to instance hypernyms."""
    synsets: Synsets = {}
    for line in lines:
        if line.startswith("  "):  # the licence
            continue
        offset, _, _, count, *rest = line.partition(" | ")[0].split()
        end = 2 * int(count, 16)
        names = [name.replace("_", " ") for name in rest[:end:2]]
        pointers = rest[end + 1 :]
        above = ["n" + pointers[at + 1] for at in range(0, 4 * int(rest[end]), 4) if pointers[at] == "@"]
        synsets["n" + offset] = (names, above)
    return synsets


def mend(synsets: Synsets) -> Synsets:
    """Apply the lists of this module to WordNet."""
    mended = {}
    for wnid, (names, above) in synsets.items():
        kept = [name for name in names if (name, wnid) not in NOT_MEANT] + ALSO_CALLED.get(wnid, [])
        more = [upper for lower, upper in ALSO_BELOW if lower == wnid]
        mended[wnid] = (kept, [upper for upper in above + more if (wnid, upper) not in NOT_BELOW])
    return mended


def table(synsets: Synsets, labels: Collection[str], dropped: Collection[str] = ()) -> list[str]:
    """Return a line for each label and each category above one: id, ids directly above it, names (of categories)."""

    def above(wnid: str) -> list[str]:
        found: dict[str, None] = {}
        for upper in synsets[wnid][1]:
            # An id that is dropped or has no name left is replaced with those above it.
            found |= dict.fromkeys(above(upper) if upper in dropped or not synsets[upper][0] else [upper])
        return list(found)

    rows: dict[str, str] = {}
    waiting = list(labels)
    while waiting:
        wnid = waiting.pop()
        if wnid not in rows:
            names = "" if wnid in labels else ", ".join(synsets[wnid][0])
            rows[wnid] = f"{wnid}\t{' '.join(above(wnid))}\t{names}"
            waiting += above(wnid)
    return [rows[wnid] for wnid in sorted(rows)]


if __name__ == "__main__":
    from assocmem.data.imagenet import imagenet_labels

    with Path(sys.argv[1]).open(encoding="ascii") as file:
        nouns = read_nouns(file)
    print("\n".join(table(mend(nouns), [label.wnid for label in imagenet_labels()], DROPPED)))
