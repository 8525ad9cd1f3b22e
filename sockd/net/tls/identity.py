"""A server's private key with its certificate chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from OpenSSL import crypto

from sockd.errors import InvalidValue
from sockd.net.tls.pem import read_pem
from sockd.support.files import shown


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and the certificates that are sent, the server's own one first.

    :ivar path: the file of the server's own certificate.
    """

    path: Path
    key: crypto.PKey
    chain: tuple[crypto.X509, ...]


def identity_from(key_path: Path, chain_path: Path, more: Path | None) -> Identity:
    """Return the identity in the files of an ``ssl:`` endpoint.

    :param chain_path: the file with the server's certificate, followed by its chain.
    :param more: a file with further certificates of the chain.
    :raise InvalidValue: if a file is not usable, or if key and certificate do not match.
    """
    chain = read_pem(chain_path).certificates
    if not chain:
        message = f"{shown(chain_path)} contains no certificate"
        raise InvalidValue(message, "certKey names the file of the certificate and its chain")
    keys = read_pem(key_path).keys
    if not keys:
        message = f"{shown(key_path)} contains no private key"
        raise InvalidValue(message, "privateKey names the file of the private key")
    if not _is_pair(keys[0], chain[0]):
        message = (
            f"the key in {shown(key_path)} and the certificate in {shown(chain_path)} do not match"
        )
        raise InvalidValue(message, _mismatch_hint(keys[0], chain))
    if more is not None:
        chain += _more_of_chain(more)
    return Identity(chain_path, keys[0], _without_repetitions(chain))


def public_key(key: crypto.PKey) -> bytes:
    """Return the public key in DER; it is the same for a private key and its certificate."""
    return crypto.dump_publickey(crypto.FILETYPE_ASN1, key)


def valid_from(certificate: crypto.X509) -> float:
    """Return when a certificate becomes valid, in seconds since the epoch."""
    return _seconds(certificate.get_notBefore())


def valid_until(certificate: crypto.X509) -> float:
    """Return when a certificate expires, in seconds since the epoch."""
    return _seconds(certificate.get_notAfter())


def _is_pair(key: crypto.PKey, certificate: crypto.X509) -> bool:
    return public_key(key) == public_key(certificate.get_pubkey())


def _mismatch_hint(key: crypto.PKey, chain: Iterable[crypto.X509]) -> str:
    if any(_is_pair(key, certificate) for certificate in chain):
        return "put the certificate of the key first, then those of its chain"
    return "the certificate that was issued for this key"


def _more_of_chain(path: Path) -> tuple[crypto.X509, ...]:
    found = read_pem(path).certificates
    if not found:
        message = f"{shown(path)} contains no certificate"
        raise InvalidValue(
            message, "extraCertChain names the file of the certificates of the chain"
        )
    return found


def _without_repetitions(chain: Iterable[crypto.X509]) -> tuple[crypto.X509, ...]:
    return tuple({one.digest("sha256"): one for one in reversed([*chain])}.values())[::-1]


def _seconds(time: bytes | None) -> float:
    """Return one of OpenSSL's times, such as ``20261126111500Z``, in seconds since the epoch."""
    return datetime.strptime((time or b"").decode("ascii"), "%Y%m%d%H%M%S%z").timestamp()
