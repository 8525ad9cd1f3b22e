"""The admin shell: a Python prompt inside the running daemon, over SSH and telnet.

These modules import Twisted's conch, so they are imported only if a configuration has ``[admin]``.

- :mod:`~sockd.admin.service`: the service, which reads the credentials and listens
- :mod:`~sockd.admin.ssh`, :mod:`~sockd.admin.telnet`: the two protocols
- :mod:`~sockd.admin.connections`: the connections, their log lines and their timeouts
- :mod:`~sockd.admin.sessions`: the sessions of an SSH connection
- :mod:`~sockd.admin.congestion`: flow control for clients that read too slowly
- :mod:`~sockd.admin.throttle`: a rate limit for log lines
- :mod:`~sockd.admin.descriptors`: the maximum number of descriptors
- :mod:`~sockd.admin.auth`: the logins
- :mod:`~sockd.admin.prompt`: the prompt
- :mod:`~sockd.admin.commands`: the commands
"""
