"""Receipts verify offline, and not when a character is another."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from boards import make_version
from hypothesis import given, settings
from hypothesis import strategies as st

from acsbench.errors import BoardError, MissingPathError, VaultError
from acsbench.leaderboard.receipts import (
    canonical_json,
    make_receipt,
    make_score_record,
    new_signing_key,
    public_keys,
    read_signing_key,
    verify,
)

NOON = datetime(2027, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "signing.key"
    made = new_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_signing_key(path).public == made.public
    return made


def receipt_of(key):
    return make_receipt(
        submission="s1",
        team="Zoë",
        version=make_version(),
        label_commitment="c" * 64,
        sha256="a" * 64,
        rows=8,
        received_at=NOON,
        attestation_version="2027-01",
        audit_seq=3,
        audit_hash="b" * 64,
        key=key,
    )


def test_a_receipt_holds_what_it_proves_and_verifies_after_json(key):
    receipt = json.loads(json.dumps(receipt_of(key)))
    assert {k: receipt[k] for k in ("task", "task_version", "rows", "received_at")} == {
        "task": "acs",
        "task_version": "acs-v1",
        "rows": "8",
        "received_at": "2027-01-02T12:00:00Z",
    }
    verify(receipt, public_keys([key]))


@settings(max_examples=30)
@given(st.sampled_from(["submission", "team", "sha256", "rows", "label_commitment"]), st.text())
def test_any_changed_field_is_found(key, field, value):
    receipt = receipt_of(key)
    if receipt[field] == value:
        return
    with pytest.raises(BoardError, match="signature does not fit"):
        verify({**receipt, field: value}, public_keys([key]))


def test_added_and_missing_fields_and_other_types_are_found(key):
    receipt, keys = receipt_of(key), public_keys([key])
    for changed in (
        {**receipt, "more": "x"},
        {k: v for k, v in receipt.items() if k != "team"},
        {**receipt, "rows": 8},
        {**receipt, "team": json.loads("[" * 900 + "]" * 900)},
        {**receipt, "signature": "not base64!"},
        {**receipt, "signature": "AAAA"},
    ):
        with pytest.raises(BoardError, match="signature does not fit"):
            verify(changed, keys)
    with pytest.raises(BoardError, match="no key_id and no signature"):
        verify({"hello": "world"}, keys)


def test_another_board_s_keys_are_refused_by_name(key, tmp_path):
    other = new_signing_key(tmp_path / "other.key")
    with pytest.raises(BoardError, match=f"key {key.key_id}, which is not among"):
        verify(receipt_of(key), public_keys([other]))
    # a key that claims the name of another is known by its own
    claimed = public_keys([other])
    claimed["keys"][0]["key_id"] = key.key_id
    with pytest.raises(BoardError, match="which is not among"):
        verify(receipt_of(key), claimed)
    verify(receipt_of(key), public_keys([other, key]))
    with pytest.raises(BoardError, match="keys are damaged"):
        verify(receipt_of(key), {"keys": [{"algorithm": "Ed25519"}]})


def test_a_score_record_signs_decimal_strings(key):
    released = {"panel": [{"metric": "auroc", "value": "0.703", "low": None}], "n_rows": 8}
    record = make_score_record(
        submission="s1", version=make_version(), released=released, scored_at=NOON, key=key
    )
    assert record["released"] == {"panel": [{"metric": "auroc", "value": "0.703"}], "n_rows": "8"}
    verify(record, public_keys([key]))


def test_canonical_json_is_text_alone_in_one_order():
    assert (
        canonical_json({"b": "1", "a": {"d": ["x"], "c": ""}})
        == b'{"a":{"c":"","d":["x"]},"b":"1"}'
    )
    for bad in ({"a": 1}, {"a": 1.5}, {"a": None}, {"a": ["b", True]}, {1: "a"}):
        with pytest.raises(TypeError):
            canonical_json(bad)


def test_a_key_is_never_overwritten_nor_read_when_others_can(tmp_path):
    path = tmp_path / "signing.key"
    new_signing_key(path)
    before = path.read_bytes()
    with pytest.raises(VaultError, match="never overwritten"):
        new_signing_key(path)
    assert path.read_bytes() == before
    path.chmod(0o640)
    with pytest.raises(VaultError, match="has mode 0640, so others can read it"):
        read_signing_key(path)
    with pytest.raises(MissingPathError, match="no key file"):
        read_signing_key(tmp_path / "nothing.key")
    path.chmod(0o600)
    path.write_text("secret words")
    with pytest.raises(VaultError, match="holds no key of 32 bytes") as refusal:
        read_signing_key(path)
    assert "secret words" not in str(refusal.value)


def test_a_key_does_not_show_itself(key):
    assert repr(key) == f"SigningKey({key.key_id})"
