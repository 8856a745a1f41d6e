"""Start one process of a board: ``python -m acsbench.server ROLE DATA_FOLDER [SOCKET]``.

Roles are web, worker and courier. `acsbench serve` starts them all; this is what it runs.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from acsbench.errors import AcsbenchError
from acsbench.leaderboard.master_key import harden_process
from acsbench.server.logs import log_as_json
from acsbench.server.start import start_django

__all__: list[str] = []


def _main(role: str, data: str, *rest: str) -> None:
    """Set the process up, then hand it to its role."""
    if role == "worker":
        harden_process()  # before anything secret is read
    log_as_json()
    os.environ["ACSBENCH_ROLE"] = role
    config = start_django(Path(data))
    # models can be imported from here on
    import_module(f"acsbench.server.{role}").main(config, *rest)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except AcsbenchError as error:
        sys.exit(f"Error: {error}")
