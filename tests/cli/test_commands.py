"""The table of commands: it agrees with the commands, and listing them imports nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from assocmem.cli.commands import ENTRIES
from assocmem.cli.main import app
from tests.cli.processes import program

HEAVY = {"numpy", "numba", "h5py", "onnxruntime", "PIL", "av", "cv2", "rich", "sqlite3"}
LIGHT = {
    "assocmem",
    "assocmem._compat",
    "assocmem.errors",
    "assocmem.cli",
    "assocmem.cli.main",
    "assocmem.cli.commands",
}


# The program ends by os._exit, which would skip everything that comes after it.
REPORT_MODULES = """
import os, sys
os._exit = sys.exit
sys.argv[0] = "assocmem"
from assocmem.cli.main import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported_by(*words, **environment):
    """Return the names of all modules in a process of the program, and what it prints."""
    _, environment = program(**environment)
    command = [sys.executable, "-c", REPORT_MODULES, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(done.stderr.split()), done.stdout


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--help"], {}),
        (["--version"], {}),
        (
            [],
            {
                "_ASSOCMEM_COMPLETE": "complete_bash",
                "COMP_WORDS": "assocmem ver",
                "COMP_CWORD": "1",
                "COMP_LINE": "assocmem ver",
            },
        ),
    ],
)
def test_what_needs_no_command_imports_no_part_of_the_engine(words, environment):
    modules, printed = imported_by(*words, **environment)
    assert printed
    assert not HEAVY & modules
    assert {name for name in modules if name.split(".")[0] == "assocmem"} <= LIGHT


def test_the_check_of_imports_sees_what_a_command_imports():
    modules, _ = imported_by("bench", "--help")
    assert {"numpy", "assocmem.bench.commands"} <= modules


def test_the_benchmarks_are_loaded_only_when_called():
    modules, printed = imported_by("search", "--help")
    assert "QUERY" in printed
    assert "assocmem.cli.search" in modules
    assert not {name for name in modules if name.startswith("assocmem.bench")}
    assert not HEAVY & modules


def loaded():
    """Return the whole program, with every command loaded."""
    program = typer.main.get_command(app)
    program.commands = {name: command.load() for name, command in program.commands.items()}
    return program


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_summary_is_the_first_line_of_the_docstring(entry):
    command = loaded().commands[entry.name]
    assert entry.summary == command.help.splitlines()[0]
    assert command.name == entry.name


@pytest.mark.parametrize("columns", ["40", "60", "100"])
def test_the_help_is_that_of_the_loaded_commands(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    printed = []
    for group in (typer.main.get_command(app), loaded()):
        group.main(["--help"], prog_name="assocmem", standalone_mode=False)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "bench" in printed[0]


def test_no_summary_is_cut_off(run):
    assert "..." not in run("--help").stdout.split("Commands:")[1]
