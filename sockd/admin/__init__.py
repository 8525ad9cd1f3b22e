"""The admin shell: a Python prompt inside the running daemon, over SSH and telnet.

Twisted's conch is imported by what is in here, and so only where a configuration has ``[admin]``.
"""
