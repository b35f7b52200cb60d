"""Reads the documents and runs what they show: code blocks, command lines, links.

Blocks run in a small world: a home with pictures and videos, a quick stand-in for the network, and a working folder
with the files that the documents name.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import shlex
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from assocmem.cli.main import app
from tests import reference
from tests.fakes import ColourExtractor, kin, picture
from tests.media import scenes, write_video

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {"sh", "python", "json", "text"}
"""``sh`` and ``python`` are run; ``json`` is parsed; ``text`` is output, or a drawing."""
NOT_RUN = {"demo", "bench"}
"""Commands whose words are checked only: running them takes minutes, and other tests do."""
ANSWERS = "stone\ny\nn\ns\nq\n"
"""What is typed into ``assocmem review``."""

_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`(assocmem [^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^()\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced code block of a document."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def documents() -> list[Path]:
    """Return every document that people read, but for the generated command reference."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    return [page for page in pages if page.name != "commands.md"]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a document; directives of the site, such as ``{toctree}``, are left out."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = Block(str(page.relative_to(ROOT)), line, match["language"].strip(), match["text"])
        if not block.language.startswith("{"):
            found.append(block)
    return found


def inline_commands(page: Path) -> list[str]:
    """Return the command lines that a document mentions in its sentences and tables."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(match.split()) for match in _INLINE.findall(text)]


def links(page: Path) -> list[str]:
    """Return the targets of a document's links and pictures that are not on the web."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [inline or reference for inline, reference in _LINK.findall(text)]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and the site make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def modules_with_examples() -> list[str]:
    """Return the names of the package's modules whose docstrings show a session of the interpreter."""
    found = []
    for folder in ("assocmem", "bench", "cli", "data", "extractors", "index"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if ">>> " in path.read_text(encoding="utf-8"):
                found.append(".".join(parts if parts[0] == "assocmem" else ("assocmem", *parts)))
    return found


@functools.cache
def _options() -> dict[tuple[str, ...], set[str]]:
    """Return the options of every command, by the words that call it; of a group of commands, none."""
    found = {("bench",): {"--help"}, (): {"--help", "--version", "--install-completion", "--show-completion"}}
    for words, command in reference.commands():
        found[tuple(words)] = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    return found


def check_command(words: list[str]) -> None:
    """Assert that a command line names a command of the program, and options that it has."""
    line, known = shlex.join(words), _options()
    count = next(count for count in (2, 1, 0) if tuple(words[1 : 1 + count]) in known and len(words) > count)
    called, rest = tuple(words[1 : 1 + count]), words[1 + count :]
    if called in ((), ("bench",)):
        assert all(word.startswith("-") for word in rest), f"{line}: no such command"
    for word in rest:
        if re.fullmatch(r"-[a-z]|--[a-z-]+", word):
            assert word in known[called], f"{line}: no option {word}"


class World:
    """A home, a working folder, and a way to run the blocks of a document in them."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        home, work = folder / "home", folder / "work"
        _fill_home(home)
        _fill_work(work, home)
        self._environment = {"ASSOCMEM_COLLECTION": str(folder / "photos.amem"), "COLUMNS": "100", "HOME": str(home)}
        for name, value in self._environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(work)
        monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda spec="", **_: _named(spec))
        monkeypatch.setattr("webbrowser.open", lambda url: True)

    def run(self, block: Block) -> None:
        """Run one block; an assertion names its place."""
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
        elif block.language == "sh":
            for line in block.text.splitlines():
                self.run_line(line, str(block))

    def run_line(self, line: str, where: str = "") -> str:
        """Run one line of a shell block; return what it printed."""
        words = [path for word in shlex.split(line, comments=True) for path in _expanded(word)]
        if not words:
            return ""
        if words[0] == "assocmem":
            return self._run_program(words, f"{where}: {line}")
        _check_tool(words, f"{where}: {line}")
        return ""

    def _run_program(self, words: list[str], where: str) -> str:
        check_command(words)
        if words[1] in NOT_RUN:
            return ""
        done = CliRunner().invoke(app, words[1:], env=self._environment, input=ANSWERS)
        expected = (0, 3) if words[1] == "seen" else (0,)
        assert done.exit_code in expected, f"{where}\n{done.output}\n{done.exception!r}"
        return done.stdout


def _check_tool(words: list[str], where: str) -> None:
    """Assert that a line for another program than ours names something that exists."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets, f"{where}: no target {words[1]}"
    elif words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        place = re.fullmatch(r"(?:\.|assocmem)(?:\[(.+)\])?", words[2])
        assert place, f"{where}: expected the checkout or the package"
        extras = place[1].split(",") if place[1] else []
        assert set(extras) <= set(project["optional-dependencies"]), f"{where}: no such extra"
    else:
        assert Path(words[0]).name == "python", where
        modules = ("pytest", "tests.mutants", "tests.picture", "tests.reference")
        assert words[1] == "-m", where
        assert words[2] in modules, where


def _expanded(word: str) -> list[str]:
    """Expand ``~`` and wildcards of paths, as a shell does."""
    path = os.path.expanduser(word)
    return sorted(glob.glob(path)) or [path] if "*" in path and os.sep in path else [path]


def _named(spec: str) -> ColourExtractor:
    extractor = ColourExtractor()
    extractor.name = spec
    return extractor


def _noisy(seed: int, noise: int) -> Image.Image:
    """A picture of a place; two with other noise are alike, and no copies."""
    grain = np.random.default_rng(noise).integers(-70, 70, (72, 96, 3))
    return Image.fromarray((np.asarray(picture(seed)) + grain).clip(0, 255).astype(np.uint8))


def _fill_home(home: Path) -> None:
    for folder in ("Bello", "sorted/lighthouse", "sorted/tower"):
        (home / "Pictures" / folder).mkdir(parents=True)
    for folder in ("Videos", "Downloads", "Backup"):
        (home / folder).mkdir()
    for seed in range(10, 22):
        picture(seed).save(home / "Pictures" / f"other{seed}.png")
    for which in range(3):
        kin(40, which).save(home / "Pictures" / "Bello" / f"{which}.png")
        kin(41, which).save(home / "Pictures" / "sorted" / "lighthouse" / f"{which}.png")
        kin(42, which).save(home / "Pictures" / "sorted" / "tower" / f"{which}.png")
    picture(10).save(home / "Downloads" / "copy.jpg", quality=80)
    picture(50).save(home / "Downloads" / "new.jpg", quality=95)
    picture(11).save(home / "Backup" / "other11.jpg", quality=80)
    write_video(home / "Videos" / "clip.mp4", scenes([30, 30]))


def _fill_work(work: Path, home: Path) -> None:
    work.mkdir()
    for which, name in enumerate("abcd"):
        _noisy(1, which).save(work / f"{name}.jpg", quality=95)
    for name, seed in (("photo", 12), ("query", 13), ("tower", 2), ("found", 14), ("x", 3), ("new", 51)):
        picture(seed).save(work / f"{name}.jpg", quality=90)
    shutil.copy(home / "Videos" / "clip.mp4", work / "clip.mp4")
