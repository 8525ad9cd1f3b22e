"""``[service:NAME]``: the kinds of services, running.

- :mod:`~sockd.services.context`: the collaborators of every service
- :mod:`~sockd.services.host`: what connections need of their service
- :mod:`~sockd.services.listening`: the listening half of a stream service
- :mod:`~sockd.services.stream`: ``tcp`` and ``multi``
- :mod:`~sockd.services.connection`: one stream connection, and its states
- :mod:`~sockd.services.timers`: its idle timeout, lifetime and deadline
- :mod:`~sockd.services.refusal`: a client that is refused
- :mod:`~sockd.services.answers`: the check of what a reply returns
- :mod:`~sockd.services.bypass`: whether traffic may be echoed without asking the reply
- :mod:`~sockd.services.proxied`: a connection that begins with a PROXY header
- :mod:`~sockd.services.drain`: waits for connections to end
- :mod:`~sockd.services.datagram`: ``udp``
- :mod:`~sockd.services.flows`: its flows
- :mod:`~sockd.services.responder`: how it answers a datagram
- :mod:`~sockd.services.fastpath`: plain echo past the reactor
"""
