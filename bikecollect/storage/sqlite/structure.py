"""Whether the pages and the tables of a ledger's file fit together."""

import sqlite3

INDEX = "wrong # of entries in index "
"""How SQLite begins what it says of an index that does not fit its table."""
VERDICTS = 100


def structural_damage(db: sqlite3.Connection) -> str:
    """Return SQLite's first error of a page or a table, empty if there is none.

    An index that does not fit its table is none: it is rebuilt from the table, once
    `verify` has found it. SQLite 3.40 does not compare them here, 3.46 does.
    """
    for (verdict,) in db.execute(f"PRAGMA quick_check({VERDICTS})"):
        if verdict != "ok" and not verdict.startswith(INDEX):
            return str(verdict)
    return ""
