"""The board's page: `python -m benchmarks board_pages`, part of `make bench-server`.

CPU of the board's web process and of nginx, both per request of the same bytes, by wrk in one run.
Needs wrk and nginx; without them it says so. Every process is ended by its own id.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

from acsbench.server.client import BoardClient
from benchmarks.board import SIZES, make, row
from benchmarks.server import _COMMON, CARD, _web_of, python, serving, write_board

N_ENTRIES, SECONDS, REPEATS, CONNECTIONS = 100, 3, 5, 16
_FILL = (
    _COMMON
    + """
from acsbench.server.models import BoardState, TaskVersion
from acsbench.server.standings import BoardOut, save_document
def entry(n):
    value = 0.9 - 0.002 * n
    def one(metric, at):
        return dict(metric=metric, value=f"{at:.3f}", low=f"{at - .03:.3f}", high=f"{at + .03:.3f}",
                    reason=None)
    names = version.definition["definition"]["panel"]
    return dict(submission=f"{n:016d}", model=f"a model {n}", kind="neural", is_baseline=n % 9 == 8,
        team=dict(name=f"Team {n}", slug=f"team-{n}", affiliation="", url=""),
        rank=n + 1, rank_low=max(1, n - 9), rank_high=min(plan["n"], n + 11),
        tie_group=1 + n // 12, tied_with_leader=n < 12, panel=[one(m, value) for m in names],
        verification=None, scored_at="2027-01-02T10:00Z", since="2027-01-02T10:00Z")
version = TaskVersion.objects.get()
board = BoardOut(task="acs", task_version=version.name, superseded_by=None, version=5,
    primary="auroc", n_rows=version.n_rows, n_patients=1000, n_positive=200, n_entries=plan["n"],
    n_tied_with_leader=12, entries=[entry(n) for n in range(plan["n"])], pairs=[
        dict(a=f"{a:016d}", b=f"{b:016d}", difference="0.012", low="-0.008", high="0.032",
             word="tied", reason=None) for b in range(plan["n"]) for a in range(b)])
state = BoardState.objects.get()
save_document(state, board)
BoardState.objects.filter(pk=state.pk).update(document=state.document, wanted=5, version=5,
    document_sha256=state.document_sha256, lease_until=None)
from acsbench.server.pages.board_page import board_html
version = TaskVersion.objects.select_related("task", "board_state").get()
board_html(version)
spent = []
for _ in range(plan["repeats"]):
    start = time.process_time()
    board_html(version)
    spent.append(time.process_time() - start)
print(json.dumps(spent))
"""
)
_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; etag on; keepalive_requests 10000000; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  types {{ text/html html; }}
  server {{ listen 127.0.0.1:{port}; root {folder}/root; }}
}}
"""


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(address: str, *, seconds: int = SECONDS, lua: Path | None = None) -> tuple[int, float]:
    """Requests answered with 2xx, and the p99 latency in seconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    said = subprocess.run(
        [*command, *(["-s", str(lua)] if lua else []), address],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"(\d+) requests in", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert found, said
    assert p99, said
    return int(found[1]), float(p99[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[p99[2]]


def cost(pid: int, address: str) -> float:
    """CPU seconds of a process per request."""
    before = cpu_of(pid)
    n, _ = wrk(address)
    return (cpu_of(pid) - before) / n


@contextmanager
def nginx(folder: Path, page: bytes) -> Iterator[tuple[str, int]]:
    """An nginx that serves the same bytes; its address and process id."""
    (folder / "root").mkdir()
    (folder / "root" / "board.html").write_bytes(page)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(folder)], stderr=-3)
    try:
        address = f"http://127.0.0.1:{port}/board.html"
        for _ in range(100):
            try:
                with urlopen(address, timeout=5) as answer:
                    assert answer.read() == page
                break
            except OSError:
                time.sleep(0.05)
        yield address, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def main() -> None:
    """Print the page rows of a board."""
    missing = [name for name in ("wrk", "nginx") if shutil.which(name) is None]
    if missing:
        print(f"The page rows need {' and '.join(missing)}, not installed here.")
        return
    with tempfile.TemporaryDirectory() as name:
        ratio_rows(Path(name))
    with tempfile.TemporaryDirectory() as name:
        busy_row(Path(name))


def fill(folder: Path) -> list[float]:
    """Publish a board of many entries; seconds of CPU that each drawing took."""
    plan = {"data": str(folder / "data"), "n": N_ENTRIES, "repeats": 9}
    spent: list[float] = json.loads(python(_FILL, plan))
    return spent


def ratio_rows(folder: Path) -> None:
    """CPU per request against nginx, drawing, and p99 on an idle worker."""
    write_board(folder, make(*SIZES[0]), n_teams=1)
    row("first render after a change, 100 entries, CPU", ms(fill(folder)), "<= 8 ms")
    with serving(folder / "data") as (address, parent):
        web = _web_of(parent)
        early = f"{address}/tasks/acs/board/"
        with urlopen(early, timeout=10) as answer:
            page = answer.read()
        view = f"{early}?show=all&sort=rank"
        with nginx(folder, page) as (static, pid):
            static_s, early_s, view_s, late = [], [], [], []
            for _ in range(REPEATS):
                static_s.append(cost(pid, static))
                early_s.append(cost(web, early))
                view_s.append(cost(web, view))
                late.append(wrk(early)[1])
    against = statistics.median(static_s)
    row(f"nginx, the same {len(page):,} bytes, CPU per request", us(static_s), "")
    row("board page, warm, CPU per request", us(early_s), "")
    ratio = statistics.median(early_s) / against
    row("  against nginx", f"{ratio:.1f} x", "<= 5 x")
    row("the same through the full view, CPU per request", us(view_s), "")
    row("  against nginx", f"{statistics.median(view_s) / against:.1f} x", "<= 20 x")
    row(f"p99, 16 connections, load {os.getloadavg()[0]:.0f}", ms(late), "< 10 ms")


def busy_row(folder: Path) -> None:
    """P99 while a full file is checked by the web process and scored by the worker."""
    made = make(*SIZES[1])
    (token,) = write_board(folder, made, n_teams=1)
    fill(folder)
    file = folder / "upload.csv"
    file.write_bytes(made.upload)
    with serving(folder / "data") as (address, _):
        board = f"{address}/tasks/acs/board/"
        with urlopen(board, timeout=10) as answer:
            answer.read()
        sender = threading.Thread(
            target=BoardClient(address, token=token).submit,
            args=(file, "acs"),
            kwargs={"card": CARD},
        )
        sender.start()
        _, p99 = wrk(board, seconds=5)
        sender.join()
    what = f"  while {made.version.n_rows:,} rows are scored, load {os.getloadavg()[0]:.0f}"
    row(what, f"{1e3 * p99:.1f} ms", "< 50 ms")


def ms(seconds: list[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.1f} ms"


def us(seconds: list[float]) -> str:
    return f"{1e6 * statistics.median(seconds):.0f} us"


if __name__ == "__main__":
    main()
