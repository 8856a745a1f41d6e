"""A data folder that an earlier version wrote comes to the present form, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "server" / "board_0001.tar.gz"
_WORK = """
import json, sys
from pathlib import Path
from acsbench.server.start import start_django
config = start_django(Path(sys.argv[1]))
from acsbench.server.keys import master_key
from acsbench.server.models import Submission
from acsbench.server.worker import Worker
worker = Worker(config, master_key(config))
while worker.step():
    pass
print(json.dumps(sorted(Submission.objects.values_list("state", flat=True))))
"""


def run(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_first_version_s_folder_migrates_verifies_and_scores_what_waits(
    tmp_path: Path,
) -> None:
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    data = str(tmp_path / "board")
    run("-m", "acsbench", "server", "init", "--data", data)
    assert [path.name for path in (tmp_path / "board" / "backups").iterdir()] == [
        "before-0002_quota_state_only_locks.sqlite3"
    ]
    run("-m", "acsbench", "server", "audit", "verify", "--data", data)
    assert json.loads(run("-c", _WORK, data)) == ["scored", "scored", "scored"]
    again = json.loads(
        run("-m", "acsbench", "server", "rescore", "--check", "--json", "--data", data)
    )
    assert again == {"results": 3, "differences": []}
    run("-m", "acsbench", "server", "audit", "verify", "--data", data)
