"""The chain: whole, or the first entry that was touched is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acsbench.errors import AuditError
from acsbench.leaderboard.audit import FIRST_HASH, append, verify_chain

NOON = datetime(2027, 1, 2, 12, tzinfo=UTC)


def chain(n):
    entries = []
    for number in range(n):
        entries.append(
            append(
                entries[-1] if entries else None,
                at=NOON + timedelta(seconds=number),
                actor="team-a",
                action="submission.accepted",
                object=f"s{number}",
                detail={"sha256": "ab", "rows": "8", "tags": ["x", "y"]},
            )
        )
    return entries


def test_a_whole_chain_verifies_in_one_piece_or_several():
    entries = chain(5)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].prev_hash == FIRST_HASH
    assert verify_chain(entries) == entries[-1]
    assert verify_chain(entries[3:], head=verify_chain(entries[:3])) == entries[-1]
    assert verify_chain([]) is None


@given(
    st.integers(0, 4),
    st.sampled_from(["at", "actor", "action", "object", "detail", "prev_hash", "hash", "seq"]),
)
def test_any_change_is_found_at_its_entry(at, field):
    entries = chain(5)
    changed = {"seq": 77, "detail": {"sha256": "ab", "rows": "9"}}.get(field, "f" * 64)
    entries[at] = replace(entries[at], **{field: changed})
    with pytest.raises(AuditError) as refusal:
        verify_chain(entries)
    assert refusal.value.seq in (at + 1, 77)


def test_a_missing_entry_and_two_in_another_order_are_found():
    entries = chain(5)
    with pytest.raises(AuditError, match="stands where entry 3 should"):
        verify_chain([*entries[:2], *entries[3:]])
    with pytest.raises(AuditError, match="stands where entry 2 should"):
        verify_chain([entries[0], entries[2], entries[1]])


def test_a_rewritten_tail_does_not_follow():
    entries, others = chain(5), chain(3)
    forged = append(others[1], at=NOON, actor="x", action="y", object="z", detail={})
    with pytest.raises(AuditError, match="Audit entry 4: does not follow"):
        verify_chain([*entries[:2], forged, *entries[3:]])


def test_times_are_utc_and_detail_is_text():
    entry = append(
        None,
        at=datetime(2027, 1, 2, 13, tzinfo=timezone(timedelta(hours=1))),
        actor="a",
        action="b",
        object="c",
        detail={},
    )
    assert entry.at == "2027-01-02T12:00:00Z"
    with pytest.raises(ValueError, match="no time zone"):
        append(None, at=datetime(2027, 1, 1), actor="a", action="b", object="c", detail={})
    with pytest.raises(TypeError, match=r"record\.detail\.rows is a int"):
        append(None, at=NOON, actor="a", action="b", object="c", detail={"rows": 8})
