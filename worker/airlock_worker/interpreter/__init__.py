"""What the zygote and the run child change in their Python interpreter before a script runs."""
