"""The commands of the program: a table of what each is called, where it is defined and what it does.

The list of commands is printed from the table alone. The module of a command is imported when the command is used, so
that ``assocmem --help`` and shell completion import neither numpy nor any part of the engine.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class Entry(NamedTuple):
    """A row of the table."""

    name: str
    target: str
    """``module:attribute`` of a function, or of a Typer with commands of its own"""
    summary: str
    """the first line of the docstring, or the help text of the Typer"""


ENTRIES = (
    Entry("index", "assocmem.cli.index:index", "Index files and folders."),
    Entry("search", "assocmem.cli.search:search", "Find the most similar pictures and video shots."),
    Entry("seen", "assocmem.cli.seen:seen", "Check whether pictures and videos are in the collection."),
    Entry("concepts", "assocmem.cli.concepts:concepts", "Name what files show, or list the taught concepts."),
    Entry("teach", "assocmem.cli.teach:teach", "Teach a concept by examples: a name and pictures that show it."),
    Entry("correct", "assocmem.cli.teach:correct", "Correct what the memory says about files."),
    Entry("forget", "assocmem.cli.teach:forget", "Take back what was taught of a concept."),
    Entry("review", "assocmem.cli.review:review", "Ask about informative pictures, and learn from the answers."),
    Entry("rename", "assocmem.cli.teach:rename", "Give a taught concept another name."),
    Entry("merge", "assocmem.cli.teach:merge", "Merge two taught concepts into one."),
    Entry("history", "assocmem.cli.teach:history", "List all teachings with their numbers."),
    Entry("undo", "assocmem.cli.teach:undo", "Undo teachings by their numbers."),
    Entry("duplicates", "assocmem.cli.duplicates:duplicates", "Find copies among pictures and video shots."),
    Entry("remove", "assocmem.cli.maintain:remove", "Remove files and folders from the collection."),
    Entry("info", "assocmem.cli.info:info", "Show what the collection contains."),
    Entry("plan", "assocmem.cli.plan:plan", "Propose a clique memory for a number of items."),
    Entry("verify", "assocmem.cli.maintain:verify", "Check the collection for damage."),
    Entry("demo", "assocmem.cli.demo:demo", "Try the program on real photographs and clips."),
    Entry("bench", "assocmem.bench.commands:app", "Measure this program on this machine."),
)
"""In the order of the help."""


class LazyCommand(TyperCommand):
    """A command in the list: it has a name and a summary, and loads the real command when it is used."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, help=entry.summary, rich_markup_mode=None)
        self.entry = entry

    def load(self) -> TyperCommand | TyperGroup:
        """Import the module and return the real command."""
        module, attribute = self.entry.target.split(":")
        target = getattr(importlib.import_module(module), attribute)
        holder = typer.Typer(rich_markup_mode=None)
        if isinstance(target, typer.Typer):
            holder.add_typer(target, name=self.entry.name)
        else:
            holder.command(self.entry.name)(target)
        command: TyperCommand | TyperGroup = get_group(holder).commands[self.entry.name]  # type: ignore[assignment]
        return command

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """Parse the arguments by the real command; the context is that of the real command."""
        return self.load().make_context(*arguments, **settings)


class LazyGroup(TyperGroup):
    """The program: a group of the commands in the table."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for entry in ENTRIES:
            self.add_command(LazyCommand(entry))
