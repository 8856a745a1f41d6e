"""Start Django in this process, on one data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from acsbench.errors import ConfigError, MissingDependencyError
from acsbench.server.config import ServerConfig

__all__ = ["start_django"]

_SETTINGS = "acsbench.server.settings"


def start_django(data: Path) -> ServerConfig:
    """Read the configuration of a data folder and set Django up with it, once per process.

    Raises
    ------
    ConfigError
        When this process already serves another data folder.
    MissingDependencyError
        When Django is not installed.
    """
    try:
        import django  # noqa: PLC0415  an extra
        from django.conf import settings  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "A board needs Django, which is not installed: pip install 'acsbench[server]'."
        ) from None
    data = data.resolve()
    os.environ["ACSBENCH_BOARD"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = _SETTINGS
    if not settings.configured:
        sys.modules.pop(_SETTINGS, None)  # whoever imported it alone read another data folder
    django.setup()
    config: ServerConfig = settings.BOARD
    if config.data != data:
        raise ConfigError(f"This process already works on {config.data}, not on {data}.")
    return config
