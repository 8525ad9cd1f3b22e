"""The check of what a reply returns, before it is counted and sent."""

from __future__ import annotations


def answer_bytes(answer: object) -> bytes:
    """Return an answer as it is: what a plugin returns must not break the counters.

    :raise TypeError: if it is not bytes.
    """
    if not isinstance(answer, bytes):
        message = f"a reply returns bytes, not {type(answer).__name__}"
        raise TypeError(message)
    return answer
