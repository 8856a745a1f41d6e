"""The vault: what it refuses to load, what it refuses to open, and what stays when keys change."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from boards import IDS, make_truth, make_version, many_ids, model_scores, truth_frame

from acsbench.errors import MissingPathError, VaultError
from acsbench.leaderboard.definition import Release
from acsbench.leaderboard.encryption import new_key
from acsbench.leaderboard.master_key import new_master_key, read_master_key
from acsbench.leaderboard.scoring import same, score, with_resamples
from acsbench.leaderboard.truth_table import check_truth, read_truth
from acsbench.leaderboard.vault import commitment, open_vault, rotate, seal
from acsbench.leaderboard.worker_store import WorkerStore

TRUTH = make_truth()
VERSION = make_version(many_ids(300), release=Release(min_per_class=50, n_resamples=100))
FRAME = truth_frame(VERSION, TRUTH)
MASTER = new_key()
NINES = make_version(IDS, release=Release(min_per_class=2))


def small(**changes):
    columns = {
        "ecg_id": list(IDS),
        "patient_id": [f"p{n}" for n in range(8)],
        "label": ["0", "1"] * 4,
    }
    return pl.DataFrame({**columns, **changes})


def test_a_vault_gives_back_what_went_in_whatever_the_order_of_the_rows():
    sealed = seal(FRAME.sample(fraction=1, shuffle=True, seed=1), VERSION, MASTER)
    vault = open_vault(sealed.data, VERSION, MASTER)
    np.testing.assert_array_equal(vault.truth.labels, TRUTH.labels)
    np.testing.assert_array_equal(vault.truth.patients, TRUTH.patients)
    assert vault.truth.subgroups["sex"] == tuple(FRAME["sex"])
    assert vault.commitment == sealed.commitment
    assert repr(vault) == "Vault of acs-v1"


def test_a_vault_shows_no_label_patient_or_salt():
    sealed = seal(FRAME, VERSION, MASTER)
    vault = open_vault(sealed.data, VERSION, MASTER)
    raw = sealed.data + b"".join(
        base64.b64decode(json.loads(sealed.data)[field]) for field in ("key", "table")
    )
    for secret in (b"p00001", b"patient", vault.salt, vault.salt.hex().encode(), b"Female"):
        assert secret not in raw


def test_two_vaults_of_the_same_labels_share_nothing():
    one, other = seal(FRAME, VERSION, MASTER), seal(FRAME, VERSION, MASTER)
    assert one.commitment != other.commitment
    assert json.loads(one.data)["table"] != json.loads(other.data)["table"]


def test_the_commitment_can_be_checked_by_hand_once_the_labels_are_open():
    vault = open_vault(seal(FRAME, VERSION, MASTER).data, VERSION, MASTER)
    text = "ecg_id,label\n" + "".join(
        f"{i},{label}\n" for i, label in zip(VERSION.ids, TRUTH.labels, strict=True)
    )
    assert vault.commitment == hashlib.sha256(vault.salt + text.encode()).hexdigest()
    flipped = TRUTH.labels.copy()
    flipped[0] = 1 - flipped[0]
    assert commitment(vault.salt, VERSION.ids, flipped.tolist()) != vault.commitment


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (small().drop("patient_id"), "no column patient_id"),
        (small(ecg_id=[*IDS[:7], "ecgffff"]), r"1 public ids have no label \(first: ecg0008\)"),
        (small(ecg_id=[*IDS[:7], "ecgffff"]), r"1 ids are not in the public list \(first: ecgffff"),
        (small(ecg_id=[*IDS[:7], "ecg0001"]), r"1 ids stand there more than once \(first: ecg0001"),
        (
            small(label=["0", "1", "2", *"10101"]),
            r"1 ids have a label other than 0 and 1 \(first: ecg0003",
        ),
        (small(label=["0", "1", None, *"10101"]), "1 ids have a label other than 0 and 1"),
        (small(label=["0", "1", *"000000"]), r"Fewer than 2 rows are positive"),
        (small(label=["0", "1", *"111111"]), r"Fewer than 2 rows are negative"),
        (
            small(patient_id=[*(f"p{n}" for n in range(7)), None]),
            r"1 ids have no patient_id \(first: ecg0008",
        ),
        (small(patient_id=[*(f"p{n}" for n in range(7)), " "]), "1 ids have no patient_id"),
    ],
)
def test_labels_that_do_not_fit_are_refused(frame, message):
    with pytest.raises(VaultError, match=message):
        seal(frame, NINES, MASTER)


def test_all_findings_are_told_at_once_and_no_label():
    frame = small(ecg_id=["ecg0001", *IDS[:7]], label=["7", "1", *"010101"])
    with pytest.raises(VaultError) as refusal:
        check_truth(frame, NINES)
    assert str(refusal.value).count("\n") == 3
    assert "7" not in str(refusal.value)


def test_labels_are_read_from_csv_and_of_one_task_of_several(tmp_path):
    rows = pl.concat(
        [small().with_columns(task=pl.lit("acs")), small().with_columns(task=pl.lit("mace"))]
    )
    rows.write_csv(tmp_path / "labels.csv")
    read = read_truth(tmp_path / "labels.csv", NINES)
    assert read.columns == ["ecg_id", "patient_id", "label"]
    assert read["label"].to_list() == [0, 1] * 4
    small(label=[0.0, 1.0] * 4).write_parquet(tmp_path / "labels.parquet")
    assert read_truth(tmp_path / "labels.parquet", NINES).equals(read)


def test_a_vault_opens_only_with_its_key_its_version_and_its_bytes():
    data = seal(FRAME, VERSION, MASTER).data
    with pytest.raises(VaultError, match="the key is another one"):
        open_vault(data, VERSION, new_key())
    with pytest.raises(VaultError, match="not 'acsbench-vault-1' of acs-v2"):
        open_vault(data, make_version(many_ids(300), version=2), MASTER)
    renamed = data.replace(b"acs-v1", b"acs-v2")
    with pytest.raises(VaultError, match="cannot be opened"):
        open_vault(renamed, make_version(many_ids(300), version=2), MASTER)
    with pytest.raises(VaultError, match="cannot be opened"):  # the same name, other ids
        open_vault(data, make_version(tuple(f"x{i}" for i in many_ids(300))), MASTER)
    body = json.loads(data)
    for field in ("key", "table"):
        content = bytearray(base64.b64decode(body[field]))
        content[len(content) // 2] ^= 1
        changed = json.dumps({**body, field: base64.b64encode(content).decode()}).encode()
        with pytest.raises(VaultError, match="cannot be opened"):
            open_vault(changed, VERSION, MASTER)
    for damaged in (b"", data[:100], b"[]", b'{"format": "acsbench-vault-1"}'):
        with pytest.raises(VaultError, match="damaged"):
            open_vault(damaged, VERSION, MASTER)


def test_rotation_changes_the_key_and_nothing_else():
    sealed, other = seal(FRAME, VERSION, MASTER), new_key()
    turned = rotate(sealed.data, VERSION.name, old=MASTER, new=other)
    assert json.loads(turned)["table"] == json.loads(sealed.data)["table"]
    assert open_vault(turned, VERSION, other).commitment == sealed.commitment
    with pytest.raises(VaultError, match="the key is another one"):
        open_vault(turned, VERSION, MASTER)
    with pytest.raises(VaultError, match="the key is another one"):
        rotate(sealed.data, VERSION.name, old=other, new=MASTER)


def test_a_split_takes_whole_patients_by_a_secret_draw():
    version = make_version(many_ids(300), release=Release(policy="split", min_per_class=50))
    parts = []
    for _ in range(2):
        truth = open_vault(seal(FRAME, version, MASTER).data, version, MASTER).truth
        of_part = np.unique(truth.patients[truth.split_part])
        assert set(of_part).isdisjoint(truth.patients[~truth.split_part])
        assert len(of_part) == round(0.3 * truth.n_patients)
        parts.append(truth.split_part)
    assert (parts[0] != parts[1]).any()


def test_a_master_key_comes_from_a_file_the_environment_or_a_command(tmp_path, monkeypatch):
    path = tmp_path / "master.key"
    key = new_master_key(path)
    assert read_master_key(f"file:{path}") == key
    monkeypatch.setenv("BOARD_KEY", key.hex())
    assert read_master_key("env:BOARD_KEY") == key
    assert "BOARD_KEY" not in os.environ  # no child inherits it
    text = base64.b64encode(key).decode()
    assert read_master_key(f"command:{sys.executable} -c 'print(\"{text}\")'") == key


def test_a_master_key_that_is_not_there_is_told_without_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORT", "abcd" * 4)
    for source, message in (
        ("env:NOTHING", "no variable NOTHING"),
        ("env:SHORT", "holds no key of 32 bytes"),
        ("command:false", "key command failed: CalledProcessError"),
        ("command:/nowhere/kms", "key command failed: FileNotFoundError"),
        ("command:echo abcd", "holds no key of 32 bytes"),
        ("vault", "file:PATH, env:NAME or command:COMMAND"),
        ("file:", "file:PATH, env:NAME or command:COMMAND"),
    ):
        with pytest.raises(VaultError, match=message) as refusal:
            read_master_key(source)
        assert "abcdabcd" not in str(refusal.value)
    with pytest.raises(MissingPathError):
        read_master_key(f"file:{tmp_path / 'nothing'}")


def test_a_hardened_process_dumps_no_core_and_cannot_be_read():
    program = """
import resource
from acsbench.leaderboard.master_key import harden_process
harden_process()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
import ctypes
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
bytearray(200_000_000)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_worker_s_store_keeps_results_to_the_last_bit_and_reveals_none(tmp_path):
    scored = with_resamples(score(model_scores(TRUTH), TRUTH, VERSION), TRUTH, VERSION)
    store = WorkerStore(tmp_path / "store", MASTER)
    assert not store.has("s1", "acs-v1")
    store.put("s1", "acs-v1", scored)
    again = WorkerStore(tmp_path / "store", MASTER).get("s1", "acs-v1")
    assert same(scored, again) == []
    assert again.values == scored.values
    assert (again.scores == scored.scores).all()
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert repr(scored.values["auroc"]).encode() not in raw
    assert scored.scores[:2].tobytes() not in raw
    assert b"auroc" not in raw
    assert (tmp_path / "store").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("store.key"))


def test_a_result_is_replaced_and_moved_nowhere(tmp_path):
    store = WorkerStore(tmp_path, MASTER)
    first = score(model_scores(TRUTH), TRUTH, VERSION)
    store.put("s1", "acs-v1", first)
    store.put("s1", "acs-v1", with_resamples(first, TRUTH, VERSION))
    assert store.get("s1", "acs-v1").resamples
    (tmp_path / "s2").mkdir()
    (tmp_path / "s1" / "s1.acs-v1.bin").rename(tmp_path / "s2" / "s2.acs-v1.bin")
    with pytest.raises(VaultError, match="cannot be opened"):
        store.get("s2", "acs-v1")
    with pytest.raises(MissingPathError, match="no result of acs-v1"):
        store.get("s1", "acs-v1")
    with pytest.raises(VaultError, match="cannot name a result"):
        store.get("../s1", "acs-v1")


def test_the_store_s_key_is_rewrapped(tmp_path):
    store, other = WorkerStore(tmp_path, MASTER), new_key()
    store.put("s1", "acs-v1", score(model_scores(TRUTH), TRUTH, VERSION))
    with pytest.raises(VaultError, match="cannot be opened"):
        WorkerStore(tmp_path, other)
    store.rotate(old=MASTER, new=other)
    assert WorkerStore(tmp_path, other).get("s1", "acs-v1").n_rows == 300
    with pytest.raises(VaultError, match="cannot be opened"):
        WorkerStore(tmp_path, MASTER)
