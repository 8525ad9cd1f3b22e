"""Listening sockets: from an endpoint's description to a door that lets clients in."""
