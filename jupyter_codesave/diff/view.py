"""What a person sees of two aligned notebooks: each cell's change, noise left aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .align import Alignment
from .noise import CELL_METADATA, visible_metadata, visible_outputs
from .normalize import KEYS_OF_CELL, Json


@dataclass(frozen=True)
class View:
    """What a person sees of an alignment."""

    base: Sequence[Json]
    head: Sequence[Json]
    differing: frozenset[int]  # cells of base that are not equal to what they are paired with
    noise: bool  # is noise a change?
    session: bool
    session_is_base: bool
    superseded: frozenset[int]

    def cells(self, alignment: Alignment) -> list[Json]:
        """`[{"change", "base", "head", "fields"}]` in the order of display."""
        moved_from = {i for i, _ in alignment.moves}
        moved_to = {j: i for i, j in alignment.moves}
        seen: list[Json] = []
        none: list[str] = []  # one list for all that nothing was done to
        i = j = 0
        for p, q, n in [*alignment.blocks, (len(self.base), len(self.head), 0)]:
            seen += [self._removed(k) for k in range(i, p) if k not in moved_from]
            for k in range(j, q):
                seen.append(self._moved(moved_to[k], k) if k in moved_to else self._added(k))
            i, j = p + n, q + n
            seen += [
                self._modified(k, q - p + k)
                if k in self.differing
                else {"change": "unchanged", "base": k, "head": q - p + k, "fields": none}
                for k in range(p, i)
            ]
        return seen

    def _modified(self, i: int, j: int) -> Json:
        fields = self._fields(self.base[i], self.head[j])
        change = "modified" if fields else "unchanged"
        return {"change": change, "base": i, "head": j, "fields": fields}

    def _moved(self, i: int, j: int) -> Json:
        if self.session:
            return self._modified(i, j)
        fields = self._fields(self.base[i], self.head[j])
        return {"change": "moved", "base": i, "head": j, "fields": fields}

    def _removed(self, i: int) -> Json:
        return self._alone("removed", i, None, self.base[i], self.session_is_base)

    def _added(self, j: int) -> Json:
        return self._alone("added", None, j, self.head[j], not self.session_is_base)

    def _alone(
        self, change: str, i: int | None, j: int | None, cell: Json, of_session: bool
    ) -> Json:
        entry: Json = {"change": change, "base": i, "head": j, "fields": []}
        if self.session and of_session and (i if j is None else j) in self.superseded:
            entry["superseded"] = True
        if (
            self.session
            and not of_session
            and (cell["cell_type"] != "code" or not cell["source"].strip())
        ):
            entry["change"] = "unchanged"  # what does not run was not left out of a run
        return entry

    def _fields(self, base: Json, head: Json) -> list[str]:
        if base == head:
            return []
        fields = []
        if base["source"] != head["source"] or base.get("attachments") != head.get("attachments"):
            fields.append("source")
        if self._outputs_changed(base, head):
            fields.append("outputs")
        if self._metadata_changed(base, head):
            fields.append("metadata")
        return fields

    def _outputs_changed(self, base: Json, head: Json) -> bool:
        old, new = base.get("outputs"), head.get("outputs")
        if self.noise:
            return old != new or base.get("execution_count") != head.get("execution_count")
        if old == new or old is None or new is None:
            return False
        return visible_outputs(old) != visible_outputs(new)

    def _metadata_changed(self, base: Json, head: Json) -> bool:
        if self.noise:
            return bool(base["metadata"] != head["metadata"] or base["id"] != head["id"])
        if self.session:
            return False
        if base["metadata"] != head["metadata"] and visible_metadata(
            base["metadata"], CELL_METADATA
        ) != visible_metadata(head["metadata"], CELL_METADATA):
            return True
        if base.keys() <= KEYS_OF_CELL and head.keys() <= KEYS_OF_CELL:
            return False
        return _others(base) != _others(head)


def _others(cell: Json) -> Json:
    return {k: v for k, v in cell.items() if k not in KEYS_OF_CELL}
