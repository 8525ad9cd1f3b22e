"""Tells twistd that there is a sockd, by name alone: nothing of sockd is imported here."""

from twisted.application.service import ServiceMaker

sockd = ServiceMaker(
    "sockd",
    "sockd.tap",
    "TCP, UDP and multi-connection echo, with live stats and an admin shell",
    "sockd",
)
