"""The operator's links: they show a button first, since previews of messages follow links too."""

from __future__ import annotations

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponseBase

from acsbench.server.pages.rendering import page
from acsbench.server.problems import Problem
from acsbench.server.sign_in.links import account_of_link

__all__ = ["enter"]


def enter(request: HttpRequest, public_id: str, token: str) -> HttpResponseBase:
    """Sign in whom the link was made for, once; a second factor is asked for as ever."""
    account = account_of_link(public_id, token)
    if account is None:
        raise Problem(
            404,
            "not_found",
            "This link was used, is older than a day, or was cut off. Ask for another one.",
        )
    if request.method != "POST":
        return page(request, "enter.html", {"owner": account, "here": "account"})
    record_authentication(request, account, method="link")
    answer: HttpResponseBase = perform_login(request, account, email_verification="none")
    return answer
