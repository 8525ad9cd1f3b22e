"""A kind: two clients at a time, while the next ones wait."""

from sockd.plugin import StreamKind

pair = StreamKind("pair", limit=2)
