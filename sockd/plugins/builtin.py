"""The built-in kinds and replies."""

from sockd.replies.echo import Echo
from sockd.replies.upper import Upper
from sockd.services.datagram import DatagramKind
from sockd.services.stream import StreamKind

echo = Echo()
upper = Upper()
tcp = StreamKind("tcp", limit=1)
multi = StreamKind("multi")
udp = DatagramKind("udp")
