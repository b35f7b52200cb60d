"""Loading the compiled kernels before they are needed, and telling people when that takes long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from assocmem.cli.output import say


def prepare_kernels(*, storing: bool = False) -> None:
    """Load the compiled kernels of a search.

    They are compiled when they are first used on a machine, which takes some seconds; a line on stderr says so.

    Parameters
    ----------
    storing : bool
        Load the kernels that store messages in the memories as well.
    """
    import numpy as np

    from assocmem.codes.winner_codes import CliqueCoder, kernels_cached
    from assocmem.search.exhaustive import Block, ExhaustiveEngine

    if not kernels_cached():
        say("preparing the search kernels (once on this machine, a few seconds) ...")
    coder = CliqueCoder(8, clusters=8)
    feature = np.ones((1, 8), np.float32)
    ExhaustiveEngine(coder, [Block(np.zeros(1, np.int64), coder.encode(feature), feature)]).search(feature, 1)
    if storing:
        from assocmem.index.derived import clique_memory, familiarity

        clique_memory.prepare()
        familiarity.prepare()


@contextlib.contextmanager
def kernels_in_background(then: Callable[[], object] | None = None) -> Iterator[None]:
    """Load the kernels in a thread while the body waits for the decoder and the network; both are done at the end.

    Parameters
    ----------
    then : function, optional
        Called in the same thread after the kernels are loaded.
    """
    errors: list[BaseException] = []

    def load() -> None:
        try:
            prepare_kernels()
            if then is not None:
                then()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=load, name="kernels")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if errors:
        raise errors[0]
