"""The data model: services, connections, flows and their events. Pure.

- :mod:`~sockd.model.address`: addresses, a host and a port or a path
- :mod:`~sockd.model.ip`: IP addresses and networks in canonical form
- :mod:`~sockd.model.records`: the records of services and connections
- :mod:`~sockd.model.reasons`: the reasons of ends and refusals
- :mod:`~sockd.model.events`: the events of a service's sockets
- :mod:`~sockd.model.ledger`: the records of all services; everything else reads it
- :mod:`~sockd.model.ports`: the sentence about a server port and the ports of its clients
"""
