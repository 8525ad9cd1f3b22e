"""``[service:NAME]``: the kinds of services, running.

- :mod:`~sockd.services.context`: the collaborators of every service
- :mod:`~sockd.services.host`: what connections need of their service
- :mod:`~sockd.services.stream`: ``tcp`` and ``multi``
- :mod:`~sockd.services.connection`: one stream connection
- :mod:`~sockd.services.proxied`: a connection that begins with a PROXY header
- :mod:`~sockd.services.drain`: waits for connections to end
- :mod:`~sockd.services.datagram`: ``udp``
- :mod:`~sockd.services.fastpath`: plain echo past the reactor
"""
