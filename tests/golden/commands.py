"""The program: a fixed list of commands, run in this order on a fresh copy of the fixture's collection.

``{root}`` in a command is the folder of the copy. In answers it is written ``/golden``, so is it in the fixture's
catalog. What differs from run to run (times, sizes on disk) is replaced, what may be reworded is not compared.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.golden.collection import GOLDEN

TOLERANCE = 2e-3
"""The network's floats differ between processors; questions whose order depends on less are not asked."""
VARYING = {"elapsed_ms", "elapsed_s", "disk_bytes"}
REWORDED = {"why", "ended"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.+:Z-]*")
_NUMBER = re.compile(r"-?\d+\.\d+")


def _steps(text: str) -> list[list[str]]:
    """One command per line; ``|`` between words that hold spaces, if any do."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return [line.split("|") if "|" in line else line.split() for line in lines]


# A word before the command says how it is run or what counts: `process` runs it as a process of its own, `prose` says
# that only the exit code counts (the text may be reworded), `answers:` what is typed. `delete` is no command.
GROUPS = {
    "questions": _steps("""
        process --version
        process info --json
        process search {root}/pictures/clock.png -k 3 --json
        process seen {root}/pictures/clock.png {root}/others/stranger.jpg --json
        process prose search
        info --failures --json
        verify --json
        index {root}/pictures --json
        search {root}/pictures/photo1.png -k 3
        search {root}/others/altered.jpg -k 3 --json
        search {root}/others/altered.jpg -k 3 --exact --json
        search {root}/others/altered.jpg -k 2 --effort 0.5 --json
        search {root}/others/altered.jpg -k 2 --mask 0,0,0.5,0.5 --json
        search {root}/others/clip2.mp4 -k 2 --json
        search {root}/others/clip2.mp4 -k 2
        search|analog clock|-k|3|--json
        search analog clock -k 3
        search timepiece -k 2 --json
        search dial -k 4 --json
        search instrument -k 2 --json
        search|honey things|-k|2|--json
        prose search flugelhornet
        prose search {root}/others/none.png
        prose search {root}/pictures
        prose search {root}/pictures/clock.png --exact --effort 0.5
        prose search dial --mask 0,0,1,1
        concepts {root}/pictures/clock.png -k 1 --json
        concepts {root}/pictures/clock.png -k 1
        concepts {root}/others/honey2.png {root}/others/stranger.jpg -k 1 --json
        concepts --json
        concepts
        seen {root}/pictures/clock.png {root}/pictures/clip.mp4
        seen {root}/others/altered.jpg {root}/others/flag.png {root}/others/sorted/ovals/c.jpg
        seen {root}/pictures/broken.jpg --json
        duplicates
        duplicates --json
        duplicates --similar {root}/pictures/photo1.png {root}/pictures/copies {root}/pictures/photo5.jpg --json
        duplicates --least 1.2 {root}/pictures --json
        duplicates --of {root}/others/altered.jpg --json
        duplicates {root}/pictures/photo1.png {root}/pictures/clock.png --against {root}/pictures/copies --json
        prose duplicates --of {root}/others/altered.jpg --against {root}/pictures
        plan --items 1000000 --ram 64MB --json
        plan --items 5000 --error 5% --erased 0.5 --sparse --json
        prose plan --items 0
        review -n 2 --json
        history --json
        history dial
        prose teach
        prose correct {root}/pictures/clock.png
        prose remove
        prose no-such-command
        """),
    "teaching": _steps("""
        teach kite {root}/pictures/kite.png --json
        teach kite {root}/pictures/kite.png --json
        teach flag {root}/others/flag.png --json
        teach kite {root}/others/honey2.png --parent instrument --json
        teach --folders {root}/others/sorted --json
        teach kite {root}/others/none.png --json
        concepts --json
        correct|{root}/others/honey2.png|--not|kite|--is|honey things|--json
        correct {root}/pictures/photo3.jpg --not wool --json
        concepts {root}/pictures/photo3.jpg -k 1 --json
        forget texture {root}/pictures/photo2.png --json
        forget flag --json
        forget flag --json
        prose rename kite dragon
        prose rename nothing something
        prose merge dragon dial
        concepts --json
        prose undo 1
        prose undo 2-3 4
        prose undo 900
        prose teach dial --parent clock
        answers:n,s,my&name,q review -n 5
        history --json
        history dial --json
        concepts {root}/pictures/kite.png -k 1 --json
        search dial -k 3 --json
        search clock -k 3 --json
        info --json
        verify --json
        """),
    "changes": _steps("""
        process index {root}/others/kite2.png --json
        search {root}/others/kite2.png -k 2 --json
        index {root}/pictures {root}/others --threads 1 --json
        seen {root}/others/stranger.jpg --json
        duplicates --json
        remove {root}/others/stranger.jpg {root}/pictures/copies --json
        delete {root}/pictures/honey.png
        remove --missing --json
        remove {root}/pictures/honey.png --json
        duplicates --json
        info --json
        verify --json
        index {root}/pictures/copies --json
        index -c {root}/new.amem {root}/pictures/clip.mp4 {root}/pictures/clock.png --json
        info -c {root}/new.amem --json
        duplicates -c {root}/new.amem --other {root}/photos.amem --json
        teach -c {root}/new.amem dial {root}/pictures/clock.png --json
        history -c {root}/new.amem --json
        verify -c {root}/new.amem --json
        concepts -c {root}/void.amem {root}/pictures/clock.png -k 1 --json
        search -c {root}/void.amem {root}/pictures/clock.png --json
        info -c {root}/void.amem --json
        index {root}/pictures/broken.jpg -c {root}/void.amem --json
        """),
}


def run_group(name: str, root: Path) -> Iterator[dict[str, Any]]:
    """Run a group of commands; yields what each answered."""
    for words in GROUPS[name]:
        if words[0] == "delete":
            Path(words[1].format(root=root)).unlink()
        else:
            yield _answer(words, root)


def environment(root: Path) -> dict[str, str]:
    """What the program is run with."""
    return {"ASSOCMEM_COLLECTION": str(root / "photos.amem"), "COLUMNS": "100", "LOGNAME": "golden"}


def _answer(words: list[str], root: Path) -> dict[str, Any]:
    argv, ways, typed = list(words), set(), ""
    while argv[0] in ("process", "prose") or argv[0].startswith("answers:"):
        ways.add(way := argv.pop(0))
        if way.startswith("answers:"):
            ways.add("prose")
            typed = way.removeprefix("answers:").replace("&", " ").replace(",", "\n") + "\n"
    asked = [word.format(root=root) for word in argv]
    code, out, err = _as_process(asked, root) if "process" in ways else _inside(asked, root, typed)
    answer: dict[str, Any] = {"command": " ".join(words), "exit": code}
    if code == 1 and not out:
        answer["named"] = any(line.startswith("error: ") for line in err.splitlines())
    if "Traceback" in err:
        raise AssertionError(err)
    if "--json" in argv:
        answer["json"] = None if not out else normal(json.loads(out), root)
    elif argv == ["--version"]:
        answer["named"] = bool(re.fullmatch(r"assocmem \d+\.\d+\.\S+\n", out))
    elif "prose" not in ways:
        answer["lines"] = [[_cell(cell, root) for cell in line.split("\t")] for line in out.splitlines()]
    return answer


def _as_process(argv: list[str], root: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "assocmem", *argv],
        env=os.environ | environment(root), cwd=root, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def _inside(argv: list[str], root: Path, typed: str) -> tuple[int, str, str]:
    from typer.testing import CliRunner

    from assocmem.cli.main import app

    result = CliRunner().invoke(app, argv, input=typed, env=environment(root))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def normal(value: Any, root: Path, key: str = "") -> Any:
    """JSON without what differs from run to run; keys stay."""
    if key in VARYING:
        return "number" if isinstance(value, int | float) else value
    if key in REWORDED and isinstance(value, str):
        return "words"
    if isinstance(value, dict):
        return {name: normal(one, root, name) for name, one in value.items()}
    if isinstance(value, list):
        return [normal(one, root) for one in value]
    return _words(value, root) if isinstance(value, str) else value


def _words(text: str, root: Path) -> str:
    return _TIME.sub("<time>", text.replace(str(root), GOLDEN))


def _cell(text: str, root: Path) -> str | float:
    return float(text) if _NUMBER.fullmatch(text) else _words(text, root)
