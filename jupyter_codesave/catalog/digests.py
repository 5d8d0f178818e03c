"""Many digests in one statement, in the database's own words: 10,000 pass here at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .catalog import Transaction
from .schema import damaged

_BATCH = 2000


def picked(
    tx: Transaction, digests: Iterable[str]
) -> Iterator[tuple[dict[bytes, str], str, tuple[Any, ...]]]:
    """Pick digests, batch by batch: what each is called, the condition, and the values it takes."""
    for batch in batches(digests):
        names = _Names((bytes.fromhex(digest[7:]), digest) for digest in batch)
        if tx.sqlite:
            yield names, f"IN ({','.join('?' * len(names))})", tuple(names)
        else:
            yield names, "= ANY(%s)", (list(names),)


class _Names(dict[bytes, str]):
    """What the digests that were asked for are called."""

    def __missing__(self, key: object) -> str:
        # Rows that are not in their order: SQLite gives one for its neighbour.
        raise damaged(f"it gives {key!r:.60} for another digest")


def batches(digests: Iterable[str]) -> Iterator[list[str]]:
    """Cut many digests into lists that a statement can take."""
    # Sorted, so that no two transactions wait for each other's rows.
    whole = sorted(set(digests))
    for at in range(0, len(whole), _BATCH):
        yield whole[at : at + _BATCH]
