"""Plans of queries: where they read which table, and what an index does for it.

Note [Whether an index serves, not whether it is cheaper]
    Which plan is the cheapest depends on the few rows of a test, on statistics, and on what earlier tests left
    behind in the tables; of a store with millions of rows it says nothing. So PostgreSQL is asked for a plan that
    reads no table from end to end if there is any other. What remains is judged: a read needs a condition on the
    columns of its index, or an index that holds nothing but what is looked for, or ends with the first rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from tests.plugins.store import Store

FEW = 50
"""Rows of a table on which no plan depends; what is to be found among many has more in each test."""
PASSED_ON = {"Result", "Nested Loop"}
"""Nodes that ask for no more rows than are asked of them."""


@dataclass(frozen=True)
class Read:
    """One place of a plan where a table is read; without an index SQLite names it by its alias."""

    table: str
    index: str
    condition: str
    partial: bool = False
    first: bool = False

    @property
    def whole(self) -> bool:
        """Whether each row of the table is looked at."""
        return not (self.condition or self.partial or self.first)


def list_reads(store: Store, sql: str, params: Sequence[Any] | None = None) -> list[Read]:
    """Return where a query reads tables of the app."""
    reads = _ask_postgres if store.vendor == "postgresql" else _ask_sqlite
    return [each for each in reads(store, sql, params) if re.match(r"durable_|U\d", each.table)]


def list_whole(store: Store, sql: str, params: Sequence[Any] | None = None) -> list[Read]:
    """Return where a query reads a whole table; one of FEW rows is left out, since any index serves it as well."""
    whole = [each for each in list_reads(store, sql, params) if each.whole]
    return [
        each for each in whole if not each.table.startswith("durable_") or _count(store, each.table) > FEW
    ]


def _count(store: Store, table: str) -> int:
    with store.connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        return int(cursor.fetchone()[0])


def _ask_postgres(store: Store, sql: str, params: Sequence[Any] | None) -> Iterator[Read]:
    with transaction.atomic(store.alias), store.connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        found = cursor.fetchone()[0]
        cursor.execute(
            "SELECT relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indpred IS NOT NULL"
        )
        partial = {name for (name,) in cursor.fetchall()}
    (told,) = found if isinstance(found, list) else json.loads(found)
    yield from _walk(told["Plan"], partial, limited=False)


def _walk(node: dict[str, Any], partial: set[str], limited: bool) -> Iterator[Read]:
    if "Relation Name" in node:
        yield _read_node(node, partial, limited)
    kind = node["Node Type"]
    for each in node.get("Plans", ()):
        passed_on = limited and kind in PASSED_ON
        below = each["Parent Relationship"] == "Outer" and (kind == "Limit" or passed_on)
        yield from _walk(each, partial, below)


def _read_node(node: dict[str, Any], partial: set[str], limited: bool) -> Read:
    if node["Node Type"] != "Bitmap Heap Scan":
        index, condition = node.get("Index Name", ""), node.get("Index Cond", "")
        first = limited and bool(index) and "Filter" not in node
        return Read(node["Relation Name"], index, condition, index in partial, first)
    parts = list(_list_bitmaps(node))
    some = all(each.get("Index Cond") or each["Index Name"] in partial for each in parts)
    return Read(
        node["Relation Name"],
        ",".join(each["Index Name"] for each in parts),
        " | ".join(each.get("Index Cond", "") for each in parts) if some else "",
        some,
    )


def _list_bitmaps(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in node.get("Plans", ()):
        if each["Node Type"] == "Bitmap Index Scan":
            yield each
        elif each["Node Type"] in {"BitmapAnd", "BitmapOr"}:
            yield from _list_bitmaps(each)


SQLITE_READ = re.compile(
    r"(?:SEARCH|SCAN) (?P<table>\w+)"
    r"(?: USING (?P<kind>[A-Z ]*?)(?:INDEX(?: (?P<index>\w+))?|PRIMARY KEY))?(?: \((?P<condition>.*)\))?"
)


def _ask_sqlite(store: Store, sql: str, params: Sequence[Any] | None) -> Iterator[Read]:
    with store.connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        lines = [row[-1] for row in cursor.fetchall()]
        cursor.execute("SELECT name, tbl_name, COALESCE(sql, '') FROM sqlite_master WHERE type = 'index'")
        indexes = {name: (table, " WHERE " in made) for name, table, made in cursor.fetchall()}
    for line in lines:
        if found := SQLITE_READ.match(line):
            # One made for this query alone is made of every row.
            condition = "" if "AUTOMATIC" in (found["kind"] or "") else found["condition"] or ""
            table, partial = indexes.get(found["index"], (found["table"], False))
            yield Read(table, found["index"] or "", condition, partial)
