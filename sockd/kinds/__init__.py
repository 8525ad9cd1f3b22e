"""How peers are served: streams (tcp, multi) and datagrams (udp)."""
