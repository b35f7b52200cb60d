"""``assocmem bench``: measurements anybody can repeat; raw figures are kept."""

from __future__ import annotations

import typer

from assocmem.bench import engines, ingest, startup
from assocmem.bench.capacity import command as capacity
from assocmem.bench.concepts import command as concepts
from assocmem.bench.duplicates import command as duplicates
from assocmem.bench.growth import command as growth
from assocmem.bench.partial import command as partial
from assocmem.bench.recall import command as recall
from assocmem.bench.seen import command as seen

app = typer.Typer(help="Measure this program on this machine.", no_args_is_help=True, rich_markup_mode=None)
app.command()(ingest.ingest)
app.command()(startup.startup)
app.command()(engines.engines)
app.command()(recall.recall)
app.command()(capacity.capacity)
app.command()(seen.seen)
app.command()(partial.partial)
app.command()(duplicates.duplicates)
app.command()(concepts.concepts)
app.command()(growth.growth)
