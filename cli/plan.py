"""``assocmem plan``: the shape of memory that a number of items needs, and the errors to expect of it."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Annotated

import typer

from assocmem.cli.common import JsonOption, count, emit_json, emit_table, guarded, say, size

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@guarded
def plan(
    items: Annotated[int, typer.Option("--items", min=1, max=10**18, metavar="N", help="How many items to store.")],
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help="Memory it may take: 64MB, 2GiB, or plain bytes.")
    ] = None,
    error: Annotated[str, typer.Option("--error", metavar="SHARE", help="Cues that may fail: 1% or 0.01.")] = "1%",
    erased: Annotated[
        str, typer.Option("--erased", metavar="SHARE", help="How much of an item a cue lacks: 25% or 0.25.")
    ] = "25%",
    sparse: Annotated[bool, typer.Option("--sparse", help="Look at sparse cliques too.")] = False,
    json_: JsonOption = False,
) -> None:
    """Propose a clique memory for a number of items, with its predicted error.

    Example: assocmem plan --items 1000000 --ram 64MB
    """
    memory = None if ram is None else _bytes(ram, "--ram")
    wanted, lacking = _share(error, "--error"), _share(erased, "--erased")
    from assocmem.memory.capacity import plan as propose

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
    """``1 item``, ``1,000,000 items``."""
    return f"{items:,} {'item' if items == 1 else 'items'}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _bytes(text: str, option: str) -> int:
    """``64MB``, ``2GiB``, ``500k``, ``4096`` -> bytes; with an i a step is 1,024, without 1,000."""
    parts = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if not parts or (parts[3] and not parts[2]):
        raise typer.BadParameter(f"expected a size such as 64MB, 2GiB or 4096, found '{text}'", param_hint=option)
    return int(float(parts[1]) * (1024 if parts[3] else 1000) ** _POWERS[parts[2]])


def _share(text: str, option: str) -> float:
    """``1%`` or ``0.01`` -> 0.01."""
    try:
        share = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise typer.BadParameter(
            f"expected a share between 0 and 1, such as 1% or 0.01, found '{text}'", param_hint=option
        )
    return share
