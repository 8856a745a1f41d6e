"""What is written down when somebody signs in."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from acsbench.server import audit
from acsbench.server.models import Account, Identity

__all__ = ["connect"]


def connect() -> None:
    """Ask to be told of sign-ins."""
    user_logged_in.connect(_write_down, dispatch_uid="acsbench.sign_in")


def _write_down(*, user: Account, sociallogin: Any = None, **_: Any) -> None:
    """Keep the identity at a provider; forget sessions that have ended."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    if sociallogin is None:
        return
    with transaction.atomic():
        identity, is_new = Identity.objects.get_or_create(
            provider=sociallogin.account.provider,
            subject=sociallogin.account.uid,
            defaults={"account": user},
        )
        if is_new:
            audit.record(
                actor=f"account:{user.public_id}",
                action="identity.linked",
                object=f"account:{user.public_id}",
                detail={"provider": identity.provider},
            )
