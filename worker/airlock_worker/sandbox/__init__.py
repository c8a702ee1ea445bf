"""The layers around a run child: each is applied by the zygote or the child, and measured in the child."""
