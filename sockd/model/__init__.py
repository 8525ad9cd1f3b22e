"""The account: services, connections, flows, and what happened to them. Pure.

- :mod:`~sockd.model.address`: one end of a connection, a host and a port or a path
- :mod:`~sockd.model.records`: the records of services and connections
- :mod:`~sockd.model.reasons`: why connections end, and why clients are refused
- :mod:`~sockd.model.events`: what happened to the sockets of a service
- :mod:`~sockd.model.ledger`: the records of all services; everything else reads it
- :mod:`~sockd.model.ports`: the sentence about a server port and the ports of its clients
"""
