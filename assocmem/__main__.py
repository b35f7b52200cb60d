"""``python -m assocmem`` is the same program as ``assocmem``."""

from assocmem.cli.main import main

main()
