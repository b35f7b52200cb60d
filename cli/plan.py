"""``assocmem plan``: the clique memory that a number of items needs, and the errors to expect of it."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Annotated

import typer

from assocmem.cli.common import JsonOption, guarded
from assocmem.cli.output import count, emit_json, emit_table, say, size

_UNIT_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@guarded
def plan(
    items: Annotated[int, typer.Option("--items", min=1, max=10**18, metavar="N", help="How many items to store.")],
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help="Memory it may take: 64MB, 2GiB, or a number of bytes.")
    ] = None,
    error: Annotated[
        str, typer.Option("--error", metavar="SHARE", help="Share of the cues that may fail: 1% or 0.01.")
    ] = "1%",
    erased: Annotated[
        str, typer.Option("--erased", metavar="SHARE", help="Share of an item that a cue lacks: 25% or 0.25.")
    ] = "25%",
    sparse: Annotated[bool, typer.Option("--sparse", help="Consider sparse cliques too.")] = False,
    json_: JsonOption = False,
) -> None:
    """Propose a clique memory for a number of items.

    It is the smallest memory whose predicted error is at most --error. If it does not fit into --ram, the memory of
    that size with the lowest error is proposed, and a message says how much the task needs.

    Example: assocmem plan --items 1000000 --ram 64MB
    """
    from assocmem.memory.capacity import plan as propose

    memory = None if ram is None else _parse_size(ram, "--ram")
    wanted, lacking = _parse_share(error, "--error"), _parse_share(erased, "--erased")
    found = propose(items, memory=memory, error=wanted, erased=lacking, sparse=sparse)
    if memory is not None and found.needed_bytes is not None:
        other = None if sparse else propose(items, error=wanted, erased=lacking, sparse=True)
        hint = f"; sparse cliques take {size(other.bytes)} (--sparse)" if other else ""
        say(
            f"does not fit into {size(memory)}: an error of {_percent(wanted)} "
            f"takes {size(found.needed_bytes)} (--ram {found.needed_bytes}){hint}"
        )
    if json_:
        emit_json(dataclasses.asdict(found))
    else:
        clusters = f"{found.clusters} clusters of {found.units:,} units"
        if found.active < found.clusters:
            clusters += f", {found.active} of them active"
        rows = [
            ("network", clusters),
            ("a cue lacks", f"{found.erased} of {count(found.active, 'symbol')}"),
            ("memory", size(found.bytes)),
            ("density when full", f"{found.density:.3g} with {_items(items)}"),
            ("predicted error", f"{_percent(found.error)} of cues, in one round, clusters known"),
            ("looks stored by chance", f"{found.chance:.2g} of random messages"),
            ("holds", f"{_items(found.holds)} at an error of {_percent(wanted)}"),
        ]
        emit_table(("", ""), rows)


def _items(items: int) -> str:
    """Format a number of items: ``1 item``, ``1,000,000 items``."""
    return f"{items:,} {'item' if items == 1 else 'items'}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _parse_size(text: str, option: str) -> int:
    """Return the bytes of ``64MB``, ``2GiB``, ``500k`` or ``4096``; a unit with an i counts in steps of 1,024."""
    parts = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if not parts or (parts[3] and not parts[2]):
        raise typer.BadParameter(f"expected a size such as 64MB, 2GiB or 4096, found '{text}'", param_hint=option)
    return int(float(parts[1]) * (1024 if parts[3] else 1000) ** _UNIT_POWERS[parts[2]])


def _parse_share(text: str, option: str) -> float:
    """Return 0.01 for ``1%`` and for ``0.01``."""
    try:
        share = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise typer.BadParameter(
            f"expected a share between 0 and 1, such as 1% or 0.01, found '{text}'", param_hint=option
        )
    return share
