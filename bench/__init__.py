"""The benchmark, ``python -m bench``: measures sockd against other servers; see README.md."""
