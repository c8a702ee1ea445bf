"""The supervisor's part of a run. Everything that the child sends is checked, because a script may have written it."""
