"""Changes that the zygote and the run child make to their Python interpreter before a script runs."""
