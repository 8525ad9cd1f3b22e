"""The process around the services: its signals, supervisor, user, descriptors and state."""
