"""Passwords: made, read, hashed and verified."""

from __future__ import annotations

import io

import bcrypt
import pytest

from sockd.admin.auth.passwords import (
    MAX_PASSWORD,
    PasswordTable,
    checked_hash,
    hashed,
    random_password,
    read_and_hash,
)
from sockd.errors import InvalidValue

pytestmark = pytest.mark.dependencies


def cheap(password: bytes) -> bytes:
    return bcrypt.hashpw(password, bcrypt.gensalt(4))


def test_random_passwords_are_long_and_differ() -> None:
    first, second = random_password(), random_password()
    assert first != second
    assert len(first) == 23


def is_right(password: bytes, known: bytes) -> bool:
    return PasswordTable({b"mary": known}).verify(b"mary", password)


def test_only_the_right_password_matches() -> None:
    known = cheap("geheim-ü".encode())
    assert is_right("geheim-ü".encode(), known)
    for message in (b"geheim", b"", b"\0", b"x" * 73):
        assert not is_right(message, known)


def test_a_password_is_one_users_alone() -> None:
    table = PasswordTable({b"mary": cheap(b"geheim"), b"john": cheap(b"other")})
    assert not table.verify(b"john", b"geheim")
    assert not table.verify(b"nobody", b"geheim")


def test_an_empty_password_opens_nothing_even_where_its_hash_is_known() -> None:
    assert not is_right(b"", cheap(b""))


def test_what_stands_in_for_an_impossible_password_opens_nothing() -> None:
    assert not is_right(b"", cheap(b"-"))
    assert is_right(b"-", cheap(b"-"))


def test_a_password_longer_than_bcrypt_looks_at_opens_nothing() -> None:
    known = cheap(b"x" * MAX_PASSWORD)
    assert is_right(b"x" * MAX_PASSWORD, known)
    assert not is_right(b"x" * (MAX_PASSWORD + 1), known)


def costs_of(hashes: dict[bytes, bytes], user: bytes, password: bytes) -> list[bytes]:
    """Return the costs of all that bcrypt computes to refuse an attempt."""
    costs: list[bytes] = []

    def check(given: bytes, known: bytes) -> bool:
        assert 0 < len(given) <= MAX_PASSWORD
        assert b"\0" not in given
        checked_hash(known)
        costs.append(known[4:6])
        return False

    assert not PasswordTable(hashes, check).verify(user, password)
    return costs


@pytest.mark.parametrize("user", [b"cheap", b"dear", b"viewer", b"unknown", b"", b"\xff"])
@pytest.mark.parametrize("password", [b"wrong", b"", b"x" * 73, b"a\0b", b"x" * 100_000])
def test_refusals_take_the_same_work_for_every_user(user: bytes, password: bytes) -> None:
    costs = {b"cheap": 4, b"dear": 6, b"viewer": 5, b"dear-too": 6}
    hashes = {name: bcrypt.hashpw(b"x", bcrypt.gensalt(cost)) for name, cost in costs.items()}
    assert costs_of(hashes, user, password) == [b"04", b"05", b"06"]


def test_where_nobody_has_a_password_a_refusal_is_the_work_of_a_usual_one() -> None:
    assert costs_of({}, b"admin", b"wrong") == [b"12"]


@pytest.mark.parametrize("message", ["", "x" * 73, "ü" * 37, "a\0b"])
def test_what_bcrypt_cannot_hash_is_refused(message: str) -> None:
    with pytest.raises(InvalidValue):
        hashed(message)


@pytest.mark.parametrize(
    "message",
    [b"$apr1$x$y", b"{SHA}x", b"plain", b"$2y$05$short", b"$2y$31$" + b"." * 53],
)
def test_only_bcrypt_hashes_of_reasonable_cost_are_taken(message: bytes) -> None:
    with pytest.raises(InvalidValue, match="hash"):
        checked_hash(message)


@pytest.mark.parametrize("last", "./0AOZaeuz9")
def test_a_hash_is_taken_if_and_only_if_bcrypt_takes_its_salt(last: str) -> None:
    known = f"$2b$04${'.' * 21}{last}{'.' * 31}".encode()
    try:
        bcrypt.checkpw(b"x", known)
    except ValueError:
        with pytest.raises(InvalidValue, match="does not accept its salt"):
            checked_hash(known)
    else:
        assert checked_hash(known) == known


def test_a_bcrypt_hash_is_taken() -> None:
    known = cheap(b"x")
    assert checked_hash(known) == known


def test_one_line_of_input_is_hashed() -> None:
    said = read_and_hash(io.StringIO("geheim\nmore\n"))
    assert bcrypt.checkpw(b"geheim", said.encode())


@pytest.mark.parametrize("text", ["", "\n", "x" * 73 + "\n"])
def test_input_that_will_not_do_is_one_clear_line(text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        read_and_hash(io.StringIO(text))
    assert str(caught.value).startswith("--hash-password: the password is ")
    assert "\n" not in str(caught.value)


class Terminal(io.StringIO):
    """Standard input where a person sits."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_on_a_terminal_it_asks_unseen() -> None:
    assert bcrypt.checkpw(b"geheim", read_and_hash(Terminal(), lambda _: "geheim").encode())


@pytest.mark.parametrize("how", [EOFError, KeyboardInterrupt])
def test_somebody_who_leaves_without_a_password_gets_one_clear_line(
    how: type[BaseException],
) -> None:
    def hang_up(prompt: str) -> str:
        raise how

    with pytest.raises(SystemExit, match="no password was read"):
        read_and_hash(Terminal(), hang_up)
