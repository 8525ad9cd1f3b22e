"""The process: privileges, signals, descriptors, its state directory and its service manager.

- :mod:`~sockd.process.state`: the state directory
- :mod:`~sockd.process.descriptors`: how many descriptors a configuration may need, and may have
- :mod:`~sockd.process.privileges`: warnings and refusals for root
- :mod:`~sockd.process.signals`, :mod:`~sockd.process.hangup`: SIGTERM, SIGINT and SIGHUP
- :mod:`~sockd.process.startup_stderr`: standard error as it was at the start
- :mod:`~sockd.process.systemd`: sd_notify(3)
"""
