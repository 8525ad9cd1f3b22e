"""Measures sockd against other servers: ``python -m bench``; README.md says how to read it."""
