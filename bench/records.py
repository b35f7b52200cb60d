"""Raw figures of the benchmarks: files of JSON and HDF5, with the machine and the versions that they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from assocmem import __version__

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the raw figures.")]
RoundsOption = Annotated[int, typer.Option(min=1, metavar="N", help="How often everything is measured, in turns.")]
DEFAULT_OUT = Path("bench-results")
PACKAGES = ("numpy", "numba", "h5py", "onnxruntime", "pillow", "av", "typer")
"""Packages whose versions are recorded."""


def machine() -> dict[str, Any]:
    """Describe this machine and the versions of the packages that matter."""
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import version

    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "assocmem": __version__,
        "packages": {name: version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def machine_lines(load: float) -> list[str]:
    """Return lines for a report: the machine, and its load average before the run."""
    about = machine()
    return [
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, assocmem {about['assocmem']};",
        f"load average before the run {load:.1f}.",
    ]


def write_json(out: Path, name: str, figures: Mapping[str, Any]) -> Path:
    """Write raw figures and the machine to ``out/name.json``; returns the path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
    return path


def write_hdf5(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], options: Mapping[str, Any]) -> Path:
    """Write every measurement to HDF5, one dataset per table; machine and options become attributes of the file."""
    import h5py
    import numpy as np

    from assocmem._storage.hdf5 import replacing_hdf5

    about = machine()
    versions = {f"version.{name}": version for name, version in about.pop("packages").items()}
    chosen = {f"option.{name}": value for name, value in options.items()}
    with replacing_hdf5(path) as file:
        file.attrs.update({**{f"machine.{name}": value for name, value in about.items()}, **versions, **chosen})
        for name, rows in tables.items():
            if rows:
                dtype = [(column, _column_dtype(value, h5py.string_dtype())) for column, value in rows[0].items()]
                file[name] = np.array([tuple(row.values()) for row in rows], dtype)
    return path


def _column_dtype(value: object, string_dtype: Any) -> Any:
    return string_dtype if isinstance(value, str) else type(value)
