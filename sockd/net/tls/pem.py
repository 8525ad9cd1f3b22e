"""Certificates and private keys in PEM files (RFC 7468).

An encrypted key is an error: OpenSSL would prompt for its passphrase on the terminal and block.
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
_PEM_HINT = (
    "PEM blocks from -----BEGIN to -----END, as `openssl x509` and `openssl pkey` write them"
)


@dataclass(frozen=True, slots=True)
class PEMFile:
    """The certificates and private keys of a file, in the order of the file."""

    path: Path
    certificates: tuple[crypto.X509, ...]
    keys: tuple[crypto.PKey, ...]


def read_pem(path: Path) -> PEMFile:
    """Read a PEM file; blocks of other types, such as ``DH PARAMETERS``, are ignored.

    :raise InvalidValue: if it cannot be read, contains neither a certificate nor a private key, or
        if one of them is damaged or encrypted.
    """
    certificates: list[crypto.X509] = []
    keys: list[crypto.PKey] = []
    for label, line, block in _blocks(path):
        if label.endswith(_CERTIFICATE):
            certificates.append(_certificate(path, line, block))
        elif label.endswith(_PRIVATE_KEY):
            keys.append(_private_key(path, line, block))
    if not certificates and not keys:
        message = f"{shown(path)} contains neither a certificate nor a private key"
        raise InvalidValue(message, _PEM_HINT)
    return PEMFile(path, tuple(certificates), tuple(keys))


def subject(certificate: crypto.X509) -> x509.Name:
    """Return the subject of a certificate."""
    return certificate.to_cryptography().subject


def issuer(certificate: crypto.X509) -> x509.Name:
    """Return the issuer of a certificate."""
    return certificate.to_cryptography().issuer


def reasons(error: Exception) -> str:
    """Return the reasons in an exception of OpenSSL as printable text."""
    parts = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return printable("; ".join(text for *_, text in parts) or str(error) or type(error).__name__)


def _blocks(path: Path) -> Iterator[tuple[bytes, int, bytes]]:
    """Return the label, the first line number and the text of each block of a file."""
    data = content(path)
    for begin in _BEGIN.finditer(data):
        line = data.count(b"\n", 0, begin.start()) + 1
        mark = b"-----END %b-----" % begin[1]
        end = data.find(mark, begin.end())
        if end < 0:
            message = f"{shown(path)}, line {line}: the end of the block is missing"
            raise InvalidValue(message, mark.decode("ascii"))
        yield begin[1], line, data[begin.start() : end + len(mark)] + b"\n"


def _certificate(path: Path, line: int, block: bytes) -> crypto.X509:
    try:
        made = crypto.load_certificate(crypto.FILETYPE_PEM, block)
        _ = subject(made), issuer(made)
    except (crypto.Error, ValueError) as error:
        message = f"{shown(path)}, line {line}: the certificate cannot be read: {reasons(error)}"
        raise InvalidValue(message, _PEM_HINT) from None
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
        raise InvalidValue(message, _PEM_HINT) from None
