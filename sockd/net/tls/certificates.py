"""The certificates of TLS endpoints, read from their files and checked.

Twisted's own endpoints are not used for this. They ignore a chain in the ``certKey`` file, let
OpenSSL prompt for passphrases, and read the whole folder again whenever a client requests an
unknown name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, DiffieHellmanParameters
from twisted.python.filepath import FilePath

from sockd.config.endpoint import Endpoint
from sockd.errors import InvalidValue
from sockd.net.tls.identity import Identity, identity_from, valid_from, valid_until
from sockd.net.tls.pem import reasons, subject
from sockd.net.tls.pem_folder import identities_in
from sockd.support.files import content, shown
from sockd.support.text import nearest, printable, quoted, rfc3339

_METHOD = "_METHOD"
_FOLDER_HINT = (
    "a file that ends in .pem in that folder, with a key and a certificate whose subjectAltName"
    " has DNS:HOST"
)


@dataclass(frozen=True, slots=True)
class ServerCertificates:
    """The certificates that an endpoint presents to clients.

    :ivar options: Twisted's options; they select the certificate by the server name (SNI).
    :ivar identities: the keys and their certificates.
    :ivar unused: the files of keys without a certificate.
    """

    options: CertificateOptions
    identities: tuple[Identity, ...]
    unused: tuple[Path, ...] = ()

    @property
    def not_after(self) -> float:
        """The earliest expiry time of the certificates, in seconds since the epoch."""
        return min(valid_until(one) for identity in self.identities for one in identity.chain)

    def warnings(self, now: float) -> Iterator[InvalidValue]:
        """Return warnings about certificates that are not valid now, and about unused keys.

        :param now: in seconds since the epoch.
        """
        for identity in self.identities:
            for certificate in identity.chain:
                problem = _validity(certificate, now)
                if problem:
                    message = f"the certificate {_name(certificate)} in {shown(identity.path)}"
                    yield InvalidValue(
                        f"{message} {problem}", "clients that verify it will refuse it"
                    )
        for path in self.unused:
            message = f"no certificate belongs to the key in {shown(path)}"
            yield InvalidValue(message, "it is not used")


def certificates_of(endpoint: Endpoint) -> ServerCertificates:
    """Read the certificates of an ``ssl:`` or ``tls:`` endpoint.

    :raise InvalidValue: if a file is not usable, or if a certificate is missing.
    """
    try:
        return _from_folder(endpoint) if endpoint.kind == "tls" else _from_files(endpoint)
    except SSL.Error as error:
        message = f"OpenSSL rejects the files of {quoted(endpoint.text)}: {reasons(error)}"
        raise InvalidValue(message, "files that the installed OpenSSL accepts") from None


def _from_files(endpoint: Endpoint) -> ServerCertificates:
    key, chain, more, parameters = (
        Path(name) if (name := endpoint.parameter(option)) else None
        for option in ("privateKey", "certKey", "extraCertChain", "dhParameters")
    )
    key = key or Path()
    identity = identity_from(key, chain or key, more)
    arguments: dict[str, object] = {}
    if (method := endpoint.parameter("sslmethod")) is not None:
        arguments["method"] = _tls_method(method)
    if parameters is not None:
        arguments["dhParameters"] = _dh_parameters(parameters)
    return ServerCertificates(_checked(_context_options(identity)(**arguments)), (identity,))


def _from_folder(endpoint: Endpoint) -> ServerCertificates:
    identities, unused = identities_in(Path(endpoint.parameter("path") or ""))
    contexts: dict[str, SSL.Context] = {}

    def context_for(name: bytes | None) -> SSL.Context | None:
        host = (name or b"").decode("ascii", "replace").lower()
        return contexts.get(host) or contexts.get(f"*.{host.partition('.')[2]}")

    made = [
        (identity, _checked(_context_options(identity)(contextForServerName=context_for)))
        for identity in identities
        if _hosts(identity)
    ]
    for identity, options in sorted(made, key=lambda one: valid_until(one[0].chain[0])):
        contexts |= dict.fromkeys(_hosts(identity), options.getContext())
    if not made:
        message = f"{quoted(endpoint.text)} has no usable certificate"
        raise InvalidValue(message, _FOLDER_HINT)
    return ServerCertificates(made[0][1], tuple(one for one, _ in made), tuple(unused))


def _context_options(identity: Identity) -> Callable[..., CertificateOptions]:
    own, *chain = identity.chain
    return partial(
        CertificateOptions, privateKey=identity.key, certificate=own, extraCertChain=chain
    )


def _checked(options: CertificateOptions) -> CertificateOptions:
    """Create the OpenSSL context now rather than for the first client.

    :raise SSL.Error: if OpenSSL rejects the options.
    """
    options.getContext()
    return options


def _tls_method(name: str) -> int:
    method = getattr(SSL, name, None) if name.endswith(_METHOD) else None
    if not isinstance(method, int):
        message = f"unknown sslmethod {quoted(name)}"
        raise InvalidValue(
            message, nearest(name, [one for one in dir(SSL) if one.endswith(_METHOD)])
        )
    return method


def _dh_parameters(path: Path) -> DiffieHellmanParameters:
    """Return DH parameters; OpenSSL reads the file after it was checked to be a regular one."""
    if b" DH PARAMETERS-----" not in content(path):
        message = f"{shown(path)} contains no DH parameters"
        raise InvalidValue(message, "a file from `openssl dhparam -out FILE 2048`")
    made: DiffieHellmanParameters = DiffieHellmanParameters.fromFile(FilePath(str(path)))
    return made


def _hosts(identity: Identity) -> tuple[str, ...]:
    """Return the DNS names of a certificate, in lower case."""
    try:
        extensions = identity.chain[0].to_cryptography().extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except ValueError as error:
        message = (
            f"{shown(identity.path)}: the subjectAltName cannot be read: {printable(str(error))}"
        )
        raise InvalidValue(message, "another certificate") from None
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _validity(certificate: crypto.X509, now: float) -> str:
    if now > valid_until(certificate):
        return f"expired at {rfc3339(valid_until(certificate))}"
    if now < valid_from(certificate):
        return f"is not valid before {rfc3339(valid_from(certificate))}"
    return ""


def _name(certificate: crypto.X509) -> str:
    return quoted(subject(certificate).rfc4514_string())
