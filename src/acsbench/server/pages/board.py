"""The board as it is drawn: from the published document to what the template writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

from acsbench.leaderboard.metric_names import metric_title
from acsbench.server.models import TaskVersion
from acsbench.server.pages.axis import Axis, axis_of
from acsbench.server.pages.words import KINDS, VERIFICATIONS
from acsbench.server.standings import BoardTable, EntryRow

__all__ = ["FILTERS", "BoardRow", "BoardView", "Choice", "Estimate", "board_view"]

FILTERS: dict[str, tuple[str, Callable[[EntryRow], bool]]] = {
    "all": ("All", lambda row: True),  # noqa: ARG005  a filter takes a row
    "teams": ("Teams", lambda row: not row.is_baseline),
    "baselines": ("Baselines", lambda row: row.is_baseline),
    "verified": ("Verified", lambda row: row.verification in ("artefact", "reproduced")),
    "tied": ("Tied with the leader", lambda row: row.tied_with_leader),
}
_MARKS = {"claimed": "claimed", "artefact": "artefact seen", "reproduced": "reproduced"}


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval: decimal strings, and words for one that is not there."""

    metric: str
    value: str | None
    low: str | None
    high: str | None
    reason: str | None


@dataclass(frozen=True)
class BoardRow:
    """One entry.

    Attributes
    ----------
    rank, ranks : str
        Its own rank, and all that the tests leave open: ``2``, ``1–4``.
    group : int
        Tie group, from 1; 0 where there is no value.
    x, x_low, x_high, x_width : str or None
        Where value and interval lie on the common axis.
    others : tuple of Estimate
        The panel but for the primary metric.
    """

    submission: str
    team: str
    team_slug: str
    affiliation: str
    model: str
    kind: str
    is_baseline: bool
    rank: str
    ranks: str
    group: int
    tied_with_leader: bool
    primary: Estimate
    x: str | None
    x_low: str | None
    x_high: str | None
    others: tuple[Estimate, ...]
    verification: str
    verification_words: str
    date: str

    @property
    def is_open(self) -> bool:
        """Whether the tests leave more than one rank open."""
        return "–" in self.ranks and self.ranks != "–"


@dataclass(frozen=True)
class Run:
    """Neighbours of one tie group, a part of the table.

    Attributes
    ----------
    header : str
        What they have in common; empty where the group was opened further up, or in another order
        than by rank.
    mark : str
        What each row says of its group instead.
    rows : tuple of BoardRow
    """

    header: str
    mark: str
    rows: tuple[BoardRow, ...]


@dataclass(frozen=True)
class Choice:
    """A link that filters or sorts; `is_on` says that it is followed already."""

    key: str
    title: str
    is_on: bool


@dataclass(frozen=True)
class BoardView:
    """Everything a board page shows; `rows` are filtered and in order.

    Attributes
    ----------
    n_negative, n_patients, n_positive : int or None
        None before the first entry is ranked.
    band : (str, str) or None
        Where the leader's interval begins on the axis, and how wide it is.
    """

    slug: str
    title: str
    question: str
    name: str
    number: int
    superseded_by: str | None
    board_version: int
    primary: str
    others: tuple[Choice, ...]
    n_rows: int
    n_patients: int | None
    n_positive: int | None
    n_entries: int
    n_tied: int
    half_width: str | None
    axis: Axis
    band: tuple[str, str] | None
    rows: tuple[BoardRow, ...]
    leader: BoardRow | None
    second: BoardRow | None
    filters: tuple[Choice, ...]
    sorts: tuple[Choice, ...]
    shown: str
    order: str
    updated: str

    @property
    def rows_text(self) -> str:
        """Number of rows, for people."""
        return f"{self.n_rows:,}"

    @property
    def patients_text(self) -> str:
        """Number of patients; a dash before anything was ranked."""
        return "–" if self.n_patients is None else f"{self.n_patients:,}"

    @property
    def events_text(self) -> str:
        """Number of positives and their share."""
        if self.n_positive is None:
            return "–"
        return f"{self.n_positive:,} ({self.n_positive / self.n_rows:.0%})"

    @property
    def runs(self) -> tuple[Run, ...]:
        """The rows in parts: by rank one for each stretch of a tie group."""
        if self.order != "rank":
            return (Run("", "", self.rows),)
        return _by_group(self.rows, is_lone=self.n_tied <= 1)

    @property
    def n_columns(self) -> int:
        """Columns of the table."""
        return 5 + len(self.others)

    @property
    def compare(self) -> tuple[str, str] | None:
        """Two entries to begin a comparison with: the first two."""
        if self.leader is None or self.second is None:
            return None
        return self.leader.submission, self.second.submission


def board_view(version: TaskVersion, *, show: str = "all", sort: str = "rank") -> BoardView:
    """Draw a board from what is published of it.

    Parameters
    ----------
    version : TaskVersion
        With its board's state.
    show : str
        A key of `FILTERS`; unknown ones show all.
    sort : str
        ``rank``, ``date``, ``team`` or a metric of the panel; unknown ones are the rank.
    """
    state = version.board_state
    board = BoardTable.model_validate_json(state.document)
    definition: dict[str, Any] = version.definition["definition"]
    panel = [name for name in definition["panel"] if name != board.primary]
    show = show if show in FILTERS else "all"
    sort = sort if sort in ("rank", "date", "team", *panel) else "rank"
    axis = axis_of(
        bound
        for row in board.entries
        for one in [_estimate(row, board.primary)]
        for bound in (one.value, one.low, one.high)
    )
    drawn = {row.submission: _row(row, board.primary, panel, axis) for row in board.entries}
    kept = [drawn[row.submission] for row in board.entries if FILTERS[show][1](row)]
    ranked = [row for row in drawn.values() if row.x is not None]
    return BoardView(
        slug=board.task,
        title=definition["title"],
        question=definition.get("question", ""),
        name=board.task_version,
        number=version.number,
        superseded_by=board.superseded_by,
        board_version=board.version,
        primary=metric_title(board.primary),
        others=tuple(Choice(name, metric_title(name), name == sort) for name in panel),
        n_rows=board.n_rows,
        n_patients=board.n_patients,
        n_positive=board.n_positive,
        n_entries=board.n_entries,
        n_tied=board.n_tied_with_leader,
        half_width=_half_width(ranked[0].primary) if ranked else None,
        axis=axis,
        band=_band(ranked[0], axis) if ranked else None,
        rows=tuple(_ordered(kept, sort, panel)),
        leader=ranked[0] if ranked else None,
        second=ranked[1] if len(ranked) > 1 else None,
        filters=tuple(Choice(key, title, key == show) for key, (title, _) in FILTERS.items()),
        sorts=tuple(
            Choice(key, title, key == sort)
            for key, title in (("rank", "Rank"), ("date", "Date"), ("team", "Team"))
        ),
        shown=show,
        order=sort,
        updated=f"{state.updated_at:%Y-%m-%d}" if state.updated_at else "",
    )


def _row(row: EntryRow, primary: str, panel: Sequence[str], axis: Axis) -> BoardRow:
    own = _estimate(row, primary)
    return BoardRow(
        submission=row.submission,
        team=row.team.name,
        team_slug=row.team.slug,
        affiliation=row.team.affiliation,
        model=row.model,
        kind=KINDS.get(row.kind, row.kind),
        is_baseline=row.is_baseline,
        rank=str(row.rank or "–"),
        ranks=_ranks(row),
        group=row.tie_group or 0,
        tied_with_leader=row.tied_with_leader,
        primary=own,
        x=axis.x(own.value),
        x_low=axis.x(own.low),
        x_high=axis.x(own.high),
        others=tuple(_estimate(row, name) for name in panel),
        verification=_MARKS.get(row.verification or "", ""),
        verification_words=VERIFICATIONS.get(row.verification or "", ""),
        date=row.since[:10],
    )


def _ranks(row: EntryRow) -> str:
    if row.rank_low is None or row.rank_high is None:
        return "–"
    if row.rank_low == row.rank_high:
        return str(row.rank_low)
    return f"{row.rank_low}–{row.rank_high}"


def _estimate(row: EntryRow, metric: str) -> Estimate:
    for one in row.panel:
        if one["metric"] == metric:
            return Estimate(metric, one["value"], one["low"], one["high"], one["reason"])
    return Estimate(metric, None, None, None, "not in this version's panel")


def _half_width(leader: Estimate) -> str | None:
    """Half of the leader's interval, with its decimals: how far values have to lie apart."""
    if leader.low is None or leader.high is None:
        return None
    return f"{(Decimal(leader.high) - Decimal(leader.low)) / 2:.3f}"


def _band(leader: BoardRow, axis: Axis) -> tuple[str, str] | None:
    low, high = axis.x(leader.primary.low), axis.x(leader.primary.high)
    if low is None or high is None:
        return None
    return low, f"{float(high[:-1]) - float(low[:-1]):.2f}%"


Key = Callable[[BoardRow], Any]


def _ordered(rows: Sequence[BoardRow], sort: str, panel: Sequence[str]) -> list[BoardRow]:
    """Rows by date or team; by another metric the higher first, those without a value last."""
    if sort == "rank":
        return list(rows)
    if sort in ("date", "team"):
        key: Key = (lambda row: row.date) if sort == "date" else (lambda row: row.team.casefold())
        return sorted(rows, key=key, reverse=sort == "date")
    at = panel.index(sort)
    sign: Literal[1, -1] = 1 if sort == "brier" else -1

    def by_value(row: BoardRow) -> tuple[bool, Decimal]:
        value = row.others[at].value
        return value is None, sign * Decimal(value or 0)

    return sorted(rows, key=by_value)


def _by_group(rows: Sequence[BoardRow], *, is_lone: bool) -> tuple[Run, ...]:
    """Each group gets its header once: groups interleave, since ties are not transitive."""
    opened: set[int] = set()
    runs = []
    for group, found in groupby(rows, key=lambda row: row.group):
        is_new = group not in opened
        header, mark = (_group_title(group, is_lone), "") if is_new else ("", _group_mark(group))
        opened.add(group)
        runs.append(Run(header, mark, tuple(found)))
    return tuple(runs)


def _group_title(group: int, is_lone: bool) -> str:
    if not group:
        return "Without a value"
    if group == 1:
        return "The leader" if is_lone else "Not told apart from the leader"
    return f"Group {group}: not told apart from its first entry"


def _group_mark(group: int) -> str:
    return "tied with the leader" if group == 1 else f"of group {group}"
