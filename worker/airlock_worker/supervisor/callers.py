"""Who may call which RPC of a worker.

Generated from services/common/identity/authorization.ts by ./airlock generate; never edited.
"""

CALLERS: dict[str, frozenset[str]] = {
    "Provision": frozenset({"pool-manager"}),
    "WatchStatus": frozenset({"pool-manager"}),
    "Run": frozenset({"router"}),
    "Tunnel": frozenset({"egress"}),
}
