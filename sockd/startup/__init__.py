"""What happens between the command line and a running daemon.

- :mod:`~sockd.startup.chosen_reactor`: the reactor that twistd has chosen
- :mod:`~sockd.startup.configuration`: the file, read and checked against the process's limits
- :mod:`~sockd.startup.views`: the stats endpoint, the admin shell and the capture
- :mod:`~sockd.startup.banner`: the lines in the log that say how to connect
- :mod:`~sockd.startup.control`: reloads and signals
"""
