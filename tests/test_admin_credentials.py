"""Credentials are read before the start, and every invalid line is reported."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.conch.ssh.keys import Key

from sockd.admin.auth.credentials import check, given_host_key, load_credentials
from sockd.config.specs import AdminSpec
from sockd.errors import ConfigurationError, SourceLocation

pytestmark = pytest.mark.dependencies

OPTIONS = ("ssh", "telnet", "authorized_keys", "passwd", "host_key")
PLACES = {name: SourceLocation("lab.ini", n, "admin", name) for n, name in enumerate(OPTIONS, 10)}
SPEC = AdminSpec(locations=PLACES)
HASH = "$2y$05$" + "." * 53


def ed25519_key() -> Key:
    return Key(ed25519.Ed25519PrivateKey.generate())


def public(key: Key) -> str:
    text: bytes = key.public().toString("OPENSSH")
    return text.decode()


def keys_in(tmp_path: Path, text: str) -> AdminSpec:
    path = tmp_path / "authorized_keys"
    path.write_text(text, encoding="utf-8")
    return replace(SPEC, authorized_keys=path)


def passwords_in(tmp_path: Path, text: str) -> AdminSpec:
    path = tmp_path / "passwd"
    path.write_text(text, encoding="utf-8")
    return replace(SPEC, passwd=path)


def said_of(spec: AdminSpec) -> list[str]:
    return [str(problem) for problem in check(spec)]


def test_without_files_there_is_nothing_wrong_and_nothing_opens() -> None:
    assert check(SPEC) == []
    known = load_credentials(SPEC)
    assert (known.keys, dict(known.hashes)) == ((), {})


@pytest.mark.parametrize(
    "private",
    [
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
    ],
    ids=["ed25519", "rsa", "ecdsa"],
)
def test_keys_are_read_with_and_without_remarks(tmp_path: Path, private: object) -> None:
    key = Key(private)
    line = public(key)
    spec = keys_in(tmp_path, f"# mine\n\n  {line} me@home some words\r\n{line}\n")
    assert check(spec) == []
    assert [one.blob() for one in load_credentials(spec).keys] == [key.public().blob()] * 2


@pytest.mark.parametrize(
    "options", ["no-pty-oh", 'command="ls, \\"x\\" -l"', 'no-user-rc,from="10.0.0.0/8"', "restrict"]
)
def test_a_restriction_that_nobody_would_enforce_is_a_problem(tmp_path: Path, options: str) -> None:
    spec = keys_in(tmp_path, f"\n{options} {public(ed25519_key())} me\n")
    said = said_of(spec)
    assert len(said) == 1
    assert said[0].startswith(f"{spec.authorized_keys}:2: the option ")
    with pytest.raises(ConfigurationError):
        load_credentials(spec)


def test_options_that_are_true_anyway_do_no_harm(tmp_path: Path) -> None:
    key = ed25519_key()
    spec = keys_in(tmp_path, f"no-port-forwarding,no-X11-forwarding,pty {public(key)} me\n")
    assert check(spec) == []
    assert [one.blob() for one in load_credentials(spec).keys] == [key.public().blob()]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        "ecdsa-sha2-nistp256 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIEsGB9xmLgAOmoAnLv6NgqFGvVUVzzyrAqX6k8bBbR3y",
        'command="ls',
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ],
)
def test_a_line_that_is_no_key_is_a_problem(tmp_path: Path, line: str) -> None:
    spec = keys_in(tmp_path, f"{public(ed25519_key())}\n{line}\n")
    said = said_of(spec)
    assert len(said) == 1
    assert said[0].startswith(f"{spec.authorized_keys}:2: ")


def test_a_private_key_among_the_public_ones_is_a_problem(tmp_path: Path) -> None:
    text: bytes = ed25519_key().toString("OPENSSH")
    assert said_of(keys_in(tmp_path, text.decode()))


def test_passwords_are_read_and_the_first_of_a_user_counts(tmp_path: Path) -> None:
    other = HASH[:-1] + "O"
    spec = passwords_in(tmp_path, f"# people\nadmin:{HASH}\n\nbob:{HASH}\nadmin:{other}\n")
    assert check(spec) == []
    assert dict(load_credentials(spec).hashes) == {"admin": HASH.encode(), "bob": HASH.encode()}


def test_real_htpasswd_makes_what_is_read(tmp_path: Path, tool: object) -> None:
    path = tmp_path / "passwd"
    assert callable(tool)
    words = [tool("htpasswd", "apache2-utils"), "-cbB", str(path), "admin", "geheim"]
    subprocess.run(words, check=True, capture_output=True)
    assert set(load_credentials(replace(SPEC, passwd=path)).hashes) == {"admin"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("admin:$apr1$abc$def", "user 'admin': the hash is not a bcrypt hash"),
        ("admin:plain", "user 'admin': the hash is not a bcrypt hash"),
        ("admin:", "user 'admin': the hash is not a bcrypt hash"),
        (f"admin:{HASH.replace('$05$', '$31$')}", "user 'admin': the hash has cost 31"),
        ("admin", "the line is not USER:HASH"),
        (f":{HASH}", "the line is not USER:HASH"),
    ],
)
def test_a_line_that_is_no_bcrypt_hash_is_a_problem(
    tmp_path: Path, line: str, message: str
) -> None:
    spec = passwords_in(tmp_path, f"bob:{HASH}\n{line}\n")
    [said] = said_of(spec)
    assert said.startswith(f"{spec.passwd}:2: {message} (")
    assert "htpasswd -B" in said


def test_files_that_let_nobody_in_are_a_problem(tmp_path: Path) -> None:
    [keys] = said_of(keys_in(tmp_path, "# nobody\n"))
    assert keys.startswith("lab.ini:12: [admin] authorized_keys: ")
    [passwords] = said_of(passwords_in(tmp_path, ""))
    assert passwords.startswith("lab.ini:13: [admin] passwd: ")


def test_files_that_cannot_be_read_are_all_named_at_once(tmp_path: Path) -> None:
    none = tmp_path / "none"
    spec = replace(SPEC, authorized_keys=none, passwd=tmp_path, host_key=none)
    said = sorted(said_of(spec))
    assert [line.partition(": '")[0] for line in said] == [
        f"lab.ini:{n}: [admin] {name}"
        for n, name in ((12, "authorized_keys"), (13, "passwd"), (14, "host_key"))
    ]
    assert "No such file or directory" in said[0]
    assert "Is a directory" in said[1]


def test_a_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    [said] = said_of(passwords_in(tmp_path, "#" * 1_048_577))
    assert "longer than" in said


def test_telnet_needs_passwords(tmp_path: Path) -> None:
    from sockd.config.endpoint import parse_private

    telnet = (parse_private("tcp:0:interface=127.0.0.1", PLACES["telnet"]),)
    spec = keys_in(tmp_path, public(ed25519_key()))
    [said] = said_of(replace(spec, telnet=telnet))
    assert said.startswith("lab.ini:11: [admin] telnet: nobody can log in")
    assert said_of(replace(SPEC, telnet=telnet)) == []


def test_the_host_key_that_is_named_is_the_one_that_is_used(tmp_path: Path) -> None:
    key = ed25519_key()
    path = tmp_path / "key"
    path.write_bytes(key.toString("OPENSSH"))
    spec = replace(SPEC, host_key=path)
    assert check(spec) == []
    assert given_host_key(spec) == key
    assert given_host_key(SPEC) is None


@pytest.mark.parametrize("sort", ["public", "locked", "nonsense", "empty"])
def test_a_host_key_that_will_not_do_is_a_problem(tmp_path: Path, sort: str) -> None:
    key = ed25519_key()
    content: dict[str, bytes] = {
        "public": key.public().toString("OPENSSH"),
        "locked": key.toString("OPENSSH", passphrase="secret"),
        "nonsense": b"-----BEGIN OPENSSH PRIVATE KEY-----\nxx",
        "empty": b"",
    }
    path = tmp_path / "key"
    path.write_bytes(content[sort])
    [said] = said_of(replace(SPEC, host_key=path))
    assert said.startswith("lab.ini:14: [admin] host_key: the host key ")
