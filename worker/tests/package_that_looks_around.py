"""A project's package, for a test: what does one find when it is imported?"""

from airlock_worker.child import facts

FOUND = facts.measure({})
