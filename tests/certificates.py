"""Certificates for localhost, created for a test and valid for a day."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class TLSFiles:
    """A key and its certificate, in separate files and in one.

    :ivar pems: a folder for a ``tls:`` endpoint, with both in ``HOST.pem``.
    """

    key: Path
    certificate: Path
    pems: Path

    def endpoint(self, port: int) -> str:
        """Return an ``ssl:`` endpoint on loopback."""
        return f"ssl:{port}:privateKey={self.key}:certKey={self.certificate}:interface=127.0.0.1"

    def replace(self, other: TLSFiles) -> None:
        """Replace the certificate in the same files, as a renewal does."""
        other.key.replace(self.key)
        other.certificate.replace(self.certificate)
        (other.pems / "localhost.pem").replace(self.pems / "localhost.pem")

    def client_context(self) -> ssl.SSLContext:
        """Return a trust root for clients."""
        return ssl.create_default_context(cafile=str(self.certificate))


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key in PEM."""
        return key_pem(self.key)


def key_pem(
    key: ec.EllipticCurvePrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    passphrase: bytes = b"",
) -> bytes:
    """Return a private key in PEM, encrypted if a passphrase is given."""
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def issue(
    name: str,
    issuer: Issued | None = None,
    host: str = "",
    *,
    is_ca: bool = True,
    age: datetime.timedelta = DAY / 24,
    validity: datetime.timedelta = DAY,
) -> Issued:
    """Return a new certificate.

    :param name: its common name.
    :param issuer: the certificate that signs it; by default it is self-signed.
    :param host: its DNS name; empty: none.
    :param age: the time since it became valid.
    :param validity: the time until it expires.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age)
        .not_valid_after(now + validity)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if host:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
    return Issued(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def make_tls_files(
    folder: Path, host: str = "localhost", validity: datetime.timedelta = DAY
) -> TLSFiles:
    """Create a self-signed certificate.

    :param host: its DNS name in the subjectAltName; empty: none.
    :param validity: the time until it expires.
    """
    return write_tls_files(
        folder, issue("localhost", host=host, age=abs(validity) * 2, validity=validity)
    )


def write_tls_files(folder: Path, own: Issued, *chain: Issued) -> TLSFiles:
    """Write a certificate, its key and its chain to files."""
    pems = folder / "pems"
    pems.mkdir(exist_ok=True)
    certificates = b"".join(one.pem for one in (own, *chain))
    (folder / "key.pem").write_bytes(own.key_pem)
    (folder / "certificate.pem").write_bytes(certificates)
    (pems / "localhost.pem").write_bytes(own.key_pem + certificates)
    return TLSFiles(folder / "key.pem", folder / "certificate.pem", pems)
