"""Open data sets, fetched from their publisher: resumable, checked file by file, licence first.

Only sets whose licence lets anybody download them are here. Nightingale's and MIMIC-IV's are given
by their keepers to people who agreed to their terms.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from acsbench.errors import (
    InputError,
    NetworkError,
    StepError,
    UnknownNameError,
    did_you_mean,
    first_few,
)
from acsbench.parallel import progress
from acsbench.provenance import file_sha256

__all__ = ["DATASETS", "OpenDataset", "dataset", "download"]

_SUMS = "SHA256SUMS.txt"
_SUM_LINE = re.compile(r"([0-9a-f]{64})[ *]+(.+)")
_BLOCK = 2**16
_TIMEOUT_S = 60
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class OpenDataset:
    """What anybody may download, and on which terms.

    Attributes
    ----------
    name, title, url : str
        ``url`` is the folder that holds ``SHA256SUMS.txt``.
    licence, licence_url, citation : str
    """

    name: str
    title: str
    url: str
    licence: str
    licence_url: str
    citation: str

    @property
    def notice(self) -> str:
        """What a user has to see before the download starts."""
        return (
            f"{self.title}\n  from     {self.url}\n  licence  {self.licence} ({self.licence_url})\n"
            f"  cite     {self.citation}"
        )


_PHYSIONET = "Goldberger et al., Circulation 101(23):e215 (2000)"
DATASETS: Mapping[str, OpenDataset] = {
    "ptbxl": OpenDataset(
        name="ptbxl",
        title="PTB-XL 1.0.3, 21,799 ECGs of 18,869 patients (about 3 GB)",
        url="https://physionet.org/files/ptb-xl/1.0.3/",
        licence="Creative Commons Attribution 4.0",
        licence_url="https://creativecommons.org/licenses/by/4.0/",
        citation="Wagner et al., Sci Data 7:154 (2020), doi:10.1038/s41597-020-0495-6; "
        f"PhysioNet, doi:10.13026/kfzx-aw45; {_PHYSIONET}",
    ),
    "ludb": OpenDataset(
        name="ludb",
        title="LUDB 1.0.1, 200 ECGs of 200 subjects (about 25 MB)",
        url="https://physionet.org/files/ludb/1.0.1/",
        licence="Open Data Commons Attribution License 1.0",
        licence_url="https://opendatacommons.org/licenses/by/1-0/",
        citation="Kalyakulina et al., IEEE Access 8:186181 (2020), "
        "doi:10.1109/ACCESS.2020.3029211; "
        f"PhysioNet, doi:10.13026/eegm-h675; {_PHYSIONET}",
    ),
}


def dataset(name: str) -> OpenDataset:
    """Return an open data set by name.

    Raises
    ------
    UnknownNameError
    """
    if name not in DATASETS:
        raise UnknownNameError(
            f"No open data set is called '{name}'.{did_you_mean(name, DATASETS)} "
            f"Known: {', '.join(DATASETS)}."
        )
    return DATASETS[name]


def download(
    name: str,
    folder: Path,
    *,
    only: Sequence[str] = (),
    url: str | None = None,
    n_connections: int = 4,
) -> Path:
    """Fetch an open data set; files that are there and whole are not fetched again.

    Parameters
    ----------
    name : str
        See `DATASETS`; show ``dataset(name).notice`` first.
    folder : Path
        Where it goes; made if needed.
    only : sequence of str
        Patterns of paths, as ``"records100/*"``; by default everything.
    url : str, optional
        A mirror of the publisher's folder.
    n_connections : int
        Files fetched at once.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UnknownNameError
    InputError
        When no file matches ``only``, or the list of checksums is none.
    NetworkError, StepError
        When the server cannot be reached, or a file stays damaged; what is finished stays.
    """
    base = _checked_url(url or dataset(name).url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    sums = _checksums(base, folder)
    wanted = [path for path in sums if not only or any(fnmatch(path, glob) for glob in only)]
    if not wanted:
        raise InputError(
            f"No file of '{name}' matches {', '.join(only)}; it has {first_few(list(sums), n=3)}."
        )
    with _stoppable(n_connections) as pool:
        jobs = [pool.submit(_fetch, base, path, folder, sums[path]) for path in wanted]
        for job in progress(as_completed(jobs), label=f"downloading {name}", total=len(jobs)):
            job.result()
    return folder


@contextlib.contextmanager
def _stoppable(n_connections: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool that forgets what it has not begun when something fails."""
    pool = ThreadPoolExecutor(max_workers=n_connections)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _checked_url(url: str) -> str:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url} is no address that starts with http:// or https://.")
    return url if url.endswith("/") else f"{url}/"


def _checksums(base: str, folder: Path) -> dict[str, str]:
    """Checksum of each file, by its path below the folder; keeps the publisher's list."""
    part = folder / f"{_SUMS}.part"
    part.unlink(missing_ok=True)
    _append(base, _SUMS, part)
    sums: dict[str, str] = {}
    for line in part.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _SUM_LINE.fullmatch(line.strip())
        path = PurePosixPath(match[2]) if match else None
        if match is None or path is None or path.is_absolute() or ".." in path.parts:
            part.unlink()
            raise InputError(f"{base}{_SUMS} is no list of checksums: {line[:80]!r}.")
        sums[str(path)] = match[1]
    if not sums:
        part.unlink()
        raise InputError(f"{base}{_SUMS} is empty.")
    part.replace(folder / _SUMS)
    return sums


def _fetch(base: str, path: str, folder: Path, checksum: str) -> None:
    """Fetch one file, going on where an earlier attempt stopped."""
    target = folder / path
    if target.is_file() and file_sha256(target) == checksum:
        return
    part = target.with_name(f"{target.name}.part")
    for _ in range(2):  # once more from the start, should what was kept be damaged
        _append(base, path, part)
        if file_sha256(part) == checksum:
            part.replace(target)
            return
        part.unlink()
    raise StepError(
        f"{base}{path} does not have the checksum that {_SUMS} gives. Nothing damaged was kept; "
        "try again later, or use another mirror."
    )


def _append(base: str, path: str, part: Path) -> None:
    """Fetch what ``part`` lacks; a broken connection is taken up again."""
    url = f"{base}{urllib.parse.quote(path)}"
    for attempt in range(_TRIES):
        try:
            _append_once(url, part)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # nothing is left to fetch; the checksum decides
            problem = f"the server answers {error.code}"
            if error.code < http.client.INTERNAL_SERVER_ERROR:
                raise NetworkError(f"{url}: {problem}.") from None
        except urllib.error.URLError as error:
            problem = getattr(error.reason, "strerror", None) or str(error.reason)
        except (ConnectionError, TimeoutError) as error:
            problem = str(error)
        except http.client.HTTPException as error:
            problem = repr(error)
        except OSError as error:
            raise _unwritable(part, error) from None
        else:
            return
        time.sleep(attempt)
    raise NetworkError(
        f"{url} cannot be fetched ({problem}). Check the connection and start again: finished "
        "files stay, and a broken one goes on where it stopped."
    )


def _unwritable(path: Path, error: OSError) -> StepError:
    return StepError(
        f"Cannot write {path}: {error.strerror}. Make room or choose another folder; finished "
        "files stay."
    )


def _append_once(url: str, part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310  the scheme was checked
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310  as above
        goes_on = response.status == http.client.PARTIAL_CONTENT
        expected = response.length
        with part.open("ab" if goes_on else "wb") as stream:
            shutil.copyfileobj(response, stream, _BLOCK)
            received = stream.tell() - (start if goes_on else 0)
    if expected is not None and received < expected:
        raise http.client.IncompleteRead(b"", expected - received)
