"""Golden data: files that released code wrote, and the answers it gave; every later version must give the same.

Each format has a folder of its own (``v0.1``), which is never written again. ``make.py`` wrote it, ``arrays.py`` and
``commands.py`` ask the questions, ``compare.py`` compares. Only public names of assocmem are used.
"""
