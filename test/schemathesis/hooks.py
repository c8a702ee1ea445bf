"""What the prose of the OpenAPI document says and no schema can, so that what counts as valid data is valid.

A key belongs to one request. How many workers there may be depends on the machine, and how long a script may run on
its project.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import schemathesis

_MOST_WORKERS = 2
_LONGEST_S = 300
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Changes nothing that is refused by its form."""
    headers, body = case.headers or {}, case.body
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        headers["Idempotency-Key"] = f"{key}-{uuid.uuid4()}"
    if not isinstance(body, dict):
        return
    replicas, timeout = body.get("replicas"), body.get("timeout")
    if _is_number(replicas) and _MOST_WORKERS < replicas <= 100 and replicas == int(replicas):
        body["replicas"] = _MOST_WORKERS
    if _is_number(timeout) and timeout > _LONGEST_S:
        body["timeout"] = _LONGEST_S


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
