"""A worker refuses with the codes and statuses that all services share."""

from __future__ import annotations

import re

from airlock_worker.supervisor.refusals import STATUSES

from ..harness import WORKER_ROOT


def test_each_code_has_the_status_that_it_has_in_every_service() -> None:
    page = (WORKER_ROOT.parent / "docs" / "errors.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| \d+ \| (\w+) \|", page, re.MULTILINE))
    assert {code: documented.get(code) for code in STATUSES} == {code: status.name for code, status in STATUSES.items()}
