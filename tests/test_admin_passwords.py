"""Passwords: made, read, hashed and verified."""

from __future__ import annotations

import io

import bcrypt
import pytest

from sockd.admin.passwords import (
    LONGEST,
    checked_hash,
    decoy,
    hashed,
    matches,
    random_password,
    read_and_hash,
)
from sockd.errors import Unfit


def cheap(password: bytes) -> bytes:
    return bcrypt.hashpw(password, bcrypt.gensalt(4))


def test_random_passwords_are_long_and_differ() -> None:
    first, second = random_password(), random_password()
    assert first != second
    assert len(first) == 23


def test_only_the_right_password_matches() -> None:
    known = cheap("geheim-ü".encode())
    assert matches("geheim-ü".encode(), known)
    for wrong in (b"geheim", b"", b"\0", b"x" * 73):
        assert not matches(wrong, known)


def test_an_empty_password_opens_nothing_even_where_its_hash_is_known() -> None:
    assert not matches(b"", cheap(b""))


def test_a_password_longer_than_bcrypt_looks_at_opens_nothing() -> None:
    known = cheap(b"x" * LONGEST)
    assert matches(b"x" * LONGEST, known)
    assert not matches(b"x" * (LONGEST + 1), known)


def test_a_hash_that_bcrypt_does_not_take_matches_nothing() -> None:
    assert not matches(b"x", b"$2b$99$nonsense")


def test_the_decoy_costs_as_much_as_the_costliest_hash() -> None:
    hashes = [cheap(b"x"), bcrypt.hashpw(b"y", bcrypt.gensalt(6))]
    assert decoy(hashes).startswith(b"$2b$06$")
    assert decoy([]).startswith(b"$2b$12$")
    assert not matches(b"x", decoy(hashes))


@pytest.mark.parametrize("wrong", ["", "x" * 73, "ü" * 37, "a\0b"])
def test_what_bcrypt_cannot_hash_is_refused(wrong: str) -> None:
    with pytest.raises(Unfit):
        hashed(wrong)


@pytest.mark.parametrize(
    "wrong",
    [b"$apr1$x$y", b"{SHA}x", b"plain", b"$2y$05$short", b"$2y$31$" + b"." * 53],
)
def test_only_bcrypt_hashes_of_reasonable_cost_are_taken(wrong: bytes) -> None:
    with pytest.raises(Unfit, match="hash"):
        checked_hash(wrong)


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
