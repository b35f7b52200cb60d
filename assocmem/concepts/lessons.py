"""Lessons: what a concept memory is told, and its laws: later sayings stand, order and repetition do not matter.

Knows nothing of how questions are answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, I64
from assocmem._numerics.validation import check_ids, check_name, check_size, check_vectors
from assocmem.concepts.classifiers import Reader
from assocmem.concepts.examples import Examples, Keeper, Saying, Values
from assocmem.errors import InputError, MismatchError, ShapeError, UnknownIdError

LATEST = 2**62
"""Greatest time of a saying, so that there is always a later one."""


class Lessons:
    """What ``ConceptMemory`` stands on; its docstring tells the parameters."""

    def __init__(
        self,
        dim: int,
        metric: Literal["cosine", "l2"] = "cosine",
        *,
        mean: npt.ArrayLike | None = None,
        code_bytes: int | None = None,
        seed: int = 0,
    ) -> None:
        self.dim = check_size("dim", dim, 1)
        if metric not in ("cosine", "l2"):
            raise InputError(f"metric: expected 'cosine' or 'l2', found {metric!r}")
        if code_bytes is not None and (code_bytes := check_size("code_bytes", code_bytes, 1)) > 512:
            raise InputError(f"code_bytes: expected 1 to 512, found {code_bytes}")
        self.metric, self.code_bytes, self.seed = metric, code_bytes, check_size("seed", seed, 0)
        self.mean: F32 | None = None if mean is None else check_vectors(_as_row(mean), dim, "mean", nonzero=False)[0]
        self._examples = Examples(Keeper(self.dim, code_bytes, self.seed))
        self._readers: dict[str, Reader] = {}
        self._names: tuple[str, ...] | None = None

    # what it holds

    def __len__(self) -> int:
        """Examples of concepts, and those only said not to be of one."""
        return len(self._examples)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._examples

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<assocmem.{name}: {len(self.concepts)} concepts, {len(self)} examples of {self.dim} numbers>"

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of all concepts that have an example, sorted."""
        if self._names is None:
            self._names = tuple(sorted(set(self._examples.names())))
        return self._names

    @property
    def counts(self) -> dict[str, int]:
        """Examples of each concept, by name in order."""
        counts = dict.fromkeys(self.concepts, 0)
        for name in self._examples.names():
            counts[name] += 1
        return counts

    @property
    def nbytes(self) -> int:
        """Bytes that examples take: what is kept of each, its id and its concept's number."""
        return len(self) * (self._examples.keeper.bytes + 8 + 4)

    def concept(self, id_: int) -> str | None:
        """Return what an example was last said to be; None when it was only said what it is not.

        Raises
        ------
        UnknownIdError
        """
        saying = self._examples.saying(id_)
        if saying is None:
            raise UnknownIdError(f"id: expected that of an example, found {id_}")
        return saying.concept or None

    # learning

    def teach(
        self, x: F32, concepts: str | Sequence[str], ids: npt.ArrayLike | None = None, *, when: int | None = None
    ) -> I64:
        """Teach examples: what was said of the same ids before no longer stands.

        Parameters
        ----------
        x : float32 (n, dim) or (dim,)
        concepts : str, or n strings
        ids : int64 (n,), optional
        when : int, optional
            Of two sayings about an example, here or in memories that are merged, the later stands. By default, later
            than all before.

        Returns
        -------
        ids : int64 (n,)

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
            Nothing is taught.
        """
        kept, numbers, names, when = self._checked(x, concepts, ids, when)
        for value, id_, name in zip(kept, numbers.tolist(), names, strict=True):
            self._put(id_, value, Saying(when, name))
        return numbers

    def deny(
        self, x: F32, concepts: str | Sequence[str], ids: npt.ArrayLike | None = None, *, when: int | None = None
    ) -> I64:
        """Say what examples are not; what else they were said to be, or not to be, stays.

        Parameters and errors as of ``teach``.
        """
        kept, numbers, names, when = self._checked(x, concepts, ids, when)
        for value, id_, name in zip(kept, numbers.tolist(), names, strict=True):
            known = self._examples.saying(id_) or Saying(when, "")
            concept = "" if known.concept == name else known.concept
            self._put(id_, value, Saying(when, concept, tuple(sorted({*known.denied, name}))))
        return numbers

    def _checked(
        self, x: F32, concepts: str | Sequence[str], ids: npt.ArrayLike | None, when: int | None
    ) -> tuple[Values, I64, list[str], int]:
        rows = check_vectors(x, self.dim, "x", nonzero=self.metric == "cosine")
        names = [concepts] * len(rows) if isinstance(concepts, str) else _as_names(concepts)
        if len(names) != len(rows):
            raise InputError(f"concepts: expected a name for each of {len(rows)} vectors, found {len(names)}")
        checked = {name: check_name(name) for name in dict.fromkeys(names)}
        numbers = content_ids(rows) if ids is None else check_ids(ids, len(rows))
        when = self._examples.clock + 1 if when is None else _check_when(when)
        return self._kept(rows), numbers, [checked[name] for name in names], when

    def _put(self, id_: int, value: Values, saying: Saying) -> None:
        if self._examples.stands(id_, value, saying):
            self._changed([id_])
            self._examples.put(id_, value, saying)

    def unteach(self, ids: npt.ArrayLike) -> None:
        """Take examples out: afterwards the memory is as if they had never been taught.

        Raises
        ------
        UnknownIdError
            One of them is not there; nothing is taken out.
        """
        numbers = check_ids(ids)
        for id_ in numbers.tolist():
            if id_ not in self._examples:
                raise UnknownIdError(f"ids: expected ids of examples, found {id_}; nothing was taken out")
        self._changed(numbers.tolist())
        for id_ in numbers.tolist():
            self._examples.drop(id_)

    def forget(self, concept: str) -> int:
        """Take out all examples of a concept, and what was said not to be it; returns how many examples.

        Raises
        ------
        InputError
            There is no such concept.
        """
        self.check_known(concept)
        return self._replace(concept, None)

    def rename(self, concept: str, name: str) -> int:
        """Give a concept another name; when there is one of that name, the two become one. Returns how many examples.

        Raises
        ------
        InputError
            There is no such concept, or the name is none.
        """
        self.check_known(concept)
        return self._replace(concept, check_name(name))

    def check_known(self, concept: str) -> None:
        """Raise InputError unless a concept has an example."""
        if concept not in self.concepts:
            raise InputError(f"concept: expected one of {len(self.concepts)} that were taught, found {concept!r}")

    def _replace(self, concept: str, name: str | None) -> int:
        """Say of everything that was said to be, or not to be, a concept that it is another, or nothing."""
        table = self._examples
        mine = [i for i, s in zip(table.ids, table.sayings, strict=True) if concept in (s.concept, *s.denied)]
        self._changed(mine)
        count = 0
        for id_ in mine:
            saying, value = table.saying(id_), table.value(id_).copy()
            assert saying is not None
            count += saying.concept == concept
            said = (name or "") if saying.concept == concept else saying.concept
            others = (name if other == concept else other for other in saying.denied)
            denied = {other for other in others if other and other != said}
            if said or denied:
                table.put(id_, value, Saying(saying.when, said, tuple(sorted(denied))))
            else:
                table.drop(id_)
        return count

    def __ior__(self, other: Lessons) -> Self:
        """Take over another memory's examples; what was said last of one stands. Twice is once, in any order.

        Raises
        ------
        MismatchError
            It was made with other settings.
        """
        if not isinstance(other, Lessons):
            return NotImplemented
        if self.settings != other.settings:
            raise MismatchError(f"expected a concept memory made with {self.settings}, found {other.settings}")
        if other is not self:
            self._changed([i for i in other._examples.ids if i in self._examples])
            self._examples.unite(other._examples)
            self._changed([])
        return self

    @property
    def settings(self) -> dict[str, object]:
        """What it was made with; memories that are to be merged need the same."""
        mean = None if self.mean is None else hashlib.blake2b(self.mean.tobytes(), digest_size=8).hexdigest()
        return {"dim": self.dim, "metric": self.metric, "code_bytes": self.code_bytes, "seed": self.seed, "mean": mean}

    def _changed(self, ids: list[int]) -> None:
        """What is read of these examples, before they change, no longer holds."""
        self._names = None
        for reader in self._readers.values():
            reader.changed(ids)

    def _kept(self, x: F32) -> Values:
        """Vectors as examples are kept."""
        rows = check_vectors(x, self.dim, "x", nonzero=self.metric == "cosine")
        with np.errstate(over="ignore"):
            kept = self._examples.keeper.keep(self._prepared(rows))
        if self.code_bytes is None and not np.isfinite(kept).all():
            raise InputError("x: expected values up to 65504, found greater ones; scale them")
        return kept

    def _prepared(self, rows: F32) -> F32:
        if self.metric == "cosine":
            lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
            rows = (rows / lengths[:, None]).astype(np.float32)
        return rows if self.mean is None else rows - self.mean


def content_ids(rows: F32) -> I64:
    """Return ids made of the vectors' bytes, int64 (n,), from 0 to 2**63 - 1."""
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.asarray((np.frombuffer(digests, "<u8") >> np.uint64(1)).astype(np.int64))


def _as_row(mean: npt.ArrayLike) -> F32:
    try:
        row = np.ascontiguousarray(mean, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"mean: expected numbers, found {error}") from error
    if row.ndim != 1:
        raise ShapeError(f"mean: expected one vector, found shape {row.shape}")
    return row


def _as_names(concepts: Sequence[str]) -> list[str]:
    names = list(concepts) if isinstance(concepts, Iterable) else [concepts]
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"concepts: expected a name, or one for each vector, found {type(name).__name__}")
    return names


def _check_when(when: int) -> int:
    if not isinstance(when, int | np.integer) or isinstance(when, bool) or abs(int(when)) > LATEST:
        raise InputError(f"when: expected a whole number from -2**62 to 2**62, found {when!r}")
    return int(when)
