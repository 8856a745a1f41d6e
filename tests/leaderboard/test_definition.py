"""A task's definition: read, refused, and handed on without loss."""

from __future__ import annotations

import hashlib

import pytest
from boards import IDS, make_version

from acsbench.errors import BoardError, ConfigError, MissingPathError
from acsbench.leaderboard.definition import (
    Attestation,
    parse_ids,
    parse_task,
    read_task,
    write_task,
)

TOML = """
slug = "acs"
title = "Acute coronary syndrome: intervention within 10 days"
unit = "record"
primary = "auroc"
panel = ["auroc", "auprc", "sens_at_spec_90_roc", "ppv_at_budget_10"]
opens = 2027-01-01T00:00:00Z

[limits]
valid_per_24h = 2

[release]
policy = "ladder"
ladder_k = 1.0

[attestation]
version = "2027-01"
text = "attestation.md"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "task.toml").write_text(TOML)
    (tmp_path / "ids.csv").write_bytes(make_version().ids_csv())
    (tmp_path / "attestation.md").write_text("I have not seen the labels.\n")
    return tmp_path


def test_a_task_is_read_from_its_folder_or_its_toml_file(folder):
    version = read_task(folder)
    assert version == read_task(folder / "task.toml")
    assert (version.name, version.n_rows, version.max_bytes) == ("acs-v1", 8, 4096 + 1600)
    assert version.ids == IDS
    assert version.task.limits.valid_total == 20
    assert version.attestation_text == "I have not seen the labels.\n"
    assert version.ids_sha256 == hashlib.sha256(("\n".join(IDS) + "\n").encode()).hexdigest()


def test_a_task_survives_its_files_and_its_public_form(folder, tmp_path):
    version = read_task(folder)
    assert read_task(write_task(version, tmp_path / "again")) == version
    assert parse_task(version.public(), version.ids_csv()) == version


def test_ids_that_are_not_those_of_the_definition_are_refused():
    version = make_version()
    with pytest.raises(BoardError, match="id list of task 'acs' has the SHA-256"):
        parse_task(version.public(), make_version(IDS[1:]).ids_csv())
    with pytest.raises(BoardError, match="has no 'definition'"):
        parse_task({"hello": 1}, b"")


def test_the_seed_belongs_to_the_task_version():
    seeds = {
        make_version().seed,
        make_version(IDS[1:]).seed,
        make_version(version=2).seed,
        make_version(slug="mace").seed,
    }
    assert len(seeds) == 4
    assert make_version().seed == make_version(title="Another title").seed
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ladder_k", "laddder_k", r"release.laddder_k: no such key. Did you mean 'ladder_k'\?"),
        ('"auprc"', '"auprcc"', r"no metric 'auprcc'. Did you mean 'auprc'\?"),
        ('["auroc", ', "[", "primary metric 'auroc' is not in the panel"),
        ('"auprc"', '"auroc"', "the panel names a metric twice"),
        ('slug = "acs"', 'slug = "show"', "'show' is a word of the command line"),
        ('slug = "acs"', 'slug = "Acs"', "slug"),
        ('unit = "record"', 'unit = "encounter"', "unit"),
        ("T00:00:00Z", "T00:00:00", "timezone"),
        (
            'primary = "auroc"\npanel = [',
            'primary = "brier"\npanel = ["brier", ',
            "better when low",
        ),
    ],
)
def test_a_wrong_definition_is_refused_by_key(folder, old, new, message):
    assert old in TOML
    (folder / "task.toml").write_text(TOML.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_task(folder)


def test_missing_and_broken_files_are_named(folder):
    (folder / "attestation.md").unlink()
    with pytest.raises(MissingPathError, match=r"attestation\.md; it belongs beside task\.toml"):
        read_task(folder)
    (folder / "task.toml").write_text("slug = ")
    with pytest.raises(BoardError, match="is not TOML"):
        read_task(folder)
    with pytest.raises(MissingPathError, match=r"A task is a folder with task\.toml"):
        read_task(folder / "nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id\na\n", "begins with 'id', not with 'ecg_id'"),
        (b"ecg_id\na b\n", "line 2: 'a b'"),
        (b"ecg_id\na,0\n", "line 2: 'a,0'"),
        (b"ecg_id\n=cmd\n", "line 2: '=cmd'"),
        (b"ecg_id\na\nb\na\n", r"names 1 ids twice \(a\)"),
        (b"ecg_id\n", "holds no id"),
        (b"", "begins with ''"),
        (b"ecg_id\n\xff\n", "not UTF-8"),
    ],
)
def test_a_wrong_id_list_is_refused(content, message):
    with pytest.raises(BoardError, match=message):
        parse_ids(content, where="ids.csv")


def test_an_attestation_has_a_checksum():
    version = make_version(attestation=Attestation(version="1"))
    assert version.attestation_sha256 == hashlib.sha256(b"").hexdigest()
