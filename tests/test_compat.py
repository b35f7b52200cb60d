"""Module names of earlier versions: they import the moved modules, and pickles that name them are loaded.

The pickles were written by the version before the modules moved into packages.
"""

from __future__ import annotations

import base64
import importlib
import os
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest

import assocmem
from assocmem._compat import MOVED

HOME = Path(assocmem.__file__).parent.parent

PICKLES = {
    "clique": (
        "eNptT7FuwjAQtYHQDohKDF2Y2OgSdWTolg2rGfoDyDGWiBQn1PZVyoBEh7Yg3cbxvWAcsfUNp6d37+nd7QfnKWcR+CSda5TRJlVV+QmacJRF"
        "8q5NY1s60cs37WiOidvIrY70UVXgvLaORA8TqEsfWB+HUvnySwcRcFDcRHyuwWzbdKUaq1MDlS+ltbINJSurVVM7b0H5UIJJdBI+1OvOciLB"
        "fijjBf3RB80FF0PBf2kzxmTt23BJCPVgQcdDt+8jf6M8z5eXgDgE81Qcs9dZ9yqbsP9x1+8+CjEo0itkTmJr"
    ),
    "willshaw": (
        "eNpVjTtvwkAQhO3YFhSAlCbKTyCNawo6Ok64SJMS2cdJWPL50D1kuUAiRR6WtvPkz9IkJxuKfMVqdmd29xL/XIMResyNUVwKmTZlVZlj3oAW"
        "bze5E1LpFj1e3nHGkhI/PIlBxlo1BiyiCVeVk7XXsaO4KK0BPdVOntp0z5UWqXSVLXOt8xY022vBVW2sdtz6u5QMSdCkPoyRHiz4wCYs8IVX"
        "LFnIIhZ+4jin5GBb/9wvPbgVuu/RjyhcI8uy7a9nKCywKLrN8zT4z72Ht12R/gEkeF/g"
    ),
    "seen": (
        "eNrtkjtuwkAQhtfGFgjFbc4AjesUKSzSZYULcgBkLyuBxK7RPgoXkaAgAWk6fs7HUcJi5xbJV8z7oZFmn1xvMeugrLK2EUqq3EqpQeOPoOZS"
        "NabFBdMDPjGh1K6rnexNrzfOghc0EltvnTTBiT0l9SNMz9qrXZsvRWNkrvzWbSpjqhb0tDRSNNo644ULkyntKkFDvepLLuDsiLeoxjcWmPCI"
        "Fzz6wjqjdOXasD40xf4F51OfH1D0irIs338CneDMoT7P2O9tgYL98ydB+ARf53egbl2u"
    ),
    "message_codes": (
        "eNq1m8tunFUQhCexAxEEwSq8Qth4xbLY4B1WsuAFIl+G2FLGjmbGiyyQkkWASLPLz6Ow67xBeJp5ABjbQkIo47++OodIzsXx/Jdz+nRXV1W/"
        "2v39q9eT61+rh4eLxcXxbDrbm00Xi8Nn06fHFyfTxbB68Pjm3/ubf86Hd8M3r4efh0ernZOz2XCws7p//PxysZzOF8PB3dXubHp4Pqwenl/O"
        "Xrzc21xhPt2bXT5fnh3O54cvN9d6Op8eX5wvlvPL4+XmWqt71z85rD49P7n5kXfDweTNsH/naPh1+HF4dHDnYOfNcPr56t7J8uWL6dVH7v70"
        "7fD2t5v/3Vnd0fDkyZMf/tr8uv7tYLIcjt7uP/jzw4fvrt5r8+f7YfOt1SdPF2fPzhfD6WenX1zd4vTLf26w+3hy/5fh9Ou3309eTSbr3T/0"
        "r6/a8vXf/9eW7237c9vf6yP3ve2aPe697XMauf/Hvtx3qi2f2/b+MtfC3aexdylwTeddxq5PPufu5dg9auSzY3s3tj5OPGz7OXd/3fNSt8SB"
        "E2cy42DsbNRIvDvf0y3PSvfcvZe7r2WsoZMzblu3Mr43Fs8a2WMZ55yevbH9kpFry8gfJBc4++PUC2df3TgktazAmrt5gtYwcvbGnpnEssD5"
        "rPCcyYxXwTgv8ww657zM2C2zxo2tYRkxJXitMvZE4flxzinJuwIxLbMmC9RP916C2FXg3ArUsTIwaJnnVqCeufnZra8COYPmUQfnlIGfHcxC"
        "+hBa0wRjWUackM9UkNvdPFAG5qFxIRN7JLhX4CwlOZvWGpcDUEOvQvGEQN+mIOeUGSeE0yC42T3jBfNxmRi8AjxEMIBCvOlyEYK50llDGT0J"
        "4UFozhfAogI9jkxcOvZMBXEFwRtl5iaC32gsyTxfCnpit1bT80me1elXtWb8URKvMmu5yyMI9H0CPRnpTVtqivN+KbdaEBsm3I6LOVrWLolZ"
        "ygFozXj6tF65HLOCnKiwjrl7L9B/0hxa4BzSuHVxtcsvFVzjhCNPnsftDcf4BjU8B6mpic7SikeTGko4oSSPE16V9kQV5nS6dhRjK8SGCu/d"
        "Q5+j3EGy/2S/FfapqT7o4jb3Z0itreBMEC2HYuke2nmqCyYaiBN3LTWJ1DUXJ5AYFeg5KuhdaP5OuVOtfV00jZ00Bya9ieA1qM+D9HdJThCM"
        "LertSPZZYd3rpS0nmomrmRNuO9EqKQdCa5nMnrOlLqghnlp9QdUBwyd8T0ufSjSFCmu/GnNOiwYg0I8T7SeNC4HaQ/SZalwjrblOrgbs3oPz"
        "JJ4hqs/RGpZo9mmeVoDFC6455RbcnKfGnjrlFEgfRfKZ6wN3PU0U5wjWjv/Dr0r9aaS2Uu9Wer9E107zN/E5Ex2bao3q0AOTGHexohqxN9Xr"
        "Ep9mDw91dcB3Wue6Sqqlpv4HQewrWCMq6DPpfE+rvyXR36nPlXjkWuabqB9KMO9TbbfH87Zoyy1+H3J9ynNRvdjN+YlX29VkyX1p3kp90UlN"
        "I3ibaMuCeYZ4OpI5k4Lnhni+Xd2DzhskmnI6byOIE1o0W3JeBWor7S9Tn4jgmrj5vUUn7sFzEE6iR20n/p7Eg0lyXDKvTLla4gNq6U9pj0A9"
        "I8nMB50jo9wc8fKRuZx0TpTO1SQ9IDnTSW5WiF2I5p3M/BGejswytnDj5CwmnLk7v0X7JDqbVqCvLxNrtPqDk7ltopdQH3kyG5X0bm7vnvgz"
        "yP5RniHRkFIc2EPXqHWuAzg8aLKWxEeq8OyT80fqbK8Z2lTbos/t3ietGYRTJno99ckkfVHiYU/jmXq2W7BpqkGk8yLEw5TiIDX2HmmPRzwd"
        "lAdJ/KUtnjGHP6M6J50NTp6XeJJTDY3W8cSfncRYym0kPQSdOU3jhOirdJaQ9BNuHFH+0NXFKuh3k7yb4m03luh8GPHeCPQnrXNuie+UYMuE"
        "cyNaX8EaSDkMWhdbdOgEz1Athc780PnThJ8jfBvxOStYe6qNJnO2ydyiIJZRkGNI3ux1L4W9FMlVVI9vmaXp4ddWQ61s6aNc/yvJFb3rfI+c"
        "QHS7tBdLvApuPmjVSMmaJ/2WW7da5p4qeNYUVxbs12hvVzBXCtY5Okfdw99L5v9cDEl5/YTbJb038d0pqFt0vpr4WQT6iZ6zdMR3SrWLFl6I"
        "6IwUSxH9v6e+kGpbZP6WzM9S7a/HTAaZQUnOFNGB0/kO6iVIvUeJHyPRQ0j9cDGJ690nGgD1EwngVDrP2DOOCZ6gGrYa8Dr1kyV9SqvXh+Sh"
        "HhpnhTlP8CyksxpUB0jPU4J7W2fGWz16ZN63glxRYB9d3abCnq6CWl2wZqvxbKe+L4XnisxJUT8/fRd16KUTD2bCUyiMW1qDXX9COiPh6jYF"
        "z2Myp0P6GKI/unxB6rd39yPxIrVwwC38TDpHTOdqeuVk1wvizoAo6GGJJyrxM1EerQLsTvjMnjM4rTktncdumRvpNdtEZ0UE+2l1wslkfakn"
        "QxCT1pprqq1zcgpyBfXpK6jzybxEwqEpwMjJrAStS+m7JdxB4hEkubpAjk/9Vg4eTzFvonsRz3WK9ehn6CwO5UDUYR178PKCWJJ6BIj/vzrF"
        "b605f5T4ehLfM+3RKsB/CjBlml8qyMG9Zj9TfpfGBX23Xv4jt/dKeIZEH23pzcg8WjKzWrC29uIOevDWBWsy1RG1buPx3TpC+4ZWXoqcQdqj"
        "JtxAMovocjU9vYctHtMKYjbx3rvcGNUHWnlB94t6aokfR8NyOLo82vsbvNB8cg=="
    ),
    "capacity": (
        "eNprYJkaxAABPYKJxcX5ybmpuXrJiQWJyZkllVN6WAJyEvOmTJ6i2TgldoqGd4o3t7cAEDP7Ngi421/Z1cTY4n/M3b7MaWrgU+Y2d6vwiMbz"
        "T+Y88M7t8EtN0gMAlEEhpA=="
    ),
    "completion": (
        "eNp1kD1rwzAQhi3lk5KltHTNmi6GQsdsnlqBh+wl2IpABssysjwYMrRDmxq05e3vbWUFSobkjjs47r3njnsf/7yQKJi7y5pGcyVUzLWqS2EL"
        "XcFNN4JnZYkjHj/whpV7qFpVd/GWayNi1Za2yIzJOrjF1giuq8aalluvd5OghJtVu5PkCBZ9IiE5DthgxYh3+gU5d5Od7WoxDNHiGf33qT9y"
        "ZI00TV9/vYXEIou8T+bDwdQHfCln8mbgysU/1Re3juZP56T9RRIh1xH3fTIm15cwykYHyGWfTMMLA0nk8R8AW3z6"
    ),
    "neighbors": (
        "eNprYJmawwABPUKJxcX5ybmpuXp5qZnpGUn5RcVTevidczILS1P94CKTp2g2TqmdotHDnRePUOfN3sOWm1pSlJk8pYcztTQ5JzMlNTFvSg9b"
        "alpaflHJFL8etrz4rPwkoErG0iQ9AOrHLEQ="
    ),
}
"""Module -> a pickle of something of it, compressed, in base64."""

CHECKS = {
    "clique": """
        assert type(loaded) is assocmem.CliqueMemory
        assert loaded.shape == {"clusters": 2, "units": 3, "active": 2}
        assert loaded.familiar([[0, 2], [1, 1], [0, 1]]).tolist() == [True, True, False]
        loaded.store([[0, 1]])
        assert loaded.familiar([[0, 1]]).all()
    """,
    "willshaw": """
        assert type(loaded) is assocmem.WillshawMemory
        assert loaded.poll([[0, 1, 2]]).tolist() == [[0, 0, 0, 2]]
    """,
    "seen": """
        assert type(loaded) is assocmem.SeenMemory
        assert loaded.shape == {"units": 64, "clusters": 2}
        assert loaded.seen([[5, 4000], [4000, 5]], 100.0).tolist() == [True, False]
    """,
    "message_codes": """
        assert type(loaded) is assocmem.MessageCoder
        assert loaded.messages([[1, 2, 3]]).tolist() == [[1566, 897]]
    """,
    "capacity": """
        from assocmem.memory.capacity import plan
        assert loaded == plan(100)
    """,
    "completion": """
        from assocmem.memory.recall import Recall
        assert type(loaded) is Recall
        assert loaded.messages.tolist() == [[0, 2]]
        assert loaded.candidates.tolist() == [[[True, False, False], [False, False, True]]]
    """,
    "neighbors": """
        assert type(loaded) is assocmem.CliqueNeighbors
        assert loaded.get_params()["n_neighbors"] == 7
    """,
}


def run(code):
    """Run code in a fresh process; its errors are shown."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(HOME)},
        cwd="/",  # not where the tests are: a checkout there would come first
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_of_the_version_before_are_loaded_in_a_fresh_process(name):
    content = zlib.decompress(base64.b64decode(PICKLES[name]))
    assert f"assocmem.{name}".encode() in content
    check = textwrap.dedent(CHECKS[name])
    run(f"import pickle\nloaded = pickle.loads({content!r})\nimport assocmem\n{check}")


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_name_imports_the_moved_module_itself(old, new):
    code = f"""
        import importlib, sys
        import {old}
        import {new}
        assert {old} is {new} is sys.modules["{old}"] is importlib.import_module("{old}")
        assert {old}.__name__ == {old}.__spec__.name == "{new}"
    """
    run(textwrap.dedent(code))
    run(f"import {new}, {old}; assert {old} is {new}")


@pytest.mark.parametrize(
    "form", ["from assocmem.capacity import plan", "from assocmem import capacity; plan = capacity.plan"]
)
def test_documented_forms_of_import_work_in_a_fresh_process(form):
    run(f"{form}\nimport assocmem.memory.capacity\nassert plan is assocmem.memory.capacity.plan")


def test_packages_and_unknown_names_are_not_affected():
    packages = ["codes", "concepts", "copies", "index", "memory", "search"]
    for name in packages:
        assert f"assocmem.{name}" not in MOVED
        run(f"import assocmem.{name} as package; assert package.__path__; assert package.__name__ == 'assocmem.{name}'")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'assocmem\.nonsense'"):
        importlib.import_module("assocmem.nonsense")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'assocmem\.nonsense'"):
        importlib.import_module("assocmem.nonsense.capacity")


def test_importing_the_package_loads_none_of_its_modules_and_no_numpy():
    code = """
        import sys
        import assocmem
        loaded = {name for name in sys.modules if name.split(".")[0] in ("assocmem", "numpy", "numba", "h5py")}
        assert loaded == {"assocmem", "assocmem._compat"}, loaded
        assert sum(type(finder).__name__ == "MovedModules" for finder in sys.meta_path) == 1
        import importlib
        importlib.reload(assocmem)
        assert sum(type(finder).__name__ == "MovedModules" for finder in sys.meta_path) == 1
    """
    run(textwrap.dedent(code))
