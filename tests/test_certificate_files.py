"""The files of TLS endpoints: chains are sent completely, and unusable files are errors."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from sockd.config.endpoint import parse_any
from sockd.errors import InvalidValue, SourceLocation
from sockd.net.tls.certificates import certificates_of
from tests.certificates import DAY, Issued, TLSFiles, issue, key_pem
from tests.certificates import write_tls_files as write
from tests.clients import LOOPBACK, ask, connect
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, Sockd, environment_for, run_twistd
from tests.test_reload import reload

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
ENDPOINTS = ("ssl", "ssl and extra", "tls", "tls in parts")


@dataclass(frozen=True)
class Authority:
    """A root that clients trust, and two intermediate certificates below it."""

    root: Issued
    upper: Issued
    lower: Issued

    def own(self) -> Issued:
        """Return a new certificate for localhost."""
        return issue("localhost", self.lower, "localhost", is_ca=False)

    @property
    def trust(self) -> ssl.SSLContext:
        """The trust root of clients that know the root certificate only."""
        return ssl.create_default_context(cadata=self.root.pem.decode("ascii"))


@pytest.fixture
def authority() -> Authority:
    root = issue("root")
    upper = issue("upper", root)
    return Authority(root, upper, issue("lower", upper))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def written(folder: Path, authority: Authority, sort: str) -> str:
    """Write a new certificate with its chain in one of the layouts; return the endpoint."""
    own, chain = authority.own(), (authority.lower, authority.upper)
    for path in folder.glob("**/*.pem"):
        path.unlink()
    (folder / "pems").mkdir(exist_ok=True)
    match sort:
        case "ssl":
            (folder / "key.pem").write_bytes(own.key_pem)
            (folder / "full.pem").write_bytes(b"".join(one.pem for one in (own, *chain)))
            return (
                f"ssl:0:privateKey={folder}/key.pem:certKey={folder}/full.pem:interface=127.0.0.1"
            )
        case "ssl and extra":
            (folder / "both.pem").write_bytes(own.key_pem + own.pem + authority.lower.pem)
            (folder / "extra.pem").write_bytes(authority.lower.pem + authority.upper.pem)
            extra = f"extraCertChain={folder}/extra.pem"
            return f"ssl:0:privateKey={folder}/both.pem:{extra}:interface=127.0.0.1"
        case "tls":
            parts = {"localhost": own.key_pem + b"".join(one.pem for one in (own, *chain))}
        case _:  # with the root, which is not sent
            everybody = {"own": own, "lower": authority.lower, "upper": authority.upper}
            parts = {name: one.pem for name, one in everybody.items()}
            parts |= {"key": own.key_pem, "root": authority.root.pem}
    for name, data in parts.items():
        (folder / "pems" / f"{name}.pem").write_bytes(data)
    return f"tls:{folder}/pems:port=0:interface=127.0.0.1"


def service(endpoint: str) -> str:
    return f"[service:s]\nkind = multi\nlisten = {endpoint}\n"


def shown(tool: ToolFinder, port: int) -> list[str]:
    """Return the subjects of the certificates that a client receives, in order."""
    command = [tool("openssl"), "s_client", "-showcerts", "-connect", f"{LOOPBACK}:{port}"]
    done = subprocess.run(
        [*command, "-servername", "localhost"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    return re.findall(r"^ *\d s:CN ?= ?(\w+)$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("sort", ENDPOINTS)
def test_a_chain_is_served_whole_and_a_reload_serves_a_new_one(
    run_sockd: RunSockd, folder: Path, authority: Authority, tool: ToolFinder, sort: str
) -> None:
    ini = service(written(folder, authority, sort)) + STATS
    sockd = run_sockd(ini)
    assert shown(tool, sockd.port("s")) == ["localhost", "lower", "upper"]
    with authority.trust.wrap_socket(connect(sockd.port("s")), server_hostname="localhost") as tls:
        assert ask(tls, b"hello") == b"hello"
    other = Authority(authority.root, one := issue("one", authority.root), issue("two", one))
    written(folder, other, sort)
    assert "the certificate was read again" in reload(sockd, ini)
    assert shown(tool, sockd.port("s")) == ["localhost", "two", "one"]
    with other.trust.wrap_socket(connect(sockd.port("s")), server_hostname="localhost") as tls:
        assert ask(tls, b"hello") == b"hello"


@pytest.mark.parametrize("sort", ["ssl", "tls in parts"])
def test_the_stats_endpoint_serves_its_chain(
    run_sockd: RunSockd, folder: Path, authority: Authority, sort: str
) -> None:
    stats = f"[stats]\nlisten = {written(folder, authority, sort)}\n"
    sockd = run_sockd(service("tcp:0:interface=127.0.0.1") + stats)
    port = sockd.wait_for(r"stats: curl https://\S+?:(\d+)/ports")[1]
    with urllib.request.urlopen(f"https://localhost:{port}/health", context=authority.trust) as got:
        assert got.status == 200


def checked(folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    (folder / "sockd.ini").write_text(service(endpoint), encoding="utf-8")
    return run_twistd("-n", "sockd", "-c", "sockd.ini", "--check", folder=folder)


def problem(endpoint: str) -> str:
    with pytest.raises(InvalidValue) as raised:
        certificates_of(parse_any(endpoint, SourceLocation("lab.ini", 3)))
    return f"{raised.value.message} ({raised.value.hint})"


@pytest.fixture
def terminal() -> Iterator[int]:
    """Return a terminal without input."""
    controller, terminal = os.openpty()
    yield terminal
    os.close(controller)
    os.close(terminal)


LOCKED = {
    "ssl": "[service:t]\nkind = multi\nlisten = ssl:0:privateKey={key}:certKey={certificate}\n",
    "tls": "[service:t]\nkind = multi\nlisten = tls:{folder}:0\n",
    "stats": "[stats]\nlisten = ssl:0:privateKey={key}:certKey={certificate}\n",
    "ssh": "[admin]\nssh = tcp:0:interface=127.0.0.1\nhost_key = {key}\n",
}


@pytest.mark.parametrize(
    ("where", "form", "options"),
    [
        *((where, "PKCS8", ("--check",)) for where in LOCKED),
        ("ssl", "TraditionalOpenSSL", ("--check",)),
        ("ssh", "TraditionalOpenSSL", ("--check",)),
        ("ssl", "PKCS8", ()),
        ("tls", "TraditionalOpenSSL", ()),
    ],
)
def test_an_encrypted_key_is_an_error_and_nobody_is_asked(
    folder: Path, terminal: int, where: str, form: str, options: tuple[str, ...]
) -> None:
    files = locked(folder, form)
    text = LOCKED[where].format(key=files.key, certificate=files.certificate, folder=files.pems)
    (folder / "sockd.ini").write_text(service("tcp:0:interface=127.0.0.1") + text, encoding="utf-8")
    done = subprocess.run(
        [TWISTD, "-n", "sockd", "-c", "sockd.ini", *options],
        cwd=folder,
        env=environment_for(folder),
        stdin=terminal,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        start_new_session=True,
        check=False,
    )
    [line] = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("sockd.ini:")
    assert str(files.key if where != "tls" else files.pems / "localhost.pem") in line
    assert "passphrase" in line


def locked(folder: Path, form: str) -> TLSFiles:
    """Write an encrypted key."""
    own = issue("localhost", host="localhost")
    files = write(folder, own)
    encrypted = key_pem(own.key, getattr(PrivateFormat, form), b"sesame")
    files.key.write_bytes(encrypted)
    (files.pems / "localhost.pem").write_bytes(encrypted + own.pem)
    return files


@pytest.mark.parametrize("sort", ["ssl", "tls"])
def test_a_reload_does_not_ask_for_a_passphrase(
    run_sockd: RunSockd, folder: Path, tls_files: TLSFiles, sort: str
) -> None:
    endpoint = tls_files.endpoint(0) if sort == "ssl" else f"tls:{tls_files.pems}:0"
    sockd = run_sockd(service(endpoint) + STATS)
    tls_files.replace(locked(folder, "PKCS8"))
    log = reload(sockd, service(endpoint) + STATS)
    assert "the private key is encrypted with a passphrase (a copy without one, " in log
    assert "Nothing was changed" in log
    trusted = ssl.create_default_context()
    trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
    with trusted.wrap_socket(connect(sockd.port("s"))) as client:
        assert ask(client, b"hello") == b"hello"


def test_every_pem_file_of_a_folder_has_to_be_usable(folder: Path, tls_files: TLSFiles) -> None:
    endpoint = f"tls:{tls_files.pems}:0"
    bad = tls_files.pems / "more" / "bad.pem"
    bad.parent.mkdir()
    for data, message in {
        b"garbage": "contains neither a certificate nor a private key (PEM blocks ",
        b"\n-----BEGIN CERTIFICATE-----\nAAAA\n": "line 2: the end of the block is missing",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": (
            "line 1: the certificate cannot be read: "
        ),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n": (
            "line 1: the private key cannot be read: "
        ),
    }.items():
        bad.write_bytes(data)
        assert f"'{bad}'" in problem(endpoint)
        assert message in problem(endpoint)
    bad.unlink()
    os.mkfifo(bad)
    assert f"'{bad}' cannot be read: it is a pipe" in problem(endpoint)
    bad.unlink()
    bad.symlink_to("nowhere")
    assert f"'{bad}' cannot be read: No such file" in problem(endpoint)
    bad.unlink()
    (bad.parent / "loop").symlink_to(tls_files.pems)
    (bad.parent / "README").write_text("other files do not matter", encoding="ascii")
    assert certificates_of(parse_any(endpoint, SourceLocation("lab.ini", 3))).unused == ()


def test_a_folder_that_holds_too_much_is_an_error(folder: Path) -> None:
    for number in range(10_001):
        (folder / str(number)).touch()
    assert "contains more than 10000 files" in problem(f"tls:{folder}:0")


@pytest.mark.parametrize("option", ["privateKey", "certKey", "extraCertChain", "dhParameters"])
def test_a_file_that_holds_something_else_is_an_error(tls_files: TLSFiles, option: str) -> None:
    named = {"privateKey": tls_files.key, "certKey": tls_files.certificate}
    other = tls_files.key if option == "certKey" else tls_files.certificate
    options = ":".join(f"{name}={path}" for name, path in (named | {option: other}).items())
    expected = {
        "privateKey": "contains no private key (privateKey names ",
        "certKey": "contains no certificate (certKey names ",
        "extraCertChain": "",
        "dhParameters": "contains no DH parameters (",
    }[option]
    if expected:
        assert f"'{other}' {expected}" in problem(f"ssl:0:{options}")
    else:
        named[option] = tls_files.key
        options = ":".join(f"{name}={path}" for name, path in named.items())
        assert f"'{tls_files.key}' contains no certificate (extraCert" in problem(
            f"ssl:0:{options}"
        )


def test_what_only_openssl_can_judge_is_an_error_as_well(
    tmp_path: Path, tls_files: TLSFiles
) -> None:
    damaged = tmp_path / "dh.pem"
    damaged.write_text("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n")
    said = problem(f"{tls_files.endpoint(0)}:dhParameters={damaged}")
    assert said.startswith("OpenSSL rejects the files of 'ssl:0:privateKey=")
    assert said.endswith(" (files that the installed OpenSSL accepts)")


def test_the_certificate_of_the_key_comes_first(folder: Path, authority: Authority) -> None:
    files = write(folder, own := authority.own())
    files.certificate.write_bytes(authority.lower.pem + own.pem)
    assert "do not match (put the certificate of the key first, " in problem(files.endpoint(0))


def test_an_unknown_method_is_an_error(tls_files: TLSFiles) -> None:
    with_method = f"{tls_files.endpoint(0)}:sslmethod=TLSv1_3_METHOD"
    assert problem(with_method).startswith("unknown sslmethod 'TLSv1_3_METHOD' (did you mean TLSv1")


@pytest.mark.parametrize(
    ("age", "validity", "message"),
    [(3 * DAY, -DAY, "expired at 20"), (-DAY, 2 * DAY, "is not valid before 20")],
    ids=["expired", "not yet"],
)
def test_a_certificate_that_is_not_valid_now_is_served_with_a_warning(
    run_sockd: RunSockd, folder: Path, age: timedelta, validity: timedelta, message: str
) -> None:
    files = write(folder, issue("localhost", host="localhost", age=age, validity=validity))
    done = checked(folder, files.endpoint(0))
    [line] = done.stderr.splitlines()
    start = f"[service:s] listen: the certificate 'CN=localhost' in '{files.certificate}' {message}"
    assert (done.returncode, done.stdout[:9]) == (0, "s: multi ")
    assert line.startswith(f"sockd.ini:3: {start}")
    sockd = run_sockd(service(files.endpoint(0)) + STATS)
    assert f"{sockd.file}:3: {start}" in sockd.output
    with pytest.raises(ssl.SSLCertVerificationError):
        files.client_context().wrap_socket(connect(sockd.port("s")), server_hostname="localhost")
    assert f"{sockd.file}:3: {start}" in reload(sockd, service(files.endpoint(0)) + STATS)


def test_a_key_without_a_certificate_beside_others_is_a_warning(tls_files: TLSFiles) -> None:
    lonely = tls_files.pems / "lonely.pem"
    lonely.write_bytes(issue("somebody").key_pem)
    found = certificates_of(parse_any(f"tls:{tls_files.pems}:0", SourceLocation("lab.ini", 3)))
    assert [warning.message for warning in found.warnings(time.time())] == [
        f"no certificate belongs to the key in '{lonely}'"
    ]


def test_of_two_certificates_for_a_name_the_one_that_lasts_longer_is_served(
    run_sockd: RunSockd, folder: Path, tool: ToolFinder
) -> None:
    for number, days in enumerate((2, 3, 1)):
        made = issue(f"days{days}", host="Localhost", validity=days * DAY)
        (folder / f"{number}.pem").write_bytes(made.key_pem + made.pem)
    sockd = run_sockd(service(f"tls:{folder}:0:interface=127.0.0.1") + STATS)
    assert shown(tool, sockd.port("s")) == ["days3"]


def test_names_are_looked_up_with_wildcards_and_unknown_ones_get_the_first(
    run_sockd: RunSockd, folder: Path
) -> None:
    trusted = {}
    for host in ("first.test", "*.wild.test"):
        made = issue(host, host=host)
        (folder / f"{host.replace('*', 'z')}.pem").write_bytes(made.key_pem + made.pem)
        trusted[host] = made.pem
    sockd = run_sockd(service(f"tls:{folder}:0:interface=127.0.0.1") + STATS)
    (folder / "later.pem").write_bytes(b"garbage, which a client cannot have read")
    for name, expected in {
        "first.test": "first.test",
        "FIRST.test": "first.test",
        "a.wild.test": "*.wild.test",
        "a.b.wild.test": "first.test",
        "unknown.test": "first.test",
        "b\u00fccher.test": "first.test",
    }.items():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connect(sockd.port("s")), server_hostname=name) as client:
            pem = ssl.DER_cert_to_PEM_cert(client.getpeercert(binary_form=True) or b"")
            assert pem.encode() == trusted[expected]
    assert "unknown.test" not in sockd.output
    assert "garbage" not in sockd.output


def expiry(sockd: Sockd) -> dict[str, float]:
    with urllib.request.urlopen(f"{sockd.stats_url}/metrics", timeout=DEADLINE) as answer:
        text = answer.read().decode("utf-8")
    found = re.findall(
        r'^sockd_certificate_not_after_seconds\{listener="(\S+)",service="(\w+)"\} (\S+)$',
        text,
        re.MULTILINE,
    )
    return {f"{name} {listener}": float(value) for listener, name, value in found}


@pytest.mark.parametrize("sort", ["ssl", "tls"])
def test_a_metric_tells_when_the_first_certificate_expires_and_follows_a_reload(
    run_sockd: RunSockd, folder: Path, sort: str
) -> None:
    def write_until(days: int) -> float:
        lower = issue("lower", validity=days * DAY)
        write(folder, issue("localhost", host="localhost", validity=9 * DAY), lower)
        return lower.certificate.not_valid_after_utc.timestamp()

    first = write_until(days=2)
    files = f"privateKey={folder}/key.pem:certKey={folder}/certificate.pem"
    endpoint = f"ssl:0:{files}" if sort == "ssl" else f"tls:{folder}/pems:0"
    plain = "[service:plain]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
    ini = service(f"{endpoint}:interface=127.0.0.1") + plain + STATS
    sockd = run_sockd(ini)
    where = f"s {LOOPBACK}:{sockd.port('s')}"
    assert expiry(sockd) == {where: first}
    second = write_until(days=5)
    assert expiry(sockd) == {where: first}
    reload(sockd, ini)
    assert expiry(sockd) == {where: second}
