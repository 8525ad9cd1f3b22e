"""The decision whether traffic may be echoed without calling the reply. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.config.specs import ServiceSpec
    from sockd.interfaces import IReply


def may_bypass_reply(spec: ServiceSpec, reply: IReply) -> bool:
    """Return whether a service may echo its input without calling the reply.

    Every option that needs to see each answer or each byte must be checked here.
    """
    needs_to_count = spec.replies or spec.limits.max_bytes
    return reply.identity and not needs_to_count
