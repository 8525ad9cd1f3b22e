"""What a reply says, before it is counted and sent."""

from __future__ import annotations


def said(answer: object) -> bytes:
    """Return an answer; a plugin may do as it likes, but the counters must not.

    :raise TypeError: if it is no bytes.
    """
    if not isinstance(answer, bytes):
        message = f"a reply is bytes, not {type(answer).__name__}"
        raise TypeError(message)
    return answer
