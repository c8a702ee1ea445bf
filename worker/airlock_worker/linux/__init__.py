"""System calls and files of /proc, for more than one of the worker's processes."""
