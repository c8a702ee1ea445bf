"""What a run cannot do, and what the worker measures of that."""
