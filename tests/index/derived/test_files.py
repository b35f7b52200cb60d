"""Files of derived memories: what cannot be written is left out, and nothing else happens."""

from __future__ import annotations

import sys

import pytest

from tests.processes import run_python


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("limit", [0, 4_000, 50_000])
def test_a_disk_that_fills_up_leaves_the_old_file_and_is_no_crash(tmp_path, limit):
    # A child process: the limit is for all its files, and HDF5 can crash when a process ends.
    script = """if 1:
        import resource, sys
        from pathlib import Path
        import numpy as np
        from assocmem.index.derived.files import add_dataset, keep_file, read_kept
        path = Path(sys.argv[1])
        def fill(file):
            for name in "abc":
                add_dataset(file, name, np.random.default_rng(0).integers(0, 256, (3000, 16), np.uint8), 100)
        keep_file(path, 1, lambda file: add_dataset(file, "a", np.arange(9), 3))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        keep_file(path, 2, fill)
        print(read_kept(path, lambda file: file["a"][:].tolist(), 1))
    """
    done = run_python(script, tmp_path / "memory.h5", limit, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[0, 1, 2, 3, 4, 5, 6, 7, 8]\n"), done
    assert [path.name for path in tmp_path.iterdir()] == ["memory.h5"]
