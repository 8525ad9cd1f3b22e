"""Sockets: bound endpoints, transports, and information from the kernel.

- :mod:`~sockd.net.server_endpoints`: Twisted's endpoints from the configuration's
- :mod:`~sockd.net.endpoint_reactor`: the reactor that these endpoints get
- :mod:`~sockd.net.listening_port`: one listening socket
- :mod:`~sockd.net.listeners`: the listening sockets of one section
- :mod:`~sockd.net.spare_sockets`: sockets that pass from service to service during a reload
- :mod:`~sockd.net.stream_transport`: the transports of stream connections, TLS included
- :mod:`~sockd.net.transport`: a transport whose protocol decides when reading starts
- :mod:`~sockd.net.tls`: TLS endpoints and their certificates
- :mod:`~sockd.net.unix_port`, :mod:`~sockd.net.unix_file`, :mod:`~sockd.net.unix_occupant`: unix
  sockets and their files
- :mod:`~sockd.net.datagram_socket`, :mod:`~sockd.net.destination`, :mod:`~sockd.net.mmsg`,
  :mod:`~sockd.net.buffers`: UDP sockets, one datagram at a time or in batches
- :mod:`~sockd.net.tcp_info`, :mod:`~sockd.net.unix_diag`: the kernel's view of a connection and of
  an accept queue
- :mod:`~sockd.net.own_addresses`: the addresses of this machine
"""
