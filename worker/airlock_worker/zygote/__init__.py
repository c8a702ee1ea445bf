"""The process that imports the project's packages once and forks run children.

The zygote knows no secret, because scripts can read its memory.
"""
