"""The pages of allauth that a board offers, each with a session like our own."""

from __future__ import annotations

from collections.abc import Iterable

from allauth.urls import urlpatterns as all_of_them
from django.urls import URLPattern, URLResolver

from acsbench.server.pages.gate import page_with_session

__all__ = ["urlpatterns"]

_OFFERED = {
    *("account_login", "account_logout", "account_inactive", "account_reauthenticate"),
    *("account_change_password", "account_set_password"),
    *("socialaccount_login_cancelled", "socialaccount_login_error", "socialaccount_signup"),
    *("socialaccount_connections", "github_login", "github_callback"),
    *("openid_connect_login", "openid_connect_callback"),
    *("mfa_authenticate", "mfa_reauthenticate", "mfa_index", "mfa_activate_totp"),
    *("mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes"),
    "mfa_download_recovery_codes",
}
"""No sign-up, no mail: accounts come from the operator or a provider, and a board sends none."""


def _wrapped(patterns: Iterable[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    kept: list[URLPattern | URLResolver] = []
    for one in patterns:
        if isinstance(one, URLResolver):
            inner = _wrapped(one.url_patterns)
            if inner:
                kept.append(URLResolver(one.pattern, inner))
        elif one.name in _OFFERED:
            kept.append(URLPattern(one.pattern, page_with_session(one.callback), name=one.name))
    return kept


urlpatterns = _wrapped(all_of_them)
