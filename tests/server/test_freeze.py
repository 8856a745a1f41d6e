"""A frozen board: files that need no server, the same bytes each time, nothing of small groups."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from board_world import SMALL, make_world


def entered(world):
    """The world with an entry of each team."""
    for who, quality in (("ada", 2.0), ("bob", 0.3)):
        sent = world.accept(who, world.task.csv(quality=quality))
        world.work()
        body = {"submission": sent.submission.public_id}
        assert world.call("PUT", "/tasks/acs/entry", who, json=body).status_code == 200
    world.work()
    return world


def frozen(world, folder: Path):
    from acsbench.server.freezing import close_board
    from acsbench.server.frozen_site import write_site

    freeze = close_board("acs", world.config, world.master)
    write_site(freeze, folder, world.config)
    return freeze


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_twice_gives_the_same_bytes_and_one_audit_entry(world, tmp_path: Path) -> None:
    from acsbench.server.models import Audit

    entered(world)
    frozen(world, tmp_path / "a")
    frozen(world, tmp_path / "b")
    frozen(world, tmp_path / "a")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert Audit.objects.filter(action="task.frozen").count() == 1
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path / "a",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == len(contents(tmp_path / "a")) - 1


def test_every_link_leads_to_a_file_beside_it_and_nothing_runs(world, tmp_path: Path) -> None:
    entered(world)
    frozen(world, tmp_path / "site")
    names = set(contents(tmp_path / "site"))
    for page in ("index.html", "details.html"):
        html = (tmp_path / "site" / page).read_text()
        links = Links()
        links.feed(html)
        assert links.found
        for link in links.found:
            assert link.startswith("#") or link.partition("#")[0] in names, link
        assert "<script" not in html
        assert "<form" not in html


def test_what_is_frozen_is_what_the_board_shows_and_the_version_is_closed(
    world, tmp_path: Path
) -> None:
    entered(world)
    before = json.loads(world.call("GET", "/tasks/acs/board").content)
    freeze = frozen(world, tmp_path / "site")
    board = json.loads((tmp_path / "site" / "board.json").read_text())
    assert board["entries"] == before["entries"]
    assert json.loads(world.call("GET", "/tasks/acs/board").content) == board
    assert pl.read_csv(tmp_path / "site" / "board.csv").height == 2
    assert pl.read_parquet(tmp_path / "site" / "board.parquet").height == 2
    facts = json.loads((tmp_path / "site" / "freeze.json").read_text())
    assert facts["label_commitment"] == world.version.label_commitment
    assert facts["audit_head"]["hash"] == freeze.audit_hash
    card = json.loads(
        (tmp_path / "site" / f"cards/{board['entries'][0]['submission']}.json").read_text()
    )
    assert card["name"] == "a model"
    refused = world.submit("ada", world.task.csv(seed=8))
    assert (refused.status_code, refused.json()["code"]) == (409, "task_closed")


def test_a_board_with_waiting_files_is_not_closed(world, tmp_path: Path) -> None:
    from acsbench.errors import StepError

    world.accept("ada", world.task.csv())
    with pytest.raises(StepError, match="1 submissions of acs-v1 wait"):
        frozen(world, tmp_path / "site")
    world.version.refresh_from_db()
    assert world.version.state == "open"


def test_a_folder_of_something_else_is_left_alone(world, tmp_path: Path) -> None:
    from acsbench.errors import InputError

    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="no frozen board"):
        frozen(world, tmp_path)


def test_a_doi_is_noted_once_and_shown(world, tmp_path: Path) -> None:
    from acsbench.errors import InputError
    from acsbench.server.freezing import set_doi
    from acsbench.server.models import Audit

    entered(world)
    freeze = frozen(world, tmp_path / "site")
    with pytest.raises(InputError, match="is no DOI"):
        set_doi(freeze, "zenodo")
    for _ in range(2):
        set_doi(freeze, "https://doi.org/10.5281/zenodo.1234567")
    assert Audit.objects.filter(action="task.doi").count() == 1
    frozen(world, tmp_path / "site")
    assert "10.5281/zenodo.1234567" in (tmp_path / "site" / "index.html").read_text()
    assert "10.5281/zenodo.1234567" in (tmp_path / "site" / "CITATION.cff").read_text()


def test_under_split_the_rows_without_feedback_decide(config, tmp_path: Path) -> None:
    world = entered(make_world(config, tmp_path, text=SMALL + 'policy = "split"\n'))
    before = json.loads(world.call("GET", "/tasks/acs/board").content)
    frozen(world, tmp_path / "site")
    board = json.loads((tmp_path / "site" / "board.json").read_text())
    assert before["n_patients"] + board["n_patients"] == 100
    assert before["n_patients"] < board["n_patients"]


def test_details_agree_with_the_plain_definitions_and_hide_small_groups() -> None:
    from datetime import UTC, datetime

    from sklearn.metrics import brier_score_loss, roc_auc_score

    from acsbench.leaderboard.definition import BoardTask, Release, TaskVersion
    from acsbench.leaderboard.details import entry_details
    from acsbench.leaderboard.scoring import Truth, score

    rng = np.random.default_rng(0)
    n = 400
    labels = (rng.random(n) < 0.4).astype(np.int8)
    scores = 1 / (1 + np.exp(-(labels + rng.normal(size=n))))
    sex = np.where(rng.random(n) < 0.5, "F", "M")
    site = np.where(np.arange(n) < 25, "small", "large")
    truth = Truth(
        labels, np.arange(n) // 2, {"sex": tuple(sex.tolist()), "site": tuple(site.tolist())}
    )
    task = BoardTask(
        slug="acs",
        title="x",
        opens=datetime(2027, 1, 1, tzinfo=UTC),
        release=Release(n_resamples=200),
    )
    version = TaskVersion(task, tuple(f"e{i}" for i in range(n)))
    told = entry_details(score(scores, truth, version), truth, version)
    by_sex, by_site = told["subgroups"]
    for group in by_sex["groups"]:
        mask = sex == group["group"]
        assert group["value"] == f"{roc_auc_score(labels[mask], scores[mask]):.2f}"
        assert float(group["low"]) <= float(group["value"]) <= float(group["high"])
    assert by_sex["largest_gap"]["low"] is not None
    # 25 rows are too few, and so the rest may not be shown either
    assert [group["value"] for group in by_site["groups"]] == [None, None]
    assert by_site["largest_gap"] is None
    assert told["calibration"]["brier"]["value"] == f"{brier_score_loss(labels, scores):.2f}"
    bins = told["calibration"]["bins"]
    assert sum(one["n_rows"] for one in bins) == n
    assert len(bins) == 10
    assert min(one["n_rows"] for one in bins) >= 20
    numbers = re.findall(r"-?\d+\.\d{3,}", json.dumps(told))
    assert numbers == []  # two decimals, no more
