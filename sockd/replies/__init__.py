"""What is said to a peer: bytes in, bytes out. Pure: no reactor, no socket."""
