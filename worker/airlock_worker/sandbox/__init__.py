"""The layers of the sandbox around a run child. The zygote or the child applies each, and the child measures each."""
