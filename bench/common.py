"""What the benchmarks share: the machine, its cores, whole processes, raw figures on disk."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from assocmem import __version__
from assocmem.cli.output import say
from assocmem.errors import AssocmemError

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the raw figures are kept.")]
RoundsOption = Annotated[int, typer.Option(min=1, metavar="N", help="How often everything is measured, in turn.")]
DEFAULT_OUT = Path("bench-results")


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that a figure belongs to."""
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import version

    packages = ("numpy", "numba", "h5py", "onnxruntime", "pillow", "av", "typer")
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "assocmem": __version__,
        "packages": {name: version(name) for name in packages},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def keep(out: Path, name: str, figures: Mapping[str, Any]) -> Path:
    """Write raw figures with the machine they were taken on; returns the file."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
    return path


def run_process(command: Sequence[str], **environment: str) -> tuple[float, str]:
    """Run a process to its end; returns wall seconds and its stdout.

    Raises
    ------
    AssocmemError
        It failed; the message is what it said.
    """
    import subprocess

    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise AssocmemError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return seconds, done.stdout


def run_function(module: str, function: str, *arguments: object) -> dict[str, Any]:
    """Call a function in a fresh process; it returns a JSON object."""
    code = f"import json; from {module} import {function}; print(json.dumps({function}(*{arguments!r})))"
    _, printed = run_process([sys.executable, "-c", code])
    answer: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return answer


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    import statistics

    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median with the extremes: ``0.62 (0.60 to 0.71)``."""
    return f"{median(values):.{digits}g} ({min(values):.{digits}g} to {max(values):.{digits}g})"


def available_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def pin(cores: Sequence[int]) -> None:
    """Keep this process to some cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def installed(package: str, otherwise: str) -> bool:
    """Whether a package is there; if not, say what is left out and how to get it."""
    if importlib.util.find_spec(package) is not None:
        return True
    say(f'{package} is not installed, so {otherwise}; `pip install "assocmem[bench]"` brings it')
    return False


def current_load() -> float:
    """Return the load average of the last minute; NaN on Windows, which has none."""
    if sys.platform == "win32":
        load = math.nan
    else:
        load = os.getloadavg()[0]
    return load


def load_average() -> float:
    """Return the load average of the last minute, and warn when others are at work."""
    load = current_load()
    if load > 0.5:
        say(f"the machine is busy (load average {load:.1f}): times, above all those of two cores, will be off")
    return load


def write_raw(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], options: Mapping[str, Any]) -> Path:
    """Write every single measurement to HDF5, a table per kind; machine and options are the file's attributes."""
    import h5py
    import numpy as np

    from assocmem._storage.hdf5 import replacing

    about = machine()
    versions = {f"version.{name}": version for name, version in about.pop("packages").items()}
    chosen = {f"option.{name}": value for name, value in options.items()}
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update({**{f"machine.{name}": value for name, value in about.items()}, **versions, **chosen})
        for name, rows in tables.items():
            if rows:
                kinds = [(column, _kind(value, h5py.string_dtype())) for column, value in rows[0].items()]
                file[name] = np.array([tuple(row.values()) for row in rows], kinds)
    return path


def _kind(value: object, text: Any) -> Any:
    return text if isinstance(value, str) else type(value)
