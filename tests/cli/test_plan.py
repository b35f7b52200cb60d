"""``assocmem plan``: its table, its JSON, and how sizes and shares may be written."""

from __future__ import annotations

import json

import pytest

from assocmem.memory.capacity import plan


@pytest.fixture
def plan_command(run):
    """Run ``assocmem plan`` with these options."""
    return lambda *words, code=0: run("plan", *words, code=code)


@pytest.fixture
def answer(ask):
    """Run ``assocmem plan`` with these options; returns its JSON."""
    return lambda *words: ask("plan", *words)


def test_a_plan_is_a_small_table(plan_command):
    result = plan_command("--items", 1_000_000, "--ram", "128MB")
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    found = plan(1_000_000, memory=128_000_000)
    assert rows == {
        "network": f"{found.clusters} clusters of {found.units:,} units",
        "a cue lacks": f"{found.erased} of {found.active} symbols",
        "memory": f"{found.bytes / 1e6:.1f} MB",
        "density when full": f"{found.density:.3g} with 1,000,000 items",
        "predicted error": f"{100 * found.error:.3g}% of cues, in one round, clusters known",
        "looks stored by chance": f"{found.chance:.2g} of random messages",
        "holds": f"{found.holds:,} items at an error of 1%",
    }
    assert result.stderr == ""


def test_a_plan_as_json_is_the_plan_itself(answer):
    found = plan(5000, memory=10_000_000, error=0.02, erased=0.5)
    shown = answer("--items", 5000, "--ram", "10MB", "--error", "2%", "--erased", "50%")
    assert list(shown) == list(found.__slots__)
    assert shown == {name: getattr(found, name) for name in found.__slots__}


def test_sparse_cliques_name_their_active_clusters(plan_command):
    assert plan(10_000, sparse=True).active == 8
    assert ", 8 of them active" in plan_command("--items", 10_000, "--sparse").stdout


def test_what_does_not_fit_says_what_would(plan_command, answer):
    words = ["--items", 1_000_000, "--ram", "1MB"]
    result = plan_command(*words)
    needed = answer(*words)["needed_bytes"]
    assert result.stderr.startswith("does not fit into 1.0 MB: an error of 1% takes ")
    assert f"(--ram {needed})" in result.stderr
    assert "predicted error\t" in result.stdout
    sparse = plan(1_000_000, sparse=True)
    assert f"sparse cliques take {sparse.bytes / 1e6:.1f} MB (--sparse)" in result.stderr
    assert "--sparse" not in plan_command(*words, "--sparse").stderr
    assert plan_command("--items", 1_000_000, "--ram", needed).stderr == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MB", 64_000_000),
        ("64mb", 64_000_000),
        ("64 MB", 64_000_000),
        ("64M", 64_000_000),
        ("64MiB", 64 * 2**20),
        ("2GiB", 2**31),
        ("1.5GB", 1_500_000_000),
        ("500k", 500_000),
        ("1TB", 10**12),
        ("4096", 4096),
        ("4096B", 4096),
    ],
)
def test_sizes(answer, text, size):
    """With too many items for each size, the plan takes as much memory as it may."""
    found = answer("--items", 10**12, "--ram", text)
    assert found == json.loads(json.dumps({name: getattr(plan(10**12, memory=size), name) for name in found}))


@pytest.mark.parametrize(("percent", "share"), [("1%", "0.01"), ("2.5 %", ".025"), ("50%", "0.5")])
def test_shares_are_percents_or_fractions(answer, percent, share):
    for option in ("--error", "--erased"):
        assert answer("--items", 1000, option, percent) == answer("--items", 1000, option, share)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "Missing option '--items'"),
        (["--items", 0], 2, "--items"),
        (["--items", 9, "--ram", "64XB"], 2, "--ram: expected a size such as 64MB, 2GiB or 4096, found '64XB'"),
        (["--items", 9, "--ram", "iB"], 2, "expected a size such as"),
        (["--items", 9, "--ram", "64i"], 2, "expected a size such as"),
        (["--items", 9, "--ram", "-5"], 2, "expected a size such as"),
        (["--items", 9, "--ram", "9" * 400], 2, "expected a size such as"),
        (["--items", 9, "--error", "25"], 2, "--error: expected a share between 0 and 1, such as 1% or 0.01"),
        (["--items", 9, "--error", "0"], 2, "found '0'"),
        (["--items", 9, "--erased", "a lot"], 2, "--erased: expected a share between 0 and 1"),
        (["--items", 9, "--erased", "nan"], 2, "found 'nan'"),
        (["--items", 9, "--ram", "3"], 1, "memory: expected a whole number, at least 512, found 3"),
        (["--items", 9, "--erased", "99.5%"], 1, "erased: expected a number, 0 to 0.95"),
    ],
)
def test_wrong_use_is_answered_on_stderr(plan_command, words, code, message):
    result = plan_command(*words, code=code)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
