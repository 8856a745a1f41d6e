from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from acsbench.errors import ConfigError
from acsbench.server.config import ServerConfig, load_config


def test_without_a_file_every_value_is_its_default(tmp_path: Path) -> None:
    assert load_config(tmp_path) == ServerConfig(data=tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "Did you mean 'port'"),
        ("port = 70000", "less than or equal to 65535"),
        ("lease_seconds = 10", "at most half"),
        ("[limits]\nper_adress = 3", "per_address"),
        ("port = ", "is not TOML"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "board.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_config(tmp_path)


def test_postgresql_is_a_matter_of_configuration() -> None:
    from acsbench.server.settings import _database

    found = _database(ServerConfig(database="postgresql://me:p%40ss@db.example.org:5433/board"))
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert (found["HOST"], int(found["PORT"]), found["NAME"]) == ("db.example.org", 5433, "board")
    assert (found["USER"], found["PASSWORD"]) == ("me", "p@ss")


def test_keys_are_private_and_set_up_twice_changes_nothing(config) -> None:
    from acsbench.server.setup import create_folders

    names = ("vault.key", "receipts.key", "scores.key", "metrics.token")
    before = {name: (config.keys / name).read_bytes() for name in names}
    assert {(config.keys / name).stat().st_mode & 0o777 for name in names} == {0o600}
    assert create_folders(config) == []
    assert {name: (config.keys / name).read_bytes() for name in names} == before
    assert len(json.loads((config.keys / "public-keys.json").read_text())["keys"]) == 2


def test_a_lost_vault_key_is_never_replaced_by_a_new_one(world) -> None:
    from acsbench.errors import MissingPathError
    from acsbench.server.setup import create_folders

    (world.config.keys / "vault.key").unlink()
    with pytest.raises(MissingPathError, match=r"nothing else opens acs-v1\.vault"):
        create_folders(world.config)
    assert not (world.config.keys / "vault.key").exists()


def test_the_doctor_finds_an_open_key_and_a_missing_rule(config) -> None:
    from django.db import connection

    from acsbench.server.doctor import examine

    assert all(one.is_fine for one in examine(config))
    (config.keys / "vault.key").chmod(0o644)
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER submission_edges")
    bad = [one.text for one in examine(config) if not one.is_fine]
    assert any("0644" in one for one in bad)
    assert any("submission_edges" in one for one in bad)


def test_the_vault_key_of_the_environment_reaches_the_worker_alone(monkeypatch) -> None:
    from acsbench.server.serve import environment_for

    monkeypatch.setenv("BOARD_KEY", "secret")
    config = ServerConfig(vault_key="env:BOARD_KEY")
    assert environment_for("worker", config)["BOARD_KEY"] == "secret"
    assert "BOARD_KEY" not in environment_for("web", config)


def test_one_user_without_the_other_is_refused() -> None:
    from acsbench.server.setup import has_two_users

    with pytest.raises(ConfigError, match="needs both"):
        has_two_users(ServerConfig(web_user="nobody"))


@pytest.mark.slow
def test_the_web_process_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from acsbench.server.start import start_django\n"
        f"start_django(Path({str(tmp_path)!r}))\n"
        "import acsbench.server.web, acsbench.server.urls\n"
        "print([m for m in ('scipy', 'sklearn', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_database_of_a_newer_version_is_refused_and_nothing_touched(config) -> None:
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    from acsbench.errors import StepError
    from acsbench.server.database import migrate

    MigrationRecorder(connection).record_applied("board", "9999_future")
    with pytest.raises(StepError, match=r"9999_future.*newer"):
        migrate(config)


def test_an_address_that_is_taken_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = (sys.executable, "-m", "acsbench", "serve", "--data", str(tmp_path / "board"))
        done = subprocess.run(
            [*command, "--port", port], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 2
    assert "Take another with --port" in done.stderr
    assert not (tmp_path / "board").exists()
