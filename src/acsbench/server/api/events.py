"""Server-sent events: the state of a submission, whenever it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

from asgiref.sync import sync_to_async

from acsbench.server.api.schemas import SubmissionOut
from acsbench.server.models import Submission
from acsbench.server.states import FINAL
from acsbench.server.views import submission_out

__all__ = ["events_of"]

_LOOK_EVERY_S = 0.25
_COMMENT_EVERY = 60  # looks: a comment keeps proxies from closing a silent stream
_MAX_LOOKS = 2400  # ten minutes; clients connect again


async def events_of(pk: int, held: AbstractContextManager[None]) -> AsyncIterator[bytes]:
    """Tell each new state until a final one."""
    told = ""
    with held:
        for look in range(_MAX_LOOKS):
            seen = await _state(pk)
            if seen.model_dump_json() != told:
                told = seen.model_dump_json()
                yield f"event: submission\ndata: {told}\n\n".encode()
            elif look % _COMMENT_EVERY == 0:
                yield b": still here\n\n"
            if seen.state in FINAL:
                return
            await asyncio.sleep(_LOOK_EVERY_S)


@sync_to_async
def _state(pk: int) -> SubmissionOut:
    row = Submission.objects.select_related("team", "task_version__task").get(pk=pk)
    return SubmissionOut.model_validate(submission_out(row))
