"""A small board for tests: a synthetic task, its labels, files of known quality, people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acsbench.server.config import ServerConfig

CARD = {
    "name": "a model",
    "kind": "neural",
    "training_data": "the training split",
    "external_data": "none",
    "pretraining": "none",
    "holdout_seen": False,
    "intended_use": "research",
    "code_url": "",
    "paper": "",
    "contact": "ada@example.org",
}


@dataclass
class Task:
    """A task's folder, and what only its host knows."""

    folder: Path
    slug: str = "acs"
    n_rows: int = 200
    seed: int = 0
    text: str = ""
    version: int = 1
    title: str = "A task"
    ids: list[str] = field(init=False)
    labels: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 1])
        self.ids = [f"{self.slug}{n:06d}" for n in range(self.n_rows)]
        self.labels = (rng.random(self.n_rows) < 0.35).astype(int)
        self.folder.mkdir(parents=True, exist_ok=True)
        head = f'slug = "{self.slug}"\ntitle = "{self.title}"\nversion = {self.version}\n'
        (self.folder / "task.toml").write_text(f"{head}opens = 2026-01-01T00:00:00Z\n{self.text}")
        (self.folder / "ids.csv").write_text("".join(f"{i}\n" for i in ["ecg_id", *self.ids]))
        rows = [
            f"{i},p{n // 2},{y}\n"
            for n, (i, y) in enumerate(zip(self.ids, self.labels, strict=True))
        ]
        self.labels_file.write_text("ecg_id,patient_id,label\n" + "".join(rows))

    @property
    def labels_file(self) -> Path:
        return self.folder / "labels.csv"

    def scores(self, *, quality: float = 1.0, seed: int = 0) -> np.ndarray:
        noise = np.random.default_rng([seed, 2]).normal(size=self.n_rows)
        return 1 / (1 + np.exp(-(quality * self.labels + noise - 0.5)))

    def csv(self, scores: Any = None, *, quality: float = 1.0, seed: int = 0) -> bytes:
        scores = self.scores(quality=quality, seed=seed) if scores is None else scores
        rows = [f"{i},{score:.6f}\n" for i, score in zip(self.ids, scores, strict=True)]
        return ("ecg_id,score\n" + "".join(rows)).encode()


SMALL = """
[release]
min_per_class = 20
n_resamples = 200
"""
GENEROUS = """
[limits]
valid_per_24h = 1000
valid_total = 1000
invalid_per_24h = 1000
picks_per_30d = 1000
"""


@dataclass
class World:
    """A board with a task: two teams, a host, a steward, a stranger."""

    config: ServerConfig
    task: Task
    version: Any
    master: bytes
    accounts: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def sender(self, who: str):
        from acsbench.server.accept import Sender
        from acsbench.server.policy import team_of

        account = self.accounts[who]
        return Sender(account, team_of(account, self.version.task), self.version)

    def accept(self, who: str, data: bytes, **said: Any):
        from acsbench.server.accept import Upload, accept
        from acsbench.server.card import ModelCard

        said.setdefault("card", ModelCard.model_validate(CARD))
        return accept(Upload(data=data, **said), self.sender(who), self.config)

    def worker(self):
        from acsbench.server.worker import Worker

        return Worker(self.config, self.master)

    def work(self) -> None:
        worker = self.worker()
        while worker.step():
            pass

    def call(self, method: str, path: str, who: str | None = None, **more: Any):
        from django.test import Client

        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        headers.update(more.pop("headers", {}))
        if "json" in more:
            more |= {"data": json.dumps(more.pop("json")), "content_type": "application/json"}
        return Client().generic(method, f"/api/v1{path}", headers=headers, **more)

    def submit(self, who: str, data: bytes, **more: Any):
        """Send a file as a form, as the command does."""
        from django.core.files.uploadedfile import SimpleUploadedFile
        from django.test import Client

        headers = {"Authorization": f"Bearer {self.tokens[who]}", **more.pop("headers", {})}
        path = f"/api/v1/tasks/acs/submissions{more.pop('query', '')}"
        form = {"file": SimpleUploadedFile("mine.csv", data), "card": json.dumps(CARD), **more}
        return Client().post(path, form, headers=headers)


def make_world(config: ServerConfig, folder: Path, *, text: str = SMALL) -> World:
    from acsbench.server import operate
    from acsbench.server.keys import master_key

    task = Task(folder / "task", text=text)
    master = master_key(config)
    version = operate.load_task(task.folder, task.labels_file, config, master)
    world = World(config, task, version, master)
    for who in ("ada", "bob", "host", "steward", "stranger"):
        email = f"{who}@example.org"
        world.accounts[who] = operate.new_account(email)
        world.tokens[who] = operate.new_token(email, scopes=["read", "submit"], days=1).text
    for who in ("ada", "bob"):
        operate.new_team(f"Team {who}")
        operate.add_member(f"team-{who}", f"{who}@example.org", "acs")
    operate.give_role("host@example.org", "acs", "host")
    operate.give_role("steward@example.org", "acs", "steward")
    return world
