"""What every page passes through: session, sign-in, form tokens, and how refusals are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import decorator_from_middleware
from django.views.decorators.csrf import csrf_protect

from acsbench.server.pages.errors import refusal_page
from acsbench.server.problems import Problem

__all__ = ["open_async_page", "open_page", "page_with_session"]

_MOST_FORM = 64 * 1024
_WITH_FILE = "multipart/form-data"
"""Its size is counted while it arrives, by `edge`."""
View = Callable[..., HttpResponseBase]
AsyncView = Callable[..., Coroutine[None, None, HttpResponseBase]]
_with_session = decorator_from_middleware(SessionMiddleware)
_with_account = decorator_from_middleware(AuthenticationMiddleware)


def open_page(view: View) -> View:
    """A page that is the same for everybody: neither session nor forms."""

    @functools.wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except Problem as problem:
            return refusal_page(request, problem)

    return shown


def open_async_page(view: AsyncView) -> AsyncView:
    """As `open_page`, of a view that the event loop runs."""

    @functools.wraps(view)
    async def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            return await view(request, *args, **kwargs)
        except Problem as problem:
            return refusal_page(request, problem)

    return shown


def page_with_session(view: View) -> View:
    """A page that knows who looks at it.

    These wrap pages alone: the API has no session, so no cookie can drive it.
    """
    protected: View = _with_session(csrf_protect(_with_account(open_page(view))))

    @functools.wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if request.content_type != _WITH_FILE and int(length) > _MOST_FORM:
            return refusal_page(request, Problem(413, "too_large", "The form is too large."))
        return protected(request, *args, **kwargs)

    return shown
