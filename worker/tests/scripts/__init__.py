"""What scripts see: values, numbers, packages, the interpreter."""
