"""``assocmem bench startup``: how long people wait for a cold process, as ratios to the bare imports."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from assocmem.bench.common import DEFAULT_OUT, OutOption, RoundsOption, keep, median, run_process, spread
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, emit_table, say

PROGRAM = [sys.executable, "-m", "assocmem"]


@guarded
def startup(
    items: Annotated[int, typer.Option(min=1, metavar="N", help="Items in the synthetic collection.")] = 100_000,
    rounds: RoundsOption = 7,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure cold processes: help, and a search among many items.

    Every figure is a process of its own, and the four take turns. Features are random; the searched picture is real
    and goes through decoder and network. The very first search on a machine, which compiles the kernels, is measured
    with an empty cache of its own.

    Example: assocmem bench startup --rounds 11
    """
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        folder, photo = Path(scratch) / "big.amem", Path(scratch) / "photo.jpg"
        say(f"making a collection of {items} items ...")
        make_collection(folder, photo, items)
        search = [*PROGRAM, "search", str(photo), "-c", str(folder), "--json"]
        commands = {
            "import typer": [sys.executable, "-c", "import typer"],
            "assocmem --help": [*PROGRAM, "--help"],
            "import numba, onnxruntime, h5py": [sys.executable, "-c", "import numba, onnxruntime, h5py"],
            "assocmem search photo.jpg": search,
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        answer_ms: list[float] = []
        warm = f"{scratch}/warm"
        cold = [run_process(search, NUMBA_CACHE_DIR=f"{scratch}/cold{n}")[0] for n in range(3)]
        run_process(search, NUMBA_CACHE_DIR=warm)
        for number in range(rounds):
            say(f"round {number + 1} of {rounds} ...")
            for name, command in commands.items():
                wall, printed = run_process(command, NUMBA_CACHE_DIR=warm)
                seconds[name].append(wall)
                if command is search:
                    answer_ms.append(json.loads(printed)["elapsed_ms"])
    _report(items, seconds, answer_ms, cold, out)


def _report(items: int, seconds: dict[str, list[float]], answer_ms: list[float], cold: list[float], out: Path) -> None:
    typer_, help_, imports, search = seconds.values()
    ratios = {
        "help_to_typer": median(help_) / median(typer_),
        "search_to_imports": median(search) / median(imports),
        "cold_cache_extra_s": median(cold) - median(search),
    }
    path = keep(
        out, "startup", {"items": items, "seconds": seconds, "answer_ms": answer_ms, "cold_s": cold, "ratios": ratios}
    )
    emit_table(("cold process", "seconds"), [(name, spread(values)) for name, values in seconds.items()])
    emit(f"assocmem --help / import typer: {ratios['help_to_typer']:.2f}")
    emit(f"assocmem search / import numba, onnxruntime, h5py: {ratios['search_to_imports']:.2f}")
    emit(f"of it the search proper, in ms: {spread(answer_ms)}")
    emit(f"an empty kernel cache costs, in s: {ratios['cold_cache_extra_s']:.1f} more")
    emit(f"raw figures: {path}")


def make_collection(folder: Path, photo: Path, items: int) -> None:
    """Make a collection of random features through the writer that makes real ones, and a picture to ask it about."""
    import numpy as np
    from PIL import Image

    import assocmem
    from assocmem.index.ingest.writer import Writer
    from assocmem.index.session import Session

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC).save(photo, quality=85)
    with assocmem.open(folder) as photos:
        photos.add([photo])
    session = Session(folder)
    with session.writing() as catalog:
        writer = Writer(catalog, folder, session.coder)
        for batch in _batches(items - 1, session.coder.dim):
            writer.commit(batch)
            writer.merge_small_segments()
    session.close()
    with assocmem.open(folder) as photos:
        photos.remove([])


def _batches(items: int, dim: int) -> Any:
    import numpy as np

    from assocmem.index.ingest.pipeline import End, Item, Job, Result
    from assocmem.index.ingest.walk import FoundFile

    rng = np.random.default_rng(1)
    batch = []
    for number in range(items):
        found = FoundFile(f"/synthetic/{number:07d}.jpg", 1, 1)
        feature = np.abs(rng.standard_normal(dim, dtype=np.float32))
        logits = rng.standard_normal(1000, dtype=np.float32)
        end = End(Job(found, "image"), number.to_bytes(16, "big"))
        batch.append(Result(end, [Item(feature, logits, None, None)]))
        if len(batch) == 2048 or number == items - 1:
            yield batch
            batch = []
