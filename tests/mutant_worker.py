"""Run the tests against one mutant after the other, each in a forked process: imports are paid for once.

``tests/mutants.py`` starts it in a copy of the checkout and sends one JSON object per line: ``path`` and ``code``, the
file to write first (if given), ``tests``, pytest's arguments, and ``limit``, the seconds that they may take. The answer
is a line with ``outcome`` ("passed", "failed" or "timed out"), ``seconds`` and ``output``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

IMPORTED_ONCE = ("h5py", "hypothesis", "numba", "numpy", "PIL.Image", "pytest")


def run(request):
    """Return the outcome of one request."""
    if request.get("path"):
        path = Path(request["path"])
        path.write_text(request["code"], encoding="utf-8")
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            stale.unlink()  # Python compares times in seconds, and mutants come faster
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        child = os.fork()
        if child == 0:
            _run_tests(request, log.fileno())
        status = _wait(child, request["limit"])
        seconds = time.monotonic() - start
        log.seek(0)
        output = log.read()
    code = None if status is None else os.waitstatus_to_exitcode(status)
    outcome = "timed out" if code is None else "passed" if code == 0 else "failed"
    return {"outcome": outcome, "seconds": seconds, "output": output[-20_000:]}


def _run_tests(request, log):
    """Run pytest in a forked process, which ends here."""
    code = 70
    try:
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.dont_write_bytecode = bool(request.get("path"))
        import hypothesis
        import pytest

        # The same examples each time; a failure is only counted, so nothing is shrunk or stored.
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
        hypothesis.settings.load_profile("mutants")
        code = int(pytest.main([*request["tests"], "-x", "-q", "--tb=short", "-p", "no:cacheprovider"]))
        sys.stdout.flush()
    finally:
        os._exit(code)


def _wait(child, limit):
    """Return the status of a process; None if it has to be killed after ``limit`` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main():
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    found = Path(importlib.util.find_spec("assocmem").origin).resolve()
    assert found.is_relative_to(Path.cwd().resolve()), f"assocmem: expected the copy, found {found}"
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
