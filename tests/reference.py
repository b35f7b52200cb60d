"""Write the command reference from the program: ``python -m tests.reference > docs/commands.md``.

It reads the parameters of the commands instead of the printed help, whose layout depends on the version of Typer.
"""

from __future__ import annotations

import inspect
import sys

import typer.main

from assocmem.cli.main import app

HEAD = """\
# Commands

Generated from the program by `make docs`; a test compares it with the program.
Exit codes: 0 success; 1 failure, or an invalid value; 2 wrong usage; 3 `seen` found a file that was not seen; 130
interrupted. Data goes to stdout, everything else to stderr.
"""


def commands():
    """Yield (words, command) for every command, loaded, in the order of the help."""
    for name, lazy in typer.main.get_command(app).commands.items():
        command = lazy.load()
        inner = getattr(command, "commands", None)
        if inner is None:
            yield [name], command
        else:
            yield from (([name, word], sub) for word, sub in inner.items())


def _is_option(parameter):
    return parameter.param_type_name == "option" and parameter.name != "help"


def _argument_name(argument):
    name = argument.metavar.removesuffix("...").strip("[]") + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _paragraphs(text):
    """Yield the paragraphs of a docstring, each on one line; examples as code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        line = " ".join(paragraph.split())
        yield f"Example: `{line.removeprefix('Example: ')}`" if line.startswith("Example: ") else line


def _option_line(option):
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
    value = "" if option.is_flag or not option.metavar else f" `{option.metavar}`"
    default = option.default
    shown = "" if option.is_flag or default is None or callable(default) else f" Default: {default}."
    return f"- {names}{value}: {option.help}{shown}\n"


def render():
    """Return the whole document."""
    parts = [HEAD]
    for words, command in commands():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if _is_option(p)]
        usage = " ".join(["assocmem", *words, *map(_argument_name, arguments), *(["[OPTIONS]"] if options else [])])
        parts.append(f"\n## assocmem {' '.join(words)}\n\n    {usage}\n")
        parts += [f"\n{paragraph}\n" for paragraph in _paragraphs(command.help)]
        parts.append("\n")
        parts += [f"- `{_argument_name(p)}`: {p.help}\n" for p in arguments]
        parts += [_option_line(option) for option in options]
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
