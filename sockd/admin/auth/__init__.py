"""Logins: keys, passwords, roles and the delay after failed attempts.

- :mod:`~sockd.admin.auth.roles`: what an admin and a viewer may do
- :mod:`~sockd.admin.auth.credentials`: ``authorized_keys`` and htpasswd files, read and checked
- :mod:`~sockd.admin.auth.passwords`: passwords made, hashed with bcrypt and verified
- :mod:`~sockd.admin.auth.checkers`: twisted.cred checkers for passwords and public keys
- :mod:`~sockd.admin.auth.attempts`: how long a source waits before its next password is checked
"""
