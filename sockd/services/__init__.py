"""The services of ``[service:NAME]`` sections.

- :mod:`~sockd.services.context`: the collaborators of every service
- :mod:`~sockd.services.host`: the interface between a service and its connections
- :mod:`~sockd.services.listening`: the listening half of a stream service
- :mod:`~sockd.services.custom`: classes to derive a kind of stream service from
- :mod:`~sockd.services.stream`: ``tcp`` and ``multi``
- :mod:`~sockd.services.connection`: one stream connection, and its states
- :mod:`~sockd.services.timers`: its idle timeout, lifetime and deadline
- :mod:`~sockd.services.refusal`: a client that is refused
- :mod:`~sockd.services.answers`: the type check of a reply's answer
- :mod:`~sockd.services.bypass`: whether traffic may be echoed without calling the reply
- :mod:`~sockd.services.proxied`: a connection that begins with a PROXY header
- :mod:`~sockd.services.drain`: the drain of a service that stops
- :mod:`~sockd.services.datagram`: ``udp``
- :mod:`~sockd.services.flows`: the flow table of ``udp``
- :mod:`~sockd.services.responder`: the handling of one datagram
- :mod:`~sockd.services.fastpath`: plain echo that bypasses the reactor
"""
