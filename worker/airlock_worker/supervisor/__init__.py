"""The supervisor: the worker's process that speaks gRPC. It knows the secrets of runs, and runs no script."""
