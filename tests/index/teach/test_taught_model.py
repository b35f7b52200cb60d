"""The model of the teachings: an updated one answers like a new one, and threads may ask while another teaches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.fakes import kin, kinds, open_photos


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A collection of four kinds, three pictures each, without teachings."""
    folder = tmp_path_factory.mktemp("template")
    files = kinds(folder / "in", (1, 2, 3, 4), 3)
    with open_photos(folder / "photos.amem") as photos:
        photos.add(folder / "in")
    return folder / "photos.amem", files


def test_threads_may_ask_while_another_teaches(photos, files):
    """Concepts come and go, so that a model that changes during a question would give wrong names or fail."""
    photos.teach("harbour", files[2])
    queries = [np.asarray(kin(2, which)) for which in range(4)]

    def ask():
        names = {tuple(hit.concept for hit in photos.concepts(query) if hit.source == "taught") for query in queries}
        hits = [hit.path for hit in photos.search("harbour", 4)]
        return names, sorted(hits)

    with ThreadPoolExecutor(3) as pool:
        for turn in range(20):
            asked = [pool.submit(ask) for _ in range(3)]
            name = f"castle {turn}" if turn % 2 else f"village {turn}"
            photos.teach(name, files[1])
            if turn % 3 == 0:
                photos.forget(name)
            for answer in asked:
                names, hits = answer.result()
                assert {shown[0] for shown in names} == {"harbour"}
                assert hits == sorted(map(str, files[2]))
