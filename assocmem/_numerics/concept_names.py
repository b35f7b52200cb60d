"""What a concept may be called. Knows no memory."""

from __future__ import annotations

import unicodedata

from assocmem.errors import InputError

LONGEST = 200


def check_name(name: str) -> str:
    """Return a name with its white space put in order, in Unicode's composed form.

    Raises
    ------
    InputError
        Not text, empty, longer than 200 characters, with control characters, or without any letter, digit or symbol.

    Examples
    --------
    >>> check_name("  Aunt   Klara ")
    'Aunt Klara'
    """
    if not isinstance(name, str):
        raise InputError(f"concept: expected a name, found {type(name).__name__}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"concept: expected text, found {name!r}, which is no UTF-8") from error
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if not tidy or not any(unicodedata.category(character)[0] in "LNS" for character in tidy):
        raise InputError(f"concept: expected a name with a letter or a digit in it, found {name!r}")
    if any(unicodedata.category(character)[0] == "C" and character not in "\u200c\u200d" for character in tidy):
        raise InputError(f"concept: expected a name without control characters, found {name!r}")
    if len(tidy) > LONGEST:
        raise InputError(f"concept: expected a name of at most {LONGEST} characters, found {len(tidy)}")
    return tidy
