"""Bearer tokens: made once, shown once, kept as a hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from acsbench.errors import InputError
from acsbench.server import audit
from acsbench.server.models import Account, ApiToken

__all__ = ["MAX_AGE", "SCOPES", "NewToken", "account_of", "issue", "issue_on_record", "revoke"]

SCOPES = ("read", "submit")
MAX_AGE = timedelta(days=365)
_START = "acsb_"
_PREFIX_LENGTH = len(_START) + 7
_BYTES = 20  # 160 random bits
_USED_STEP = timedelta(hours=1)
"""`last_used_at` is that coarse: reading does not write."""


class NewToken(NamedTuple):
    """The row, and the text that only its owner gets to see, once."""

    row: ApiToken
    text: str


def issue(
    account: Account, *, scopes: Iterable[str], expires_at: datetime | None = None
) -> NewToken:
    """Make a token of an account.

    Raises
    ------
    InputError
        When a scope is unknown, or the token would outlive a year.
    """
    now = timezone.now()
    expires_at = expires_at or now + MAX_AGE
    chosen = sorted(set(scopes))
    if not chosen or not set(chosen) <= set(SCOPES):
        raise InputError(f"Scopes are {' and '.join(SCOPES)}; got {', '.join(chosen) or 'none'}.")
    if not now < expires_at <= now + MAX_AGE:
        raise InputError(f"A token ends within a year from now; {expires_at.isoformat()} does not.")
    text = _START + base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    row = ApiToken.objects.create(
        account=account,
        prefix=text[:_PREFIX_LENGTH],
        hash=_hash(text),
        scopes=chosen,
        expires_at=expires_at,
    )
    return NewToken(row, text)


def issue_on_record(
    account: Account, *, scopes: Iterable[str], expires_at: datetime, actor: str
) -> NewToken:
    """Make a token that its owner asked for, and write it into the audit chain."""
    with transaction.atomic():
        made = issue(account, scopes=scopes, expires_at=expires_at)
        audit.record(
            actor=actor,
            action="token.issued",
            object=f"token:{made.row.public_id}",
            detail={"scopes": " ".join(made.row.scopes)},
        )
    return made


def revoke(row: ApiToken, *, actor: str) -> None:
    """End a token at once."""
    with transaction.atomic():
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        audit.record(
            actor=actor, action="token.revoked", object=f"token:{row.public_id}", detail={}
        )


def account_of(text: str) -> ApiToken | None:
    """The live token with this text, with its account; None for any other text."""
    now = timezone.now()
    wanted = _hash(text)
    candidates = ApiToken.objects.select_related("account").filter(
        prefix=text[:_PREFIX_LENGTH],
        revoked_at__isnull=True,
        expires_at__gt=now,
        account__disabled_at__isnull=True,
    )
    for row in candidates:
        if hmac.compare_digest(row.hash, wanted):
            if row.last_used_at is None or row.last_used_at < now - _USED_STEP:
                ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
            return row
    return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
