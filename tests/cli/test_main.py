"""The program as a whole: version, shell completion, and its quick exit."""

from __future__ import annotations

import subprocess

import pytest

import assocmem
from tests.cli.processes import program


def test_version(run):
    assert run("--version").stdout.strip() == f"assocmem {assocmem.__version__}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script(shell):
    # Without the variable, the program looks for the shell that has started it: here, the one that runs the tests.
    command, environment = program("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"_ASSOCMEM_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("assocmem ver", ["verify"]),
        ("assocmem re", ["review", "rename", "remove"]),
        ("assocmem search --m", ["--mask"]),
        ("assocmem bench re", ["recall"]),
        ("assocmem bench recall --en", ["--engines"]),
    ],
)
def test_completions(line, completions):
    number = str(len(line.split(" ")) - 1)
    command, environment = program(
        _ASSOCMEM_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=number, COMP_LINE=line
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == completions


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["info", "-c", "/nowhere/x.amem"], 1), (["x"], 2)])
def test_the_quick_exit_keeps_output_and_exit_code(words, code):
    command, environment = program(*words)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stdout if code == 0 else done.stderr).strip()
