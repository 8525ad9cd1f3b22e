"""The tests of sockd: the pure parts with fakes, the rest against the real twistd."""
