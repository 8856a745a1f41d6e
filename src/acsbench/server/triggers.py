"""Rules the database itself keeps: the audit chain, opened task versions, the edges of a state.

Put in place after every migration, in the words of SQLite or of PostgreSQL.
"""

from __future__ import annotations

from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from acsbench.server.states import EDGES

__all__ = ["RULES", "Rule", "install_triggers", "missing_triggers"]


class Rule(NamedTuple):
    """What is refused: an event on a table, when a condition over OLD and NEW holds."""

    name: str
    table: str
    event: str
    when: str
    message: str


def _edges() -> str:
    allowed = " OR ".join(f"(OLD.state = '{a}' AND NEW.state = '{b}')" for a, b in sorted(EDGES))
    return f"OLD.state <> NEW.state AND NOT ({allowed})"


_FIXED = ("task_id", "number", "ids_sha256", "ids_blob", "n_rows", "label_commitment")

RULES = (
    Rule("audit_no_update", "board_audit", "UPDATE", "1 = 1", "the audit chain is append only"),
    Rule("audit_no_delete", "board_audit", "DELETE", "1 = 1", "the audit chain is append only"),
    Rule(
        "audit_gapless",
        "board_audit",
        "INSERT",
        "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM board_audit)",
        "the audit chain has no gaps",
    ),
    Rule(
        "task_version_fixed",
        "board_taskversion",
        "UPDATE",
        "OLD.state <> 'draft' AND (NEW.state = 'draft' OR "
        "CAST(OLD.definition AS TEXT) <> CAST(NEW.definition AS TEXT) OR "
        + " OR ".join(f"OLD.{column} <> NEW.{column}" for column in _FIXED)
        + ")",
        "a task version is fixed once it is open",
    ),
    Rule(
        "task_version_kept",
        "board_taskversion",
        "DELETE",
        "OLD.state <> 'draft'",
        "a task version is fixed once it is open",
    ),
    Rule(
        "submission_edges",
        "board_submission",
        "UPDATE",
        _edges(),
        "no such edge between states of a submission",
    ),
    Rule("submission_kept", "board_submission", "DELETE", "1 = 1", "submissions are kept"),
)


def install_triggers(connection: BaseDatabaseWrapper) -> None:
    """Put every rule in place whose table exists; those of before are replaced."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for rule in RULES:
            if rule.table in tables:
                for statement in _statements(rule, connection.vendor):
                    cursor.execute(statement)


def missing_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of rules that the database does not keep."""
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query)
        present = {name for (name,) in cursor.fetchall()}
    return [rule.name for rule in RULES if rule.name not in present]


def _statements(rule: Rule, vendor: str) -> list[str]:
    drop = f"DROP TRIGGER IF EXISTS {rule.name}"
    create = f"CREATE TRIGGER {rule.name} BEFORE {rule.event} ON {rule.table}"
    if vendor == "sqlite":
        body = f"BEGIN SELECT RAISE(ABORT, '{rule.message}'); END"
        return [drop, f"{create} WHEN {rule.when} {body}"]
    # a condition with a query may not stand in WHEN on PostgreSQL, so it stands in the body
    row = "OLD" if rule.event == "DELETE" else "NEW"
    refusal = f"RAISE EXCEPTION '{rule.message}' USING ERRCODE = 'integrity_constraint_violation'"
    body = f"IF {rule.when} THEN {refusal}; END IF; RETURN {row};"
    head = f"CREATE OR REPLACE FUNCTION {rule.name}() RETURNS trigger LANGUAGE plpgsql"
    return [
        f"{head} AS $$ BEGIN {body} END $$",
        f"{drop} ON {rule.table}",
        f"{create} FOR EACH ROW EXECUTE FUNCTION {rule.name}()",
    ]
