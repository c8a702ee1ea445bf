"""Control groups of the worker and of its runs."""
