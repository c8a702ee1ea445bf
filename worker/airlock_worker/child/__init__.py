"""The process of one run: the child enters its sandbox and runs the script.

A script can read and change everything loaded here, so the supervisor trusts nothing that the child sends.
"""
