"""Processes of the benchmarks: run to their end, called once, or kept and asked again and again.

FAISS and torch bring their own OpenMP, which does not go together with numba's threads: so each library is measured in
a process of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from assocmem.cli.output import say
from assocmem.errors import AssocmemError


def run_process(command: Sequence[str], **environment: str) -> tuple[float, str]:
    """Run a process to its end; returns wall seconds and its stdout.

    Raises
    ------
    AssocmemError
        It failed; the message holds its stderr.
    """
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise AssocmemError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return seconds, done.stdout


def run_function(module: str, function: str, *arguments: object, **environment: str) -> Any:
    """Call a function in a new process; it must return what JSON can hold, the arguments must have a `repr`."""
    code = f"import json; from {module} import {function}; print(json.dumps({function}(*{arguments!r})))"
    _, printed = run_process([sys.executable, "-c", code], **environment)
    return json.loads(printed.splitlines()[-1])


class WorkerEndedError(Exception):
    """A worker's process has ended before it answered."""


class WorkerProcess:
    """A module that runs in a process of its own and answers pickled messages; the module calls `serve_messages`.

    Parameters
    ----------
    module : str
        Run as ``python -m module``.
    stderr : file, optional
        Where its messages for people go; default: to this process's.
    environment : str
        Environment variables to set.
    """

    def __init__(self, module: str, stderr: IO[bytes] | None = None, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **environment},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout

    def send(self, message: Any) -> None:
        """Send a message without waiting for an answer."""
        pickle.dump(message, self._stdin)
        self._stdin.flush()

    def ask(self, message: Any) -> Any:
        """Send a message and return the answer; WorkerEndedError if the process has ended."""
        try:
            self.send(message)
            return pickle.load(self._stdout)
        except (EOFError, BrokenPipeError) as error:
            raise WorkerEndedError(f"ended with {self.process.wait()}") from error

    def close(self, *, kill: bool = False) -> None:
        """End the process: it ends by itself when its input does, unless it is killed."""
        if kill:
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):  # the last message may not have been read
            self._stdin.close()
        self.process.wait()
        self._stdout.close()


def serve_messages(answer: Callable[[Any], Any], start: Callable[[Any], None] | None = None) -> None:
    """Answer the messages of a `WorkerProcess` until its input ends.

    What libraries print goes to stderr, so that it cannot spoil an answer.

    Parameters
    ----------
    answer : function of a message
        Returns what is sent back.
    start : function of a message, optional
        Takes the first message, which gets no answer.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if start is not None:
        start(pickle.load(sys.stdin.buffer))
    while True:
        try:
            message = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(message), answers)
        answers.flush()


def available_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def pin(cores: Sequence[int]) -> None:
    """Keep this process to some cores, if the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def load_average() -> float:
    """Return the load average of the last minute, nan if unknown; prints a warning if the machine is busy."""
    if sys.platform == "win32":  # it has none
        load = math.nan
    else:
        load = os.getloadavg()[0]
    if load > 0.5:
        say(f"the machine is busy (load average {load:.1f}): times will be off, most of all those of two cores")
    return load


def installed(package: str, otherwise: str) -> bool:
    """Return whether a package is installed; if not, print what is left out and how to install it."""
    if importlib.util.find_spec(package) is not None:
        return True
    say(f'{package} is not installed, so {otherwise}; `pip install "assocmem[bench]"` brings it')
    return False
