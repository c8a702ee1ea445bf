"""System calls and files of /proc that more than one process of the worker uses."""
