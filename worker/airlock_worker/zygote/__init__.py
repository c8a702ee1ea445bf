"""The zygote: the process that sets the sandbox up, starts the template, and has run children forked from it.

The zygote knows no secret, because scripts can read its memory.
"""
