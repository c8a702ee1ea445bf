"""The process that talks to the services. It knows secrets and runs no code of scripts."""
