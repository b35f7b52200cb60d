"""``assocmem review``: questions about the pictures whose names would teach most."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    clock,
    count,
    emit,
    emit_json,
    guarded,
    one_line,
    open_collection,
    say,
)
from assocmem.errors import InputError, LockedError

if TYPE_CHECKING:
    from assocmem.index.teach.review import Question, Review

_AT_ONCE = 10
"""Questions with --json unless told otherwise."""


@guarded
def review(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Ask only about these files and folders.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("-n", min=1, metavar="N", help="At most so many questions. With --json 10 by default."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Open each picture in the viewer of this system.")] = False,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Ask about the pictures whose names would teach most, and learn from each answer.

    Each question shows a picture's path and what it may be. Answer y (yes), n (no), a name, s (skip) or q (quit); to
    say a name that is one of these words, or of one letter, put = before it. What was answered before is known, so are
    near copies. It ends by itself when further answers would change little, and says so. With --json, questions are
    printed all at once and nothing is asked; bring the answers by `teach` and `correct`.

    Example: assocmem review -n 20
    """
    with open_collection(collection) as photos:
        sitting = photos.review(paths or ())
        if json_:
            questions = sitting.questions(most or _AT_ONCE)
            emit_json({"questions": [dataclasses.asdict(one) for one in questions], "ended": sitting.ended or None})
            return
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="surrogateescape")  # what is no UTF-8 is no name, and said so
        for asked, question in enumerate(sitting, 1):
            if not _ask(sitting, question, asked, show) or asked == most:
                break
    end = f"; {sitting.ended}" if sitting.ended else ""
    say(f"{count(sitting.answers, 'answer')} learned{end}")


def _ask(sitting: Review, question: Question, number: int, show: bool) -> bool:
    """Put a question until it has an answer; False for no more questions."""
    where = f" at {clock(question.item.start)}" if question.item.start is not None else ""
    emit(f"\n{number}. {one_line(question.item.path)}{where}")
    emit(f"   ({question.why})")
    if show:
        typer.launch(question.item.path)
    guess = "what is this? [name/s/u/q]"
    if question.concept:
        whose = ", as the network calls it" if question.source == "imagenet" else ""
        guess = f"is this {question.concept}{whose} ({question.probability:.0%})? [y/n/name/s/u/q]"
    while True:
        answer = _heard(guess)
        if answer is None or answer.casefold() in ("q", "quit"):
            return False
        try:
            if answer.casefold() in ("u", "undo"):
                last = sitting.back()
                say("   there is no answer to take back" if last is None else "   taken back")
                if last is not None and not _ask(sitting, last, number - 1, show):
                    return False
            elif _taken(sitting, question, answer):
                return True
        except (InputError, LockedError) as error:
            say(f"error: {error}")


def _taken(sitting: Review, question: Question, answer: str) -> bool:
    """Whether an answer was one; tells what was learned."""
    word = answer.casefold()
    if word in ("s", "skip") or (word in ("n", "no") and question.concept is None):
        sitting.skip(question)
        return True
    if word in ("n", "no"):
        sitting.no(question)
        say(f"   learned: not {question.concept}")
        return True
    if word in ("y", "yes") and question.concept is not None:
        sitting.yes(question)
        say(f"   learned: {question.concept}")
        return True
    if not answer.startswith("=") and (len(answer) < 2 or word in ("yes", "undo")):
        say("expected y, n, a name, s, u or q" if question.concept else "expected a name, s, u or q")
        return False
    name = answer.removeprefix("=").strip()
    new = sitting.is_new(name)
    sitting.name(question, name)
    say(f"   learned: a new concept, {name!r} (u takes it back)" if new else f"   learned: {name}")
    return True


def _heard(prompt: str) -> str | None:
    """A line from whoever answers; None at the end."""
    sys.stdout.write(f"   {prompt} ")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        emit("")  # nobody ended the line of the prompt
    return line.strip() if line else None
