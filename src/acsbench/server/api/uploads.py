"""Reading what was sent: a multipart form, or the bare file as the body."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from acsbench.server.accept import Upload
from acsbench.server.card import ModelCard, parse_card
from acsbench.server.problems import Problem

__all__ = ["FILE_BODY", "UPLOAD_BODY", "read_file", "read_upload"]

_BARE = ("text/csv", "application/gzip", "application/octet-stream")
_FORM = "multipart/form-data"
_MAX_KEY, _MAX_COMMENT, _MAX_FIELD = 200, 500, 64 * 1024

_BINARY = {"type": "string", "format": "binary"}
_BARE_CONTENT = {kind: {"schema": _BINARY} for kind in _BARE}
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _BINARY},
                }
            },
            **_BARE_CONTENT,
        },
    }
}
UPLOAD_BODY: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "required": False,
            "description": "Repeating a request with its key gives the first submission again",
            "schema": {"type": "string", "minLength": 1, "maxLength": _MAX_KEY},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": _BINARY,
                        "card": {"type": "string", "description": "Model card as JSON"},
                        "comment": {"type": "string", "maxLength": _MAX_COMMENT},
                    },
                }
            },
            **_BARE_CONTENT,
        },
    },
}


def read_file(request: HttpRequest, max_bytes: int) -> bytes:
    """The uploaded file, at most one byte beyond the limit: the check says what is too large.

    Raises
    ------
    Problem
        415 for other types, 422 for a form without a file, 400 for one that cannot be read.
    """
    kind = request.content_type or ""
    if kind == _FORM:
        return _from_form(request, max_bytes)
    if kind not in _BARE:
        raise Problem(
            415,
            "unsupported_type",
            f"Send the file as {', '.join(_BARE)} or in a {_FORM}; this says '{kind[:60]}'.",
        )
    try:
        return bytes(request.read(max_bytes + 1))
    except UnreadablePostError:
        raise Problem(400, "bad_request", "The upload ended before its end.") from None


def _from_form(request: HttpRequest, max_bytes: int) -> bytes:
    try:
        file = request.FILES.get("file")
    except (MultiPartParserError, UnreadablePostError):
        raise Problem(400, "bad_request", "The form cannot be read.") from None
    if file is None:
        raise Problem(422, "file_missing", "The form has no part `file` with a file name.")
    return bytes(file.read(max_bytes + 1))


def read_upload(request: HttpRequest, max_bytes: int, *, attestation: str | None) -> Upload:
    """The file with what was said about it."""
    data = read_file(request, max_bytes)
    form = request.POST if request.content_type == _FORM else {}
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= _MAX_KEY and key.isprintable()):
        raise Problem(
            422, "bad_key", f"An Idempotency-Key has 1 to {_MAX_KEY} printable characters."
        )
    comment = str(form.get("comment", ""))
    if len(comment) > _MAX_COMMENT or not comment.isprintable():
        raise Problem(
            422, "bad_comment", f"A comment has at most {_MAX_COMMENT} printable characters."
        )
    return Upload(
        data=data,
        card=_card(form["card"]) if "card" in form else None,
        comment=comment,
        key=key,
        attestation=attestation or str(form.get("attestation", "")) or None,
    )


def _card(text: str) -> ModelCard:
    try:
        values = json.loads(text[:_MAX_FIELD])
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise Problem(422, "bad_card", "The part `card` is a JSON object, at most 64 KiB long.")
    return parse_card(values, where="The model card")
