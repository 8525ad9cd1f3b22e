"""The configuration, read again while the daemon runs: a plan, and what carries it out."""
