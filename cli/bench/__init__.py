"""``assocmem bench``: measurements anybody can repeat; raw figures are kept."""

from __future__ import annotations

import typer

from assocmem.cli.bench import capacity, concepts, duplicates, engines, growth, ingest, partial, recall, seen, startup

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
