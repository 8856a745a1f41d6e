"""Addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from acsbench.server.pages.account import account
from acsbench.server.pages.assets import serve_asset
from acsbench.server.pages.audit import audit_page
from acsbench.server.pages.board_page import board
from acsbench.server.pages.compare import compare
from acsbench.server.pages.enter import enter
from acsbench.server.pages.gate import open_async_page, open_page, page_with_session
from acsbench.server.pages.home import home
from acsbench.server.pages.host import host
from acsbench.server.pages.own_team import own_team
from acsbench.server.pages.status import status
from acsbench.server.pages.submission import receipt, submission
from acsbench.server.pages.submit import submit
from acsbench.server.pages.task import task
from acsbench.server.pages.team import team

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", open_page(home)),
    path("assets/<str:name>", open_page(serve_asset)),
    path("tasks/<slug:slug>/", open_page(task)),
    path("tasks/<slug:slug>/board/", open_async_page(board)),
    path("tasks/<slug:slug>/submit/", page_with_session(submit)),
    path("tasks/<slug:slug>/team/", page_with_session(own_team)),
    path("tasks/<slug:slug>/host/", page_with_session(host)),
    path("submissions/<str:public_id>/", page_with_session(submission)),
    path("submissions/<str:public_id>/receipt.json", page_with_session(receipt)),
    path("compare/", open_page(compare)),
    path("teams/<slug:slug>/", page_with_session(team)),
    path("status/", open_page(status)),
    path("audit/", open_page(audit_page)),
    path("account/", page_with_session(account)),
    path("account/enter/<str:public_id>/<str:token>/", page_with_session(enter)),
    path("account/", include("acsbench.server.pages.allauth_urls")),
]
