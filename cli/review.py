"""``assocmem review``: questions about the pictures whose names would teach most."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.output import clock, count, emit, emit_json, one_line, say
from assocmem.errors import InputError, LockedError

if TYPE_CHECKING:
    from assocmem.index.teach.review import Question, Review

_JSON_QUESTIONS = 10
"""Number of questions that --json prints by default."""


@guarded
def review(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Ask only about these files and folders.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("-n", min=1, metavar="N", help="Number of questions, at most. Default: no limit; 10 with --json."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Open each picture in the viewer of this system.")] = False,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Ask about informative pictures, and learn from the answers.

    These are the pictures whose names would teach most. Each question shows a path and what the picture may show.
    Answer y (yes), n (no), a name, s (skip), u (undo the last answer) or q (quit). A name that is one of these words or
    a single letter needs = before it. Pictures that were answered before are not asked about again, nor are near copies
    of them. The review ends when further answers would change little, and says so. With --json, questions are printed
    and nothing is asked; give the answers by `assocmem teach` and `assocmem correct`.

    Example: assocmem review -n 20
    """
    with open_collection(collection) as photos:
        session = photos.review(paths or ())
        if json_:
            questions = session.questions(most or _JSON_QUESTIONS)
            emit_json({"questions": [dataclasses.asdict(one) for one in questions], "ended": session.ended or None})
            return
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="surrogateescape")  # a name that is not UTF-8 is refused with a message
        for asked, question in enumerate(session, 1):
            if not _ask(session, question, asked, show) or asked == most:
                break
    end = f"; {session.ended}" if session.ended else ""
    say(f"{count(session.answers, 'answer')} learned{end}")


def _ask(session: Review, question: Question, number: int, show: bool) -> bool:
    """Ask until there is a valid answer; False if the answer was to quit."""
    where = f" at {clock(question.item.start)}" if question.item.start is not None else ""
    emit(f"\n{number}. {one_line(question.item.path)}{where}")
    emit(f"   ({question.why})")
    if show:
        typer.launch(question.item.path)
    guess = "what is this? [name/s/u/q]"
    if question.concept:
        source = ", as the network calls it" if question.source == "imagenet" else ""
        guess = f"is this {question.concept}{source} ({question.probability:.0%})? [y/n/name/s/u/q]"
    while True:
        answer = _read_answer(guess)
        if answer is None or answer.casefold() in ("q", "quit"):
            return False
        try:
            if answer.casefold() in ("u", "undo"):
                last = session.back()
                say("   there is no answer to take back" if last is None else "   taken back")
                if last is not None and not _ask(session, last, number - 1, show):
                    return False
            elif _learn(session, question, answer):
                return True
        except (InputError, LockedError) as error:
            say(f"error: {error}")


def _learn(session: Review, question: Question, answer: str) -> bool:
    """Learn from an answer and print what was learned; False if the answer is invalid."""
    word = answer.casefold()
    if word in ("s", "skip") or (word in ("n", "no") and question.concept is None):
        session.skip(question)
        return True
    if word in ("n", "no"):
        session.no(question)
        say(f"   learned: not {question.concept}")
        return True
    if word in ("y", "yes") and question.concept is not None:
        session.yes(question)
        say(f"   learned: {question.concept}")
        return True
    if not answer.startswith("=") and (len(answer) < 2 or word in ("yes", "undo")):
        choices = "y, n, a name, s, u or q" if question.concept else "a name, s, u or q"
        say(f"expected {choices}; put = before a name that looks like one of the others")
        return False
    name = answer.removeprefix("=").strip()
    new = session.is_new(name)
    session.name(question, name)
    say(f"   learned: a new concept, {name!r} (u takes it back)" if new else f"   learned: {name}")
    return True


def _read_answer(prompt: str) -> str | None:
    """Return a line of input; None at the end of the input."""
    sys.stdout.write(f"   {prompt} ")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        emit("")  # the line of the prompt has no end yet
    return line.strip() if line else None
