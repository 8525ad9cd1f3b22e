"""Limits of datagram services: answers are bounded, and some peers are refused."""

from __future__ import annotations

import tracemalloc
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.limits.buckets import UNLIMITED, RateLimit
from sockd.limits.budget import Budget
from sockd.limits.datagram_policy import DatagramPolicy
from sockd.limits.reflection import GUARDS, REFLECTORS, Guard
from sockd.limits.spec import LimitsSpec
from sockd.model.address import Address
from sockd.model.reasons import RefusalReason
from sockd.net.destination import reaches_many

ONE, OTHER = Address("192.0.2.1", 50001), Address("192.0.2.2", 50001)
OWN = 65431
MEBIBYTE = 1024 * 1024


def limits(
    packets: RateLimit = UNLIMITED,
    size: RateLimit = UNLIMITED,
    total: RateLimit = UNLIMITED,
    total_size: RateLimit = UNLIMITED,
) -> LimitsSpec:
    return LimitsSpec(
        source_packets=packets, source_bytes=size, total_packets=total, total_bytes=total_size
    )


def spend(budget: Budget, peer: Address, size: int = 1, now: float = 0.0) -> RefusalReason | None:
    return budget.spend(budget.buckets(peer, now), size, now)


def test_a_source_over_its_budget_is_silenced_and_nobody_else() -> None:
    budget = Budget(limits(packets=RateLimit(2, 1.0), size=RateLimit(100, 1.0)), 0.0)
    said = [spend(budget, Address("192.0.2.1", port)) for port in (1, 2, 3)]
    assert said == [None, None, RefusalReason.SOURCE_PACKETS]
    assert spend(budget, OTHER, 60) is None
    assert spend(budget, OTHER, 60) is RefusalReason.SOURCE_BYTES
    assert spend(budget, OTHER, 40) is None
    assert spend(budget, ONE, now=0.5) is None


def test_the_budget_of_all_is_the_last_resort() -> None:
    tight = limits(RateLimit(1, 9.0), UNLIMITED, RateLimit(2, 1.0), RateLimit(10, 1.0))
    budget = Budget(tight, 0.0)
    assert spend(budget, ONE, 8) is None
    assert spend(budget, OTHER, 8) is RefusalReason.TOTAL_BYTES
    assert spend(budget, OTHER, 2) is None
    third = Address("192.0.2.3", 1)
    assert spend(budget, third, 0) is RefusalReason.TOTAL_PACKETS
    assert spend(budget, third, 0, now=1.0) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50)), max_size=60))
def test_a_source_has_what_its_budget_says_and_no_more(steps: list[tuple[int, int]]) -> None:
    """Eight datagrams and 256 bytes per second. Time is in 1/64 s, so that floats are exact."""
    budget = Budget(limits(RateLimit(8, 1.0), RateLimit(256, 1.0)), 0.0)
    packets, size, now = 8.0, 256.0, 0.0
    for ticks, length in steps:
        now += ticks / 64
        packets, size = min(8.0, packets + ticks / 8), min(256.0, size + ticks * 4)
        may = packets >= 1 and size >= length
        assert (spend(budget, ONE, length, now) is None) is may
        if may:
            packets, size = packets - 1, size - length


def test_a_budget_that_is_off_never_ends() -> None:
    budget = Budget(limits(), 0.0)
    assert all(spend(budget, ONE, 65507) is None for _ in range(10_000))


def test_new_budgets_hold_for_flows_that_are_open() -> None:
    budget = Budget(limits(), 0.0)
    buckets = budget.buckets(ONE, 0.0)
    budget.apply(limits(packets=RateLimit(2, 1.0)), 0.0)
    assert [budget.spend(buckets, 1, 0.0) for _ in range(3)] == [
        None,
        None,
        RefusalReason.SOURCE_PACKETS,
    ]
    budget.apply(limits(), 0.0)
    assert [budget.spend(buckets, 1, 5.0) for _ in range(9)] == [None] * 9


def test_a_million_spoofed_sources_leave_a_small_table() -> None:
    budget = Budget(LimitsSpec(), 0.0)
    networks = [f"10.{number >> 8}.{number & 255}." for number in range(3907)]
    tracemalloc.start()
    try:
        for network in networks:
            for last in range(256):
                budget.buckets(Address(f"{network}{last}", 1), 0.0)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 10 * MEBIBYTE


@pytest.mark.parametrize(
    ("peer", "is_for_many", "reason"),
    [
        (ONE, False, None),
        (ONE, True, RefusalReason.BROADCAST),
        (Address("224.0.0.1", 50001), False, RefusalReason.BROADCAST),
        (Address("255.255.255.255", 50001), False, RefusalReason.BROADCAST),
        (Address("ff02::1%eth0", 50001), False, RefusalReason.BROADCAST),
        (Address("192.0.2.1", 0), False, RefusalReason.PORT_ZERO),
        (Address("192.0.2.1", OWN), False, RefusalReason.OWN_PORT),
        (Address("2001:db8::1", 7), False, RefusalReason.REFLECTOR),
    ],
)
def test_who_gets_no_answer_unless_that_is_switched_off_by_name(
    peer: Address, is_for_many: bool, reason: RefusalReason | None
) -> None:
    assert Guard((), lambda: {OWN}).refusal(peer, is_for_many) is reason
    others = [name for name, one in GUARDS.items() if one is not reason]
    assert Guard(others, lambda: {OWN}).refusal(peer, is_for_many) is reason
    if reason is not None:
        assert Guard([str(reason)], lambda: {OWN}).refusal(peer, is_for_many) is None


def test_the_ports_of_the_alerts_are_known() -> None:
    assert {7, 13, 17, 19, 37, 53, 123, 161, 1900} <= REFLECTORS
    assert max(REFLECTORS) < 32768, "no system picks one of these for a client"


def test_whom_the_lists_deny_gets_no_answer() -> None:
    denying = LimitsSpec(deny=(ip_network("192.0.2.1"),))
    policy = DatagramPolicy(denying, set, 0.0)
    assert policy.refusal(ONE, is_for_many=False) is RefusalReason.DENIED
    assert policy.refusal(OTHER, is_for_many=False) is None
    policy.apply(LimitsSpec(unguarded=("broadcast",)), 0.0)
    assert policy.refusal(ONE, is_for_many=True) is None


@pytest.mark.parametrize(
    ("host", "many"),
    [
        ("127.0.0.1", False),
        ("127.255.255.255", True),
        ("255.255.255.255", True),
        ("224.0.0.1", True),
        ("::ffff:127.255.255.255", True),
        ("ff02::1", True),
        ("::1", False),
        ("0.0.0.0", False),
    ],
)
def test_the_system_knows_which_addresses_are_many(host: str, many: bool) -> None:
    assert reaches_many(host) is many
