"""The head of the audit chain, how to check it, and what hosts did."""

from __future__ import annotations

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from acsbench.server import audit
from acsbench.server.models import Audit
from acsbench.server.pages.rendering import page
from acsbench.server.stores import published_keys

__all__ = ["audit_page"]

_PUBLIC = {
    "task.opened": "Task opened",
    "task.edited": "Text of a task edited",
    "submission.verified": "Submission verified",
    "submission.disqualified": "Submission disqualified",
    "quota.granted": "More places granted",
    "leak.allowed": "More feedback allowed",
}
_SHOWN = 100


def audit_page(request: HttpRequest) -> HttpResponse:
    """Show heads to all; of the entries those that tell what hosts did, with their reasons."""
    rows = Audit.objects.filter(action__in=_PUBLIC).order_by("-seq")[:_SHOWN]
    acts = [
        {
            "seq": row.seq,
            "at": f"{row.at[:10]} {row.at[11:16]}",
            "action": _PUBLIC[row.action],
            "object": row.object,
            "reason": row.detail.get("reason", "") or row.detail.get("note", ""),
            "hash": row.hash,
        }
        for row in rows
    ]
    keys = json.dumps(published_keys(settings.BOARD), indent=1)
    context = {"head": audit.head(), "acts": acts, "keys": keys, "here": "audit"}
    return page(request, "audit.html", context)
