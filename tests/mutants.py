"""Mutation check: change the code in small ways, and see whether the tests fail; CONTRIBUTING says more.

    python -m tests.mutants [--share 0.1] [--seed 0] [--jobs 2] [MODULE ...]

cosmic-ray makes the mutants. They are written into copies of the checkout, never into the checkout. Needs a system that
can fork.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
SURVIVORS = ROOT / "build" / "mutants"
"""Folder with a file per module: its survivors as diffs."""
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.toml")
SMALLEST = 60
"""Mutants of a module that are run at least, if there are as many."""
LEAST = 0.85
"""Share of the mutants of a module that have to be killed; those in ``EQUIVALENT`` do not count."""
SPEED_ONLY = ("cache", "njit")
"""Decorators whose removal changes speed only."""


@dataclass(frozen=True)
class Target:
    """The quickest tests that are sufficient for a module."""

    tests: tuple[str, ...]
    slow: str = ""
    """names of tests that are left out, as pytest's -k takes them: "one or other\""""
    compiled: bool = False
    """kernels are compiled; otherwise they run as plain Python"""
    only: tuple[str, ...] = ()
    """functions that are mutated; all if empty"""
    limit: float = 5
    """seconds at least that a mutant may take; then it counts as killed"""


TEACHING = ("teacher", "teaching", "corrections", "teaching_errors")
FIVE_LABELS = "test_the_five_most_probable_labels_are_stored_the_first_of_equals_first"
TARGETS = {
    "assocmem/codes/winner_codes.py": Target(("tests/codes/test_winner_codes.py",), compiled=True),
    "assocmem/codes/hash_codes.py": Target(("tests/codes/test_hash_codes.py",), compiled=True),
    "assocmem/codes/nibble_codes.py": Target(("tests/codes/test_nibble_codes.py",)),
    "assocmem/codes/dct_sketches.py": Target(("tests/codes/test_dct_sketches.py",)),
    "assocmem/codes/missing_values.py": Target(
        ("tests/codes/test_missing_values.py",), slow="test_a_search_with or test_whole_queries_in_the_same_batch"
    ),
    "assocmem/memory/clique_kernels.py": Target(("tests/memory/test_clique_kernels.py", "tests/memory/test_clique.py")),
    "assocmem/memory/elimination_kernels.py": Target(("tests/memory/test_elimination_kernels.py",)),
    "assocmem/memory/winner_take_all.py": Target(("tests/memory/test_recall.py",), slow="wrong_symbols"),
    "assocmem/memory/recall.py": Target(("tests/memory/test_recall.py",), slow="wrong_symbols"),
    "assocmem/memory/familiarity_kernels.py": Target(("tests/memory/test_familiarity_kernels.py",)),
    "assocmem/search/id_map.py": Target(("tests/search/test_id_map.py",)),
    "assocmem/concepts/statements.py": Target(("tests/concepts/test_statements.py",)),
    "index/ingest/writer.py": Target(("tests/index/ingest/test_writer.py",)),
    "index/store/segments.py": Target(
        ("tests/index/store/test_segments.py", "tests/index/ingest/test_writer.py::" + FIVE_LABELS),
        slow="flipped_bit or fills_up_on_the_way",
    ),
    "index/teach/taught_model.py": Target(
        ("tests/index/teach/test_model_updates.py",),
        compiled=True,
        only=("current_labels", "update", "_load", "_wanted", "_teach"),
    ),
    "index/teach/teaching.py": Target(
        tuple(f"tests/index/teach/test_{name}.py" for name in TEACHING),
        slow="the_same_again or found_by_its_name or merging_of_segments or other_processes or many_examples or killed"
        " or of_the_same_examples or damaged_file",
        compiled=True,
    ),
}


@dataclass
class Mutant:
    """A changed file."""

    module: str
    operator: str
    code: str = field(repr=False)
    diff: str
    was: str
    """the changed lines and those around them, without white space"""
    becomes: str
    outcome: str = ""
    seconds: float = 0


# Making mutants


def candidates(source, only=()):
    """Yield (position, operator's name, operator, occurrence) of what may be mutated, without what changes nothing."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    tree = get_ast(source)
    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if kind.arguments():
            continue
        places = ((node, start) for node in ast_nodes(tree) for start, _ in kind().mutation_positions(node))
        for occurrence, (node, start) in enumerate(places):
            if not _changes_nothing(node) and (not only or _function(node) in only):
                yield start, name.rpartition("/")[2], kind(), occurrence


def _function(node):
    """Return the name of the function or method that a node is in."""
    while node is not None and node.type != "funcdef":
        node = node.parent
    return node and node.name.value


def _changes_nothing(node):
    """Return whether a node is never evaluated, or changes speed only."""
    if node.type == "decorator":
        return node.children[1].get_code().strip().partition("(")[0] in SPEED_ONLY
    if node.type == "if_stmt" and node.children[1].get_code().strip() == "TYPE_CHECKING":
        return True
    if node.parent is not None and node.parent.type == "parameters":
        return True  # the "*" of a signature is no product
    while node.parent is not None:
        parent = node.parent
        if parent.type == "argument" and parent.get_code().strip() == "slots=True":
            return True
        annotation = parent.children[1] if parent.type == "annassign" else getattr(parent, "annotation", None)
        if annotation is not None and node is annotation:
            return True
        if parent.type == "tfpdef" and node is parent.children[2]:
            return True
        node = parent
    return False


def sample(module, source, share, seed):
    """Return (mutants, number of candidates): some for each place first, then more for places chosen already.

    Mutants drawn blindly would be mostly arithmetic operators, which have eleven mutants each.
    """
    from cosmic_ray.mutating import mutate_code

    rng = random.Random(f"{seed} {module}")
    places = {}
    for start, *rest in candidates(source, TARGETS[module].only):
        places.setdefault(start, []).append(rest)
    for choices in places.values():
        rng.shuffle(choices)
    order = sorted(places)
    rng.shuffle(order)
    turns = [
        places[start][turn]
        for turn in range(max(map(len, places.values())))
        for start in order
        if turn < len(places[start])
    ]
    number = max(SMALLEST, round(share * len(turns)))
    original, mutants = ast.dump(ast.parse(source)), {}
    for name, operator, occurrence in turns:
        if len(mutants) == number:
            break
        code = mutate_code(source, operator, occurrence)
        try:
            changed = code is not None and ast.dump(ast.parse(code)) != original
        except SyntaxError:
            changed = False
        if changed:
            mutants.setdefault(code, _mutant(module, name, source, code))
    return list(mutants.values()), len(turns)


def _mutant(module, operator, source, code):
    lines = list(difflib.unified_diff(source.splitlines(), code.splitlines(), module, module, n=2, lineterm=""))
    gone, new = ("".join(line[1:] for line in lines[3:] if line[0] in signs) for signs in (" -", " +"))
    return Mutant(module, operator, code, "\n".join(lines), _squeezed(gone), _squeezed(new))


def _squeezed(text):
    return "".join(text.split())


def equivalents(sources):
    """Return the changes (before, after) that no test can notice, by module; the file says why."""
    found = {module: set() for module in sources}
    for entry in tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutants"]:
        module, was = entry["module"], _squeezed(entry["was"])
        if module not in sources:
            continue
        if was not in _squeezed(sources[module]):
            raise SystemExit(f"{EQUIVALENT.name}: {module} does not contain {entry['was']!r} any more")
        found[module] |= {(was, _squeezed(new)) for new in entry["becomes"]}
    return found


def _is_change(mutant, before, after):
    """Return whether a mutant has one text where the original has another one."""
    place = mutant.was.find(before)
    while place >= 0:
        if mutant.was[:place] + after + mutant.was[place + len(before) :] == mutant.becomes:
            return True
        place = mutant.was.find(before, place + 1)
    return False


# Running tests


class Worker:
    """A process that runs tests in its own copy of the checkout."""

    def __init__(self, folder, *, compiled):
        environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
        environment |= {
            "PYTHONPATH": str(folder),
            "TMPDIR": str(folder.parent),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        environment |= {} if compiled else {"NUMBA_DISABLE_JIT": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "tests/mutant_worker.py"],
            cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, target, limit, path=None, code=None):
        tests = [*target.tests, "--assert=plain", *(("-k", f"not ({target.slow})") if target.slow else ())]
        request = {"tests": tests, "limit": limit, "path": path, "code": code}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{target.tests[0]}: the process that runs the tests has ended; see above")
        return json.loads(answer)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def check_module(module, source, mutants, folders):
    """Run the tests for each mutant of a module; fill ``outcome``."""
    target = TARGETS[module]
    workers = [Worker(folder, compiled=target.compiled) for folder in folders]
    try:
        limits = SimpleQueue()

        def begin(worker):
            worker.run(target, 600)  # compiles what is cached
            found = worker.run(target, 600)
            if found["outcome"] != "passed":
                raise SystemExit(f"{module}: its tests {found['outcome']} without a mutant\n{found['output']}")
            limits.put(found["seconds"])

        with ThreadPoolExecutor(len(workers)) as pool:
            list(pool.map(begin, workers))
            free = SimpleQueue()
            for worker in workers:
                free.put(worker)
            limit = max(target.limit, 5 * max(limits.get() for _ in workers))

            def check(mutant):
                worker = free.get()
                try:
                    found = worker.run(target, limit, module, mutant.code)
                finally:
                    free.put(worker)
                mutant.outcome, mutant.seconds = found["outcome"], found["seconds"]

            list(pool.map(check, mutants))
            for worker in workers:  # what mutants left behind must not be what fails
                found = worker.run(target, 600, module, source)
                if found["outcome"] != "passed":
                    raise SystemExit(f"{module}: its tests {found['outcome']} after the mutants\n{found['output']}")
    finally:
        for worker in workers:
            worker.close()
        for folder in folders:
            (folder / module).write_text(source, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Mutate modules and run their tests.")
    parser.add_argument("--share", type=float, default=0.1, help="share of the mutants of a module that are run")
    parser.add_argument("--seed", default="0", help="chooses the mutants")
    parser.add_argument("--jobs", type=int, default=2, help="copies that run side by side")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="a path, or its end; by default all of the table")
    asked = parser.parse_args()
    modules = [m for m in TARGETS if not asked.modules or any(m.endswith(end) for end in asked.modules)]
    if not modules:
        raise SystemExit(f"no such module; the table has {', '.join(TARGETS)}")
    sources = {module: (ROOT / module).read_text(encoding="utf-8") for module in modules}
    excused = equivalents(sources)
    poor = []
    memory = Path("/dev/shm")  # where there is one: a test that commits waits for the disk most of the time
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        folders = [Path(home, str(job)) for job in range(asked.jobs)]
        for folder in folders:
            leave = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "bench-results")
            shutil.copytree(ROOT, folder, symlinks=True, ignore=leave)
        columns = f"{'of':>6} {'chosen':>7} {'equal':>6} {'killed':>7} {'by time':>8} {'survive':>8}"
        print(f"{'module':40} {columns}   rate")
        for module in modules:
            start = time.monotonic()
            chosen, number = sample(module, sources[module], asked.share, asked.seed)
            mutants = [m for m in chosen if not any(_is_change(m, *change) for change in excused[module])]
            check_module(module, sources[module], mutants, folders)
            alive = [m for m in mutants if m.outcome == "passed"]
            late = sum(m.outcome == "timed out" for m in mutants)
            killed = len(mutants) - len(alive)
            rate = killed / max(1, len(mutants))
            print(
                f"{module:40} {number:6} {len(chosen):7} {len(chosen) - len(mutants):6} {killed:7} {late:8} "
                f"{len(alive):8} {rate:6.0%}  {time.monotonic() - start:.0f} s",
                flush=True,
            )
            poor += [module] if rate < LEAST else []
            diffs = "\n".join(f"# {m.operator}, {m.seconds:.1f} s\n{m.diff}\n" for m in alive)
            SURVIVORS.mkdir(parents=True, exist_ok=True)
            (SURVIVORS / f"{Path(module).stem}.diff").write_text(diffs, encoding="utf-8")
    print(f"survivors: {SURVIVORS}")
    if poor:
        raise SystemExit(f"fewer than {LEAST:.0%} killed: {', '.join(poor)}")


if __name__ == "__main__":
    main()
