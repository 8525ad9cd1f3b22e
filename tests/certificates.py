"""A certificate for localhost, made for a test and valid for a day."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class TLSFiles:
    """A key and its certificate in one folder, apart and together.

    :ivar pems: a folder as the ``tls:`` endpoint takes it: ``HOST.pem`` with both.
    """

    key: Path
    certificate: Path
    pems: Path

    def endpoint(self, port: int) -> str:
        """Return an ``ssl:`` endpoint on loopback."""
        return f"ssl:{port}:privateKey={self.key}:certKey={self.certificate}:interface=127.0.0.1"

    def replace(self, other: TLSFiles) -> None:
        """Have the certificate of others, as a renewal does it: in the same files."""
        other.key.replace(self.key)
        other.certificate.replace(self.certificate)
        (other.pems / "localhost.pem").replace(self.pems / "localhost.pem")

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs to trust it."""
        return ssl.create_default_context(cafile=str(self.certificate))


def make_tls_files(folder: Path, host: str = "localhost") -> TLSFiles:
    """Make them.

    :param host: the DNS name that the certificate is for; empty: none, but for its subject's.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if host:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
    pems = folder / "pems"
    pems.mkdir()
    (folder / "key.pem").write_bytes(key_pem)
    (folder / "certificate.pem").write_bytes(certificate_pem)
    (pems / "localhost.pem").write_bytes(key_pem + certificate_pem)
    return TLSFiles(folder / "key.pem", folder / "certificate.pem", pems)
