"""Replies: bytes in, bytes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.plugin import IPlugin
from zope.interface.verify import verifyObject

from sockd.config.endpoint import parse_stream
from sockd.config.specs import ServiceSpec
from sockd.errors import SourceLocation
from sockd.interfaces import IConversation, IReply
from sockd.model.address import Address
from sockd.replies.echo import Echo
from sockd.replies.upper import Upper

PLACE = SourceLocation("lab.ini", 1)
PEER = Address("127.0.0.1", 50001)


def spec(strip: bool = False) -> ServiceSpec:
    listen = (parse_stream("tcp:0", PLACE),)
    return ServiceSpec(name="lab", kind="multi", listen=listen, location=PLACE, strip=strip)


def converse(reply: IReply, strip: bool = False) -> IConversation:
    return reply.converse(spec(strip), PEER)


@pytest.mark.parametrize(("reply", "name"), [(Echo(), "echo"), (Upper(), "upper")])
def test_a_reply_keeps_its_promises(reply: IReply, name: str) -> None:
    assert verifyObject(IReply, reply)
    assert IPlugin.providedBy(reply)
    assert (reply.name, list(reply.options)) == (name, [])
    conversation = converse(reply)
    assert verifyObject(IConversation, conversation)
    assert conversation.greet() == b""
    conversation.answer(b"hello")
    assert not conversation.done


@given(st.binary())
def test_echo_is_the_identity_and_says_so(data: bytes) -> None:
    assert Echo().identity
    assert converse(Echo()).answer(data) == data


@given(st.binary())
def test_upper_never_changes_the_length(data: bytes) -> None:
    assert not Upper().identity
    answer = converse(Upper()).answer(data)
    assert answer is not None
    assert len(answer) == len(data)


def test_upper_is_for_ascii_letters_alone() -> None:
    said = "Hello, wörld ß\n".encode()
    assert converse(Upper()).answer(said) == "HELLO, WöRLD ß\n".encode()


def test_strip_takes_the_white_space_around_each_message() -> None:
    conversation = converse(Upper(), strip=True)
    assert conversation.answer(b" \t hello  world\r\n") == b"HELLO  WORLD"
    assert conversation.answer(b" \n") == b""


def test_peers_do_not_share_what_they_set() -> None:
    reply = Upper()
    stripping, plain = converse(reply, strip=True), converse(reply)
    assert (stripping.answer(b" a "), plain.answer(b" a ")) == (b"A", b" A ")
