"""The folder of a ``tls:`` endpoint: its ``.pem`` files, with keys matched to certificates.

A key and its certificates may be in one file or in several, also in subfolders, as certbot creates
them.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from OpenSSL import crypto

from sockd.errors import InvalidValue
from sockd.net.tls.identity import Identity, public_key, valid_until
from sockd.net.tls.pem import PEMFile, issuer, read_pem, subject
from sockd.support.files import reason, shown

_SUFFIX = ".pem"
_MAX_ENTRIES = 10_000
"""The maximum number of files and folders, so that a wrong folder does not block the reactor."""


def identities_in(folder: Path) -> tuple[list[Identity], list[Path]]:
    """Return the keys that have a certificate, and the files of the keys that have none.

    If a key has several certificates, the one that expires last is used.

    :raise InvalidValue: if the folder, or a ``.pem`` file in it, is not usable.
    """
    files = [read_pem(path) for path in _pem_files(folder)]
    keys = {public_key(key): (file.path, key) for file in files for key in file.keys}
    issuers = _issuers(files, keys)
    best: dict[bytes, tuple[Path, tuple[crypto.X509, ...]]] = {}
    for file in files:
        for chain in _chains(file, keys):
            name = public_key(chain[0].get_pubkey())
            if name not in best or _rank(chain) > _rank(best[name][1]):
                best[name] = (file.path, chain)
    identities = [
        Identity(path, keys[name][1], _completed(chain, issuers))
        for name, (path, chain) in best.items()
    ]
    return identities, [path for name, (path, _) in keys.items() if name not in best]


def _pem_files(folder: Path) -> Iterator[Path]:
    """Return the ``.pem`` files in a folder and its subfolders, sorted; links are followed."""
    count = 0
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if _is_new(Path(place, name), seen))
        count += len(folders) + len(names)
        if count > _MAX_ENTRIES:
            message = f"{shown(folder)} contains more than {_MAX_ENTRIES} files"
            raise InvalidValue(message, "a folder that contains only the certificates")
        yield from (Path(place, name) for name in sorted(names) if name.endswith(_SUFFIX))


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Return whether a folder, after resolving links, was not seen before; add it to ``seen``."""
    real = os.path.realpath(folder)
    is_new = real not in seen
    seen.add(real)
    return is_new


def _refuse(error: OSError) -> NoReturn:
    message = f"{shown(Path(error.filename))} cannot be read: {reason(error)}"
    raise InvalidValue(message, "a folder of .pem files that this user may read") from None


def _chains(file: PEMFile, keys: Container[bytes]) -> Iterator[tuple[crypto.X509, ...]]:
    """Return each certificate that has a key, with the certificates that follow it in the file."""
    chain: list[crypto.X509] = []
    for certificate in file.certificates:
        if public_key(certificate.get_pubkey()) in keys:
            if chain:
                yield tuple(chain)
            chain = [certificate]
        elif chain:
            chain.append(certificate)
    if chain:
        yield tuple(chain)


def _rank(chain: tuple[crypto.X509, ...]) -> tuple[float, int]:
    return valid_until(chain[0]), len(chain)


def _issuers(files: Iterable[PEMFile], keys: Container[bytes]) -> dict[x509.Name, crypto.X509]:
    """Return the intermediate certificates by their subjects.

    Root certificates are omitted: clients that trust them have them.
    """
    return {
        subject(certificate): certificate
        for file in files
        for certificate in file.certificates
        if public_key(certificate.get_pubkey()) not in keys
        and subject(certificate) != issuer(certificate)
    }


def _completed(
    chain: tuple[crypto.X509, ...], issuers: Mapping[x509.Name, crypto.X509]
) -> tuple[crypto.X509, ...]:
    """Return a chain extended by the known issuers."""
    known = {subject(certificate) for certificate in chain}
    name = issuer(chain[-1])
    while name in issuers and name not in known:
        known.add(name)
        chain = (*chain, issuers[name])
        name = issuer(chain[-1])
    return chain
