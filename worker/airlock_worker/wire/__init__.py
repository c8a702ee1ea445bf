"""Formats shared by supervisor, zygote and child: frames, limits, and texts about limits."""
