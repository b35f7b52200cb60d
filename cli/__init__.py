"""The command line: a thin layer over ``assocmem.open``. Data on stdout, everything else on stderr."""
