"""Certificates and private keys in PEM files (RFC 7468).

OpenSSL asks for the passphrase of an encrypted key on the terminal, and waits for it. Here an
encrypted key is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from OpenSSL import crypto

from sockd.errors import InvalidValue
from sockd.support.files import content, shown
from sockd.support.text import printable

_BEGIN = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)
_CERTIFICATE = b"CERTIFICATE"
_PRIVATE_KEY = b"PRIVATE KEY"
_PEM_REMEDY = (
    "PEM blocks from -----BEGIN to -----END, as `openssl x509` and `openssl pkey` write them"
)


@dataclass(frozen=True, slots=True)
class PEMFile:
    """The certificates and the private keys of one file, in its order."""

    path: Path
    certificates: tuple[crypto.X509, ...]
    keys: tuple[crypto.PKey, ...]


def read_pem(path: Path) -> PEMFile:
    """Return what a PEM file holds; blocks of other kinds, such as ``DH PARAMETERS``, are left out.

    :raise InvalidValue: if it cannot be read, holds neither a certificate nor a private key, or
        one of them is damaged or encrypted.
    """
    certificates: list[crypto.X509] = []
    keys: list[crypto.PKey] = []
    for label, line, block in _blocks(path):
        if label.endswith(_CERTIFICATE):
            certificates.append(_certificate(path, line, block))
        elif label.endswith(_PRIVATE_KEY):
            keys.append(_private_key(path, line, block))
    if not certificates and not keys:
        message = f"{shown(path)} holds neither a certificate nor a private key"
        raise InvalidValue(message, _PEM_REMEDY)
    return PEMFile(path, tuple(certificates), tuple(keys))


def subject(certificate: crypto.X509) -> x509.Name:
    """Return whose certificate it is."""
    return certificate.to_cryptography().subject


def issuer(certificate: crypto.X509) -> x509.Name:
    """Return who has signed a certificate."""
    return certificate.to_cryptography().issuer


def reasons(error: Exception) -> str:
    """Return what OpenSSL says is wrong, printable."""
    parts = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return printable("; ".join(text for *_, text in parts) or str(error) or type(error).__name__)


def _blocks(path: Path) -> Iterator[tuple[bytes, int, bytes]]:
    """Return the blocks of a file, each with its label and the number of its first line."""
    data = content(path)
    for begin in _BEGIN.finditer(data):
        line = data.count(b"\n", 0, begin.start()) + 1
        mark = b"-----END %b-----" % begin[1]
        end = data.find(mark, begin.end())
        if end < 0:
            message = f"{shown(path)}, line {line}: the block has no end"
            raise InvalidValue(message, mark.decode("ascii"))
        yield begin[1], line, data[begin.start() : end + len(mark)] + b"\n"


def _certificate(path: Path, line: int, block: bytes) -> crypto.X509:
    try:
        made = crypto.load_certificate(crypto.FILETYPE_PEM, block)
        _ = subject(made), issuer(made)
    except (crypto.Error, ValueError) as error:
        message = f"{shown(path)}, line {line}: the certificate cannot be read: {reasons(error)}"
        raise InvalidValue(message, _PEM_REMEDY) from None
    return made


def _private_key(path: Path, line: int, block: bytes) -> crypto.PKey:
    def refuse(*_: object) -> NoReturn:
        message = f"{shown(path)}, line {line}: the private key is encrypted with a passphrase"
        raise InvalidValue(
            message, "a copy without one, as `openssl pkey -in FILE -out COPY` writes it"
        )

    try:
        return crypto.load_privatekey(crypto.FILETYPE_PEM, block, refuse)
    except (crypto.Error, ValueError) as error:
        if isinstance(error, InvalidValue):
            raise
        message = f"{shown(path)}, line {line}: the private key cannot be read: {reasons(error)}"
        raise InvalidValue(message, _PEM_REMEDY) from None
