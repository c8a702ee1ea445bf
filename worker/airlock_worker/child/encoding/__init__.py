"""How values of a script become JSON text."""
