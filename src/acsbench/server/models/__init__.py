"""The tables of a board: people, tasks, submissions, records."""

from acsbench.server.models.people import (
    Account,
    ApiToken,
    Attestation,
    Identity,
    Membership,
    TaskRole,
    Team,
)
from acsbench.server.models.records import (
    Attempt,
    Audit,
    BoardState,
    Freeze,
    Grant,
    Lock,
    QuotaState,
    RateBucket,
    Signal,
    Verification,
    WorkerBeat,
)
from acsbench.server.models.submissions import Entry, Result, State, Submission
from acsbench.server.models.tasks import Task, TaskVersion
from acsbench.server.models.webhooks import CourierPlace, Delivery, Webhook

__all__ = [
    "Account",
    "ApiToken",
    "Attempt",
    "Attestation",
    "Audit",
    "BoardState",
    "CourierPlace",
    "Delivery",
    "Entry",
    "Freeze",
    "Grant",
    "Identity",
    "Lock",
    "Membership",
    "QuotaState",
    "RateBucket",
    "Result",
    "Signal",
    "State",
    "Submission",
    "Task",
    "TaskRole",
    "TaskVersion",
    "Team",
    "Verification",
    "Webhook",
    "WorkerBeat",
]
