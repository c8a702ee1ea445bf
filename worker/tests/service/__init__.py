"""The worker as a gRPC service, and its parts."""
