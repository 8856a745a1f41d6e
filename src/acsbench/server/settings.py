"""Django's settings, all from the one configuration of a board.

``ACSBENCH_BOARD`` names the data folder; `acsbench.server.start.start_django` sets it.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from acsbench.server.config import ServerConfig, load_config

__all__: list[str] = []

BOARD = load_config(Path(os.environ.get("ACSBENCH_BOARD", "board-data")))

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
    "PRAGMA cache_size=-8000;"
)


def _database(config: ServerConfig) -> dict[str, Any]:
    if config.sqlite_file is not None:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(config.sqlite_file),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": _SQLITE_PRAGMAS,
            },
        }
    address = urlsplit(config.database)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.path.lstrip("/"),
        "HOST": address.hostname or "",
        "PORT": address.port or "",
        "USER": unquote(address.username or ""),
        "PASSWORD": unquote(address.password or ""),
    }


DATABASES = {"default": _database(BOARD)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "acsbench.server.apps.BoardConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
]
SILENCED_SYSTEM_CHECKS = [
    "auth.E003",
    "auth.W004",
]  # emails are unique in any case, by a constraint
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "pages" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
AUTH_USER_MODEL = "board.Account"
ROOT_URLCONF = "acsbench.server.urls"
MIDDLEWARE = ["acsbench.server.middleware.with_request_id"]

# the API knows bearer tokens only; what signs cookies comes with the pages that set some
SECRET_KEY = "no cookie is signed yet"  # noqa: S105  nothing is signed with it
ALLOWED_HOSTS = ["*"]  # answers name no host
APPEND_SLASH = False
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LOGGING_CONFIG = None
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # `edge` counts bytes while they arrive, by task
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 2
FILE_UPLOAD_TEMP_DIR = BOARD.incoming if BOARD.incoming.is_dir() else None
FILE_UPLOAD_PERMISSIONS = 0o640
