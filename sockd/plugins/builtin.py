"""The kinds and replies that sockd brings along."""

from sockd.kinds.datagram import DatagramKind
from sockd.kinds.stream import StreamKind
from sockd.replies.echo import Echo
from sockd.replies.upper import Upper

echo = Echo()
upper = Upper()
tcp = StreamKind("tcp", limit=1)
multi = StreamKind("multi")
udp = DatagramKind("udp")
