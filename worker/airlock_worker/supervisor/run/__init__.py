"""One run, as the supervisor sees it: what the child says is checked here, because a script may have written it."""
