"""What crosses the pipes between supervisor, zygote and child: frames, limits, and texts about limits."""
