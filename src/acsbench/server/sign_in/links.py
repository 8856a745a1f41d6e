"""Links that sign somebody in once, made by the operator."""

from __future__ import annotations

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction

from acsbench.server import audit
from acsbench.server.models import Account

__all__ = ["account_of_link", "sign_in_link"]


class _Links(PasswordResetTokenGenerator):
    """Django's signed tokens: they end with the next sign-in, and after a day."""

    key_salt = "acsbench.sign_in.links"


_links = _Links()


def sign_in_link(account: Account, base: str) -> str:
    """A link that works once, for a day, until the account signs in in any way."""
    with transaction.atomic():
        audit.record(
            actor="operator",
            action="sign_in_link.made",
            object=f"account:{account.public_id}",
            detail={},
        )
    return f"{base}/account/enter/{account.public_id}/{_links.make_token(account)}/"


def account_of_link(public_id: str, token: str) -> Account | None:
    """Whose link it is; None when it was used, is too old, or never was one."""
    account = Account.objects.filter(public_id=public_id, disabled_at__isnull=True).first()
    if account is None or not _links.check_token(account, token):
        return None
    return account
