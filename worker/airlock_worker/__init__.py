"""The worker of Airlock: supervisor, zygote and run children. `README.md` beside this package draws the three."""

from . import own_builtins

own_builtins.install()
