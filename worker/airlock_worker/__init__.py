"""The worker of Airlock: supervisor, zygote and run children. `README.md` beside this package draws the three."""
