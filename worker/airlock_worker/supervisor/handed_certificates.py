"""Reads TLS certificates from standard input, so that no file, argument or environment holds the key.

Each line is JSON, `{"ca": PEM, "cert": PEM, "key": PEM}`. The latest line is used for all new connections.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from .identity import BadCertificates, Certificates
from .log import log

_FIRST_TIMEOUT_S = 60.0
_MAX_LINE_BYTES = 256 * 1024


class HandedCertificates:
    def __init__(self) -> None:
        self._latest: Certificates | None = None
        self._unfinished = b""
        self._arrived = asyncio.Event()
        asyncio.get_running_loop().add_reader(0, self._on_readable)

    async def first(self, stopped: asyncio.Future[str]) -> None:
        """Waits until the first certificates have come on standard input, or `stopped` is done. Raises BadCertificates
        if none came within 60 s.
        """
        arrived = asyncio.ensure_future(self._arrived.wait())
        either: set[asyncio.Future[Any]] = {arrived, stopped}
        await asyncio.wait(either, timeout=_FIRST_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        if self._latest is None:
            raise BadCertificates("no certificates came on standard input")

    def latest(self) -> Certificates:
        if self._latest is None:
            raise BadCertificates("no certificates came on standard input")
        return self._latest

    def _on_readable(self) -> None:
        data = os.read(0, 65_536)
        if not data:
            # The pool-manager has closed its end, so no more certificates will come. The last ones stay in use.
            asyncio.get_running_loop().remove_reader(0)
            self._arrived.set()
            return
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._unfinished) > _MAX_LINE_BYTES:
            self._unfinished = b""

    def _take(self, line: bytes) -> None:
        try:
            handed = json.loads(line)
            self._latest = Certificates(*(handed[name].encode() for name in Certificates._fields))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log("error", "certificates on standard input are not used", reason=type(error).__name__)
            return
        log("info", "certificates were handed over")
        self._arrived.set()
