"""Turns values of a script into JSON text."""
