"""The one Django application of the board."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

__all__ = ["BoardConfig"]


class BoardConfig(AppConfig):
    """Tables ``board_*``; after each migration the triggers are put in place again.

    SQLite rebuilds a table to alter it and loses the table's triggers with it, so they belong to
    the end of every migration rather than to one of them.
    """

    name = "acsbench.server"
    label = "board"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Ask to be told when migrations have run, and when somebody signs in."""
        from acsbench.server.sign_in import signals  # noqa: PLC0415  needs the models

        post_migrate.connect(_install_triggers, sender=self)
        signals.connect()


def _install_triggers(*, using: str, **_: Any) -> None:
    from django.db import connections  # noqa: PLC0415  settings are there by now

    from acsbench.server.triggers import install_triggers  # noqa: PLC0415  not before the models are

    install_triggers(connections[using])
