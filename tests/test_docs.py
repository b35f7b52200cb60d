"""The code that the documents show does what they say."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_code_of_the_memory_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "memory.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        assert "assert" in block
        exec(compile(block, "memory.md", "exec"), {})
