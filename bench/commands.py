"""``assocmem bench``: the commands of the benchmarks, put together. Raw figures are always kept."""

from __future__ import annotations

import typer

from assocmem.bench.capacity.command import capacity
from assocmem.bench.concepts.command import concepts
from assocmem.bench.duplicates.command import duplicates
from assocmem.bench.engines import engines
from assocmem.bench.growth.command import growth
from assocmem.bench.ingest import ingest
from assocmem.bench.partial.command import partial
from assocmem.bench.recall.command import recall
from assocmem.bench.seen.command import seen
from assocmem.bench.startup import startup

app = typer.Typer(help="Measure this program on this machine.", no_args_is_help=True, rich_markup_mode=None)
for command in (ingest, startup, engines, recall, capacity, seen, partial, duplicates, concepts, growth):
    app.command()(command)
