from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from acsbench.errors import InputError, MissingPathError, StoreError


@pytest.fixture
def full(world):
    """A board on which something has happened."""
    public_id = world.accept("ada", world.task.csv()).submission.public_id
    world.accept("bob", world.task.csv(seed=1))
    world.work()
    world.call("PUT", "/tasks/acs/entry", "ada", json={"submission": public_id})
    world.work()
    world.public_id = public_id
    return world


def restored(world, backup: Path, folder: Path) -> list[str]:
    """Put a backup back, in a process of its own as an operator does; the damage found."""
    import subprocess
    import sys

    done = subprocess.run(
        [
            *(sys.executable, "-m", "acsbench", "server", "restore", str(backup), "--json"),
            *("--keys", str(world.config.keys), "--data", str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["damage"]


@pytest.mark.slow
def test_a_backup_comes_back_whole(full, tmp_path: Path) -> None:
    from acsbench.server.backup import back_up

    done = back_up(full.config, tmp_path / "copy")
    assert done["copied"] == done["files"]
    again = back_up(full.config, tmp_path / "copy")
    assert again["copied"] == 1  # the database; files are known by their hash
    kept = [path.name for path in (tmp_path / "copy" / "keys").iterdir()]
    assert kept == ["public-keys.json"]
    assert restored(full, tmp_path / "copy", tmp_path / "new") == []
    mode = (tmp_path / "new" / "vaults").stat().st_mode & 0o777
    assert mode == 0o700


def test_a_damaged_backup_is_refused_and_nothing_restored(full, tmp_path: Path) -> None:
    from acsbench.server.backup import back_up
    from acsbench.server.putting_back import put_back

    back_up(full.config, tmp_path / "copy")
    blob = next((tmp_path / "copy" / "blobs").rglob("?" * 64))
    blob.write_bytes(b"other")
    with pytest.raises(StoreError, match=r"1 files .* missing or damaged"):
        put_back(tmp_path / "copy", tmp_path / "new", keys=None)
    assert not (tmp_path / "new").exists()


def test_a_restore_never_overwrites(full, tmp_path: Path) -> None:
    from acsbench.server.backup import back_up
    from acsbench.server.putting_back import put_back

    back_up(full.config, tmp_path / "copy")
    with pytest.raises(InputError, match="not empty"):
        put_back(tmp_path / "copy", full.config.data, keys=None)
    with pytest.raises(MissingPathError, match=r"no backup\.json"):
        put_back(tmp_path, tmp_path / "new", keys=None)


def test_damage_to_a_board_is_found(full) -> None:
    from django.db import connection

    from acsbench.server.integrity import find_damage
    from acsbench.server.models import Submission
    from acsbench.server.stores import blobs
    from acsbench.server.triggers import install_triggers

    assert find_damage(full.config) == []
    row = Submission.objects.get(public_id=full.public_id)
    receipt = dict(row.receipt)
    Submission.objects.filter(pk=row.pk).update(receipt=receipt | {"rows": "1"})
    assert any("Receipt" in one for one in find_damage(full.config))
    Submission.objects.filter(pk=row.pk).update(receipt=receipt)
    kept = blobs(full.config).get(row.sha256)
    blobs(full.config).path(row.sha256).write_bytes(b"x")
    assert any("damaged" in one for one in find_damage(full.config))
    blobs(full.config).path(row.sha256).write_bytes(kept)
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER audit_no_update")
        cursor.execute("UPDATE board_audit SET actor = 'nobody' WHERE seq = 3")
    found = find_damage(full.config)
    assert any("audit_no_update" in one for one in found)
    assert any("3" in one for one in found)
    install_triggers(connection)
    shutil.rmtree(full.config.vaults)
    assert any("vault" in one for one in find_damage(full.config))
