"""Clique memories and their oracles, for tests."""

from __future__ import annotations

from assocmem.memory.clique import CliqueMemory
from tests.naive_memory import CliqueNetwork


def memory_of(shape, *batches):
    """Return a memory of this shape (clusters, units, active) that has stored some batches of messages."""
    memory = CliqueMemory(shape[0], shape[1], active=shape[2])
    for batch in batches:
        memory.store(batch)
    return memory


def network_of(shape, stored):
    """Return the oracle of the same memory."""
    network = CliqueNetwork(*shape)
    network.store(stored)
    return network
