"""What allauth asks this board: who may come, which providers there are, where to go."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from acsbench.server.models import Account, Identity
from acsbench.server.sign_in.config import client_secret

__all__ = ["AccountAdapter", "ProviderAdapter", "SecondFactorAdapter"]

_FRESH_S = 600.0


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    """Nobody signs up with a password: accounts come from the operator or a provider."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002  allauth's signature
        """No."""
        return False

    def is_reauthentication_required(self, *, app: str) -> bool:  # noqa: ARG002  allauth's signature
        """Whether to ask again: not right after a sign-in, in whichever way it was."""
        request = context.request
        records = get_authentication_records(request, request.user)
        return not records or time.time() - records[-1]["at"] > _FRESH_S

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Pages say themselves what happened."""

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        """A board sends no mail."""

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """A board sends no mail."""


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    """Providers are those of `board.toml`; an email links only when the provider verified it."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002  allauth's signature
        """As the configuration says."""
        return bool(settings.BOARD.sign_in.open)

    def list_apps(
        self,
        request: HttpRequest | None,  # noqa: ARG002  allauth's signature
        provider: str | None = None,
        client_id: str | None = None,
    ) -> list[SocialApp]:
        """Providers by their kind or name; secrets are read when somebody signs in."""
        board = settings.BOARD
        apps = [
            SocialApp(
                provider="openid_connect",
                provider_id=one.name,
                name=one.shown,
                client_id=one.client_id,
                secret=client_secret(one, board.data),
                settings={"server_url": one.server, "oauth_pkce_enabled": True},
            )
            for one in board.sign_in.oidc
        ]
        if board.sign_in.github is not None:
            apps.append(
                SocialApp(
                    provider="github",
                    name="GitHub",
                    client_id=board.sign_in.github.client_id,
                    secret=client_secret(board.sign_in.github, board.data),
                    settings={},
                )
            )
        return [
            app
            for app in apps
            if provider in (None, app.provider, app.provider_id or None)
            and client_id in (None, app.client_id)
        ]

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Find the account by the board's own table of identities."""
        if sociallogin.is_existing:
            return
        known = Identity.objects.select_related("account").filter(
            provider=sociallogin.account.provider, subject=sociallogin.account.uid
        )
        if (found := known.first()) is not None:
            sociallogin.connect(request, found.account)

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> Account:
        """Write a new account, with what the provider has verified about it."""
        account: Account = super().save_user(request, sociallogin, form)
        verified = {one.email.casefold() for one in sociallogin.email_addresses if one.verified}
        account.email_verified_at = timezone.now() if account.email.casefold() in verified else None
        if sociallogin.account.provider == "orcid":
            account.orcid = sociallogin.account.uid
        account.save(update_fields=["email_verified_at", "orcid"])
        return account

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> Any:
        """Take name and address from the provider."""
        account = super().populate_user(request, sociallogin, data)
        parts = (data.get("first_name"), data.get("last_name"))
        account.name = (data.get("name") or " ".join(one for one in parts if one))[:100]
        return account


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth publishes no types
    """The secrets of authenticator apps are kept under the board's session key."""

    def encrypt(self, text: str) -> str:
        """Sealed with the key in ``keys/``, which no backup of the database holds."""
        from acsbench.server.sign_in.sealing import seal_text  # noqa: PLC0415  cryptography is heavy

        return seal_text(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Open what `encrypt` sealed."""
        from acsbench.server.sign_in.sealing import open_text  # noqa: PLC0415  cryptography is heavy

        return open_text(encrypted_text)

    def get_totp_issuer(self) -> str:
        """What the app shows."""
        return "acsbench board"
