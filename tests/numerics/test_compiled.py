"""The line that says that kernels are compiled."""

from __future__ import annotations

import logging
from types import SimpleNamespace

from assocmem._numerics import types as compiled


def kernel(folder):
    return SimpleNamespace(stats=SimpleNamespace(cache_path=str(folder)), __module__="assocmem.some", __name__="scan")


def test_a_line_is_logged_once_if_a_kernel_is_not_cached(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(compiled, "_told", set())
    with caplog.at_level(logging.WARNING, "assocmem"):
        compiled.tell_if_new("this", [kernel(tmp_path)], 7)
        compiled.tell_if_new("this", [kernel(tmp_path)], 7)
    assert caplog.messages == ["assocmem compiles the kernels for this: once on this machine, about 7 seconds"]


def test_nothing_is_said_of_kernels_that_are_cached_or_not_compiled(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(compiled, "_told", set())
    (tmp_path / "some.scan-12.py311.nbi").touch()
    with caplog.at_level(logging.WARNING, "assocmem"):
        compiled.tell_if_new("this", [kernel(tmp_path)], 7)
        compiled.tell_if_new("that", [compiled.are_cached], 7)  # a plain function: the compiler is switched off
    assert not caplog.messages
