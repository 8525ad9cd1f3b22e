"""Logins: keys, passwords, roles and the delay after failed attempts.

- :mod:`~sockd.admin.auth.roles`: the permissions of admins and viewers
- :mod:`~sockd.admin.auth.grants`: credentials as values
- :mod:`~sockd.admin.auth.credentials`: ``authorized_keys`` and htpasswd files, read and checked
- :mod:`~sockd.admin.auth.passwords`: generating, hashing and verifying passwords with bcrypt
- :mod:`~sockd.admin.auth.first_password`: the generated password of a new installation
- :mod:`~sockd.admin.auth.access`: checks passwords and public keys
- :mod:`~sockd.admin.auth.attempts`: the delay before the next password of a source is checked
"""
