"""The type check of a reply's answer, before it is counted and sent."""

from __future__ import annotations


def answer_bytes(answer: object) -> bytes:
    """Return an answer unchanged.

    A plugin may return anything; another type would corrupt the counters.

    :raise TypeError: if the answer is not bytes.
    """
    if not isinstance(answer, bytes):
        message = f"a reply returns bytes, not {type(answer).__name__}"
        raise TypeError(message)
    return answer
