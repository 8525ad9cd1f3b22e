"""Renewed certificates: a reload applies them to new clients, and open connections continue."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from twisted.internet import tcp
from twisted.internet.protocol import Factory

from sockd.config.endpoint import parse_any
from sockd.errors import SourceLocation
from sockd.net.tls.certificates import certificates_of
from sockd.net.tls.tls_endpoint import TLSFactory, renew
from tests.certificates import TLSFiles, make_tls_files
from tests.clients import ask, connect
from tests.conftest import RunSockd
from tests.harness import Sockd, run_twistd
from tests.test_reload import ports, reload

pytestmark = pytest.mark.dependencies

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
PLAIN = "[service:s]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"


@pytest.fixture
def renewed(tmp_path: Path) -> TLSFiles:
    """Return another key with its certificate."""
    folder = tmp_path / "renewed"
    folder.mkdir()
    return make_tls_files(folder)


@pytest.fixture(params=["ssl", "tls"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return a TLS endpoint of one type."""
    return str(request.param)


def service(kind: str, files: TLSFiles, more: str = "") -> str:
    folder = f"tls:{files.pems}:port=0:interface=127.0.0.1"
    endpoint = files.endpoint(0) if kind == "ssl" else folder
    return f"[service:s]\nkind = multi\nlisten = {endpoint}\n{more}"


def dial(sockd: Sockd, trusted: ssl.SSLContext) -> ssl.SSLSocket:
    return trusted.wrap_socket(connect(sockd.port("s")), server_hostname="localhost")


def is_trusted(sockd: Sockd, trusted: ssl.SSLContext) -> bool:
    try:
        with dial(sockd, trusted) as client:
            return ask(client, b"hello") == b"hello"
    except ssl.SSLCertVerificationError:
        return False


@pytest.mark.parametrize("more", ["", "idle_timeout = 1h\n"], ids=["kept", "changed"])
def test_a_renewed_certificate_is_for_new_clients_and_the_old_ones_stay(
    run_sockd: RunSockd, tls_files: TLSFiles, renewed: TLSFiles, kind: str, more: str
) -> None:
    old, new = tls_files.client_context(), renewed.client_context()
    sockd = run_sockd(service(kind, tls_files) + STATS)
    with dial(sockd, old) as client:
        assert ask(client, b"before") == b"before"
        tls_files.replace(renewed)
        assert is_trusted(sockd, old)
        reload(sockd, service(kind, tls_files, more) + STATS)
        assert (is_trusted(sockd, old), is_trusted(sockd, new)) == (False, True)
        assert ask(client, b"after") == b"after"
    assert sockd.output.count("Bind tls") == 1
    shown = sockd.service("s")
    assert (shown["state"], shown["errors"]) == ("listening", 1)
    assert sockd.stop() == 0


@pytest.mark.parametrize("where", ["same", "other"])
def test_the_stats_endpoint_shows_the_renewed_certificate_too(
    run_sockd: RunSockd, tls_files: TLSFiles, renewed: TLSFiles, kind: str, where: str
) -> None:
    def ini(files: TLSFiles) -> str:
        return PLAIN + service(kind, files).replace("[service:s]\nkind = multi", "[stats]")

    sockd = run_sockd(ini(tls_files))
    port = int(sockd.wait_for(r"stats: curl https?://\S+:(\d+)/ports")[1])
    old, new = tls_files.client_context(), renewed.client_context()
    with old.wrap_socket(connect(port), server_hostname="localhost") as client:
        if where == "same":
            tls_files.replace(renewed)
        log = reload(sockd, ini(tls_files if where == "same" else renewed))
        assert "restart" not in log
        assert "the certificate was read again" in log
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    with new.wrap_socket(connect(port), server_hostname="localhost"):
        pass
    with pytest.raises(ssl.SSLCertVerificationError):
        old.wrap_socket(connect(port), server_hostname="localhost")


def test_a_certificate_of_the_stats_endpoint_that_is_not_usable_changes_nothing(
    run_sockd: RunSockd, tls_files: TLSFiles
) -> None:
    ini = PLAIN + service("ssl", tls_files).replace("[service:s]\nkind = multi", "[stats]")
    sockd = run_sockd(ini)
    tls_files.key.write_text("this is none\n", encoding="ascii")
    log = reload(sockd, ini)
    assert f"{sockd.file}:5: [stats] listen: '{tls_files.key}' " in log
    assert "Nothing was changed" in log


def test_other_files_need_no_other_socket(
    run_sockd: RunSockd, tls_files: TLSFiles, renewed: TLSFiles, kind: str
) -> None:
    sockd = run_sockd(service(kind, tls_files) + STATS)
    assert "changed s" in reload(sockd, service(kind, renewed) + STATS)
    assert is_trusted(sockd, renewed.client_context())
    assert not is_trusted(sockd, tls_files.client_context())
    assert sockd.output.count("Bind tls") == 1


def test_a_certificate_that_is_not_usable_changes_nothing_and_says_why(
    run_sockd: RunSockd, tls_files: TLSFiles, renewed: TLSFiles
) -> None:
    ini = service("ssl", tls_files)
    sockd = run_sockd(ini + "max_bytes = 5B\n" + STATS)
    renewed.certificate.replace(tls_files.certificate)
    log = reload(sockd, ini + STATS)
    assert f"{sockd.file}:3: [service:s] listen: the key in '{tls_files.key}' and the" in log
    assert "do not match (the certificate that was issued for this key)" in log
    assert "Nothing was changed" in log


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no folder", "pems' cannot be read: No such file or directory (a folder of .pem files"),
        ("no file", "has no usable certificate (a file that ends in .pem in that folder, "),
        ("no PEM", "localhost.pem' contains neither a certificate nor a private key (PEM blocks"),
        ("another key", "has no usable certificate (a file that ends in .pem in that folder, "),
        ("no host", "has no usable certificate (a file that ends in .pem in that folder, "),
    ],
)
def test_a_folder_without_a_usable_certificate_is_an_error_of_the_file(
    tmp_path: Path, tls_files: TLSFiles, renewed: TLSFiles, what: str, message: str
) -> None:
    [pem] = tls_files.pems.iterdir()
    pem.unlink()
    match what:
        case "no folder":
            tls_files.pems.rmdir()
        case "no PEM":
            pem.write_text("this is none\n", encoding="ascii")
        case "another key":
            pem.write_bytes(renewed.key.read_bytes() + tls_files.certificate.read_bytes())
        case "no host":
            (tmp_path / "nameless").mkdir()
            nameless = make_tls_files(tmp_path / "nameless", host="")
            pem.write_bytes(nameless.key.read_bytes() + nameless.certificate.read_bytes())
    (tmp_path / "sockd.ini").write_text(service("tls", tls_files), encoding="utf-8")
    done = run_twistd("-n", "sockd", "-c", "sockd.ini", "--check", folder=tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("sockd.ini:3: [service:s] listen: ")
    assert message in line


def test_a_folder_that_has_no_certificate_any_more_leaves_the_old_one_in_use(
    run_sockd: RunSockd, tls_files: TLSFiles
) -> None:
    ini = service("tls", tls_files)
    sockd = run_sockd(ini + STATS)
    [pem] = tls_files.pems.iterdir()
    pem.unlink()
    log = reload(sockd, ini + "max_bytes = 5B\n" + STATS)
    assert "has no usable certificate" in log
    assert "Nothing was changed" in log
    assert is_trusted(sockd, tls_files.client_context())


def test_a_port_that_changes_hands_has_the_certificate_of_its_new_owner(
    run_sockd: RunSockd, tls_files: TLSFiles, renewed: TLSFiles
) -> None:
    [port] = ports(1)
    ini = f"[service:{{}}]\nkind = multi\nreply = {{}}\nlisten = {{}}\n{STATS}"
    sockd = run_sockd(ini.format("one", "echo", tls_files.endpoint(port)))
    log = reload(sockd, ini.format("two", "upper", renewed.endpoint(port)), "moves from one to two")
    assert "added two, removed one" in log
    trusted = renewed.client_context()
    with trusted.wrap_socket(connect(port), server_hostname="localhost") as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"HELLO"


def test_should_the_files_be_gone_by_then_the_old_certificate_stays(tls_files: TLSFiles) -> None:
    endpoint = parse_any(tls_files.endpoint(0), SourceLocation("lab.ini", 3))
    port = tcp.Port(0, TLSFactory(certificates_of(endpoint), Factory()))
    before = port.factory
    tls_files.key.unlink()
    renew(endpoint, port)
    assert port.factory is before
