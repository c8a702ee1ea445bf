"""Connections from runs to the egress service, relayed by the supervisor through Tunnel calls."""
