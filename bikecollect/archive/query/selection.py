"""Checking SQL of unknown origin: one SELECT without anything that writes."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NODES = frozenset(
    {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
)
"""The nodes of a query that only read; others COPY, INSERT or DELETE."""
DYNAMIC = frozenset({"query"})
"""Functions whose argument is SQL."""
UNRESTRICTED = "--unrestricted allows the rest of DuckDB's SQL"


def checked(db: "DuckDBPyConnection", sql: str) -> str:
    """Return *sql* without the semicolon at its end if it is one SELECT.

    To DuckDB, FROM, WITH, VALUES, DESCRIBE, SHOW and SUMMARIZE are SELECTs; a WITH that
    copies into a file or changes a table is not. Raises UsageError.
    """
    import duckdb  # an extra, and heavy

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        what = f"the query failed: {str(error).strip()}"
        raise UsageError(what, lines=True) from error
    if len(statements) != 1:
        raise UsageError(f"one SELECT at a time, not {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        hint = "; a PIVOT needs its values: ON x IN (...)" if kind == "MULTI" else ""
        raise UsageError(f"only SELECT, not {kind}{hint}; {UNRESTRICTED}")
    ((text,),) = db.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    try:
        tree = json.loads(text)
    except RecursionError as error:
        raise UsageError("the query is nested too deeply") from error
    if tree.get("error"):
        raise UsageError(f"the query failed: {tree.get('error_message')}")
    for what in _forbidden(tree):
        raise UsageError(f"only SELECT, not {what} in it; {UNRESTRICTED}")
    return sql.strip().rstrip("; \t\r\n")


def _forbidden(tree: Any) -> Iterator[str]:
    """Yield the parts of the syntax *tree* that do more than read."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            kind = node.get("type")
            if isinstance(kind, str) and kind.endswith("_NODE") and kind not in NODES:
                yield kind.partition("_")[0]
            if str(node.get("function_name")).lower() in DYNAMIC:
                yield f"{node['function_name']}()"
            stack += node.values()
