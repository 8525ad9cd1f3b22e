"""The folder of a ``tls:`` endpoint: its ``.pem`` files, and what belongs together in them.

Keys and certificates may be in one file or in several, in folders of their own too, as certbot
leaves them.
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
_MOST_ENTRIES = 10_000
"""How many names are looked at, lest a wrong folder keep the reactor waiting."""


def identities_in(folder: Path) -> tuple[list[Identity], list[Path]]:
    """Return the keys that have a certificate, and the files of the keys that have none.

    Of several certificates for one key, the one that expires last counts.

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
    """Return the files in a folder and below, in order of their names; links are followed."""
    count = 0
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if _is_new(Path(place, name), seen))
        count += len(folders) + len(names)
        if count > _MOST_ENTRIES:
            message = f"{shown(folder)} holds more than {_MOST_ENTRIES} files"
            raise InvalidValue(message, "a folder for the certificates alone")
        yield from (Path(place, name) for name in sorted(names) if name.endswith(_SUFFIX))


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Return whether a folder was not met yet, by whatever links, and remember it."""
    real = os.path.realpath(folder)
    is_new = real not in seen
    seen.add(real)
    return is_new


def _refuse(error: OSError) -> NoReturn:
    message = f"{shown(Path(error.filename))} cannot be read: {reason(error)}"
    raise InvalidValue(message, "a folder of .pem files that this user may read") from None


def _chains(file: PEMFile, keys: Container[bytes]) -> Iterator[tuple[crypto.X509, ...]]:
    """Return each certificate that has a key, with those that follow it in the file."""
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

    A root is not among them: clients have it, or do not trust it.
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
    """Return a chain with the issuers that are known, each once."""
    known = {subject(certificate) for certificate in chain}
    name = issuer(chain[-1])
    while name in issuers and name not in known:
        known.add(name)
        chain = (*chain, issuers[name])
        name = issuer(chain[-1])
    return chain
