"""Refuses calls as every service does: Airlock's code in the trailing metadata, its gRPC status, and a sentence."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

_CODE_KEY = "airlock-code"

# gRPC status by error code: the rows of services/common/errors.ts that a worker uses. docs/errors.md lists the same.
STATUSES = {
    "invalid_request": grpc.StatusCode.INVALID_ARGUMENT,
    "permission_denied": grpc.StatusCode.PERMISSION_DENIED,
    "deadline_exceeded": grpc.StatusCode.DEADLINE_EXCEEDED,
    "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "worker_lost": grpc.StatusCode.ABORTED,
    "run_unknown": grpc.StatusCode.NOT_FOUND,
    "run_exists": grpc.StatusCode.ALREADY_EXISTS,
    "run_over": grpc.StatusCode.FAILED_PRECONDITION,
    "run_superseded": grpc.StatusCode.ABORTED,
}


async def refuse(context: Any, code: str, text: str) -> NoReturn:
    """Ends the call with one of the codes above. `text` may be shown to any caller. Never returns."""
    await context.abort(STATUSES[code], text, ((_CODE_KEY, code),))
    raise AssertionError("gRPC ends the handler of an aborted call")
