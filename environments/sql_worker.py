"""The worker's side of the SQL environment: runs queries that nobody has read before, under the limits of `sql_execution`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..verifiers.sql_execution_worker import Refused, Row
from ..verifiers.sqlite_worker import opened

_LONGEST_CELL = 80


def look(query: str, database: Mapping[str, str], seconds: float, most: int) -> dict[str, Any]:
    """Columns, the number of rows and the first `most` of them; or `reason` and `message` where there is no result."""
    try:
        with opened(database) as select:
            columns, rows = select(query, seconds)
    except Refused as e:
        return {"reason": e.reason, "message": e.explained}
    names, first = [_shown(name) for name in columns], [[_shown(value) for value in row] for row in rows[:most]]
    return {"reason": "", "columns": names, "count": len(rows), "rows": first}


def schema(database: Mapping[str, str]) -> dict[str, Any]:
    """The statements that make the tables and views."""
    query = (
        "SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
        "ORDER BY rowid"
    )
    try:
        with opened(database) as select:
            return {"reason": "", "tables": [" ".join(sql.split()) for (sql,) in select(query, 5.0)[1]]}
    except Refused as e:
        return {"reason": e.reason, "message": e.message}


def compare(query: str, reference: str, database: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """How near the query's rows are to those of the reference; of these it tells nothing else."""
    try:
        with opened(database) as select:
            try:
                wanted = select(reference, seconds, trusted=True)[1]
            except Refused as e:
                reason = e.reason if e.reason == "no_database" else "reference_error"
                return {"reason": reason, "message": f"the reference query failed: {e.reason}"}
            rows = select(query, seconds)[1]
    except Refused as e:
        return {"reason": e.reason, "message": e.message}
    overlap, order = similarity(rows, wanted)
    return {"reason": "", "iou": overlap, "tau": order, "count": len(rows)}


def similarity(rows: Sequence[Row], wanted: Sequence[Row]) -> tuple[float, float | None]:
    """Intersection over union of the rows as multisets of their texts, and Kendall's tau of the common ones.

    Two empty results are alike (1). Tau, the variant b, pairs the n-th common row of one result with the n-th of the
    other and compares them as texts, as InterCode does; it is None where it is not defined: fewer than two different ones.
    """
    ours, theirs = [str(tuple(row)) for row in rows], [str(tuple(row)) for row in wanted]
    common, union = Counter(ours) & Counter(theirs), Counter(ours) | Counter(theirs)
    if not union:
        return 1.0, None
    return common.total() / union.total(), kendall_tau(_common(ours, common), _common(theirs, common))


def kendall_tau(xs: Sequence[str], ys: Sequence[str]) -> float | None:
    """Kendall's tau-b of two orders of the same items, ties allowed; None if no two items differ. In n log n (Knight 1966)."""
    pairs = sorted(zip(xs, ys, strict=True))
    total = len(pairs) * (len(pairs) - 1) // 2
    tied = sum(n * (n - 1) // 2 for n in Counter(xs).values())  # The same in both, since the items are.
    both = sum(n * (n - 1) // 2 for n in Counter(pairs).values())
    if total == tied:
        return None
    discordant = _inversions([y for _, y in pairs])
    return (total - 2 * tied + both - 2 * discordant) / (total - tied)


def _inversions(items: list[str]) -> int:
    """Pairs that stand in the wrong order, counted while the list is sorted by merging."""
    count, width = 0, 1
    while width < len(items):
        for begin in range(0, len(items), 2 * width):
            left, right = items[begin : begin + width], items[begin + width : begin + 2 * width]
            if not right or left[-1] <= right[0]:
                continue
            merged, i = list[str](), 0
            for item in right:
                while i < len(left) and left[i] <= item:
                    merged.append(left[i])
                    i += 1
                count += len(left) - i
                merged.append(item)
            items[begin : begin + 2 * width] = merged + left[i:]
        width *= 2
    return count


def _common(items: Sequence[str], common: Counter[str]) -> list[str]:
    """The items in their order, each as often as it is common."""
    left, kept = common.copy(), list[str]()
    for item in items:
        if left[item] > 0:
            left[item] -= 1
            kept.append(item)
    return kept


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value[:20].hex()}'" + ("..." if len(value) > 20 else "")
    text = str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}..."
