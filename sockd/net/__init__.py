"""Sockets: endpoints bound, and what the kernel tells about them.

- :mod:`~sockd.net.server_endpoints`: Twisted's endpoints from the configuration's
- :mod:`~sockd.net.listening_port`: one listening socket
- :mod:`~sockd.net.listeners`: the listening sockets of one section, bound all or none
- :mod:`~sockd.net.spare_sockets`: sockets that change hands during a reload
- :mod:`~sockd.net.stream_transport`: the transports of stream connections, TLS included
- :mod:`~sockd.net.transport`: a transport that its protocol starts
- :mod:`~sockd.net.certificates`: the certificates of TLS endpoints
- :mod:`~sockd.net.datagram_socket`, :mod:`~sockd.net.destination`, :mod:`~sockd.net.mmsg`,
  :mod:`~sockd.net.buffers`: UDP sockets, one datagram at a time or in batches
- :mod:`~sockd.net.tcp_info`, :mod:`~sockd.net.unix_diag`: what the kernel knows of a connection
  and of an accept queue
- :mod:`~sockd.net.own_addresses`: the addresses of this machine
"""
