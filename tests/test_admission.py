"""Admission: rates, counts, and tables of bounded size."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.limits.admission import Admission
from sockd.limits.buckets import UNLIMITED, Bucket, RateLimit
from sockd.limits.sources import MOST_SOURCES, Counts, LRUCache, source_of
from sockd.limits.spec import LimitsSpec
from sockd.model.address import Address
from sockd.model.reasons import RefusalReason

ONE, OTHER = Address("192.0.2.1", 50001), Address("192.0.2.2", 50001)
MEBIBYTE = 1024 * 1024


@given(
    st.integers(1, 20),
    st.sampled_from([0.001, 1.0, 60.0, 3600.0]),
    st.lists(st.integers(0, 40), max_size=60),
)
def test_a_bucket_gives_what_exact_arithmetic_gives(
    count: int, period: float, steps: list[int]
) -> None:
    """Compare with a model that counts sixteenths of tokens; one arrives at each step of time."""
    rate_limit = RateLimit(count, period)
    bucket = Bucket(rate_limit, 0.0)
    left, ticks = 16 * count, 0
    for step in steps:
        ticks += step
        left = min(16 * count, left + step)
        tokens = bucket.fill(rate_limit, ticks * period / count / 16)
        assert tokens == pytest.approx(left / 16, abs=1e-6)
        if left >= 16:
            bucket.tokens -= 1
            left -= 16


def test_a_burst_is_the_count_and_then_it_comes_steadily() -> None:
    ten_a_minute = RateLimit(10, 60.0)
    bucket = Bucket(ten_a_minute, 1e9)
    assert [bucket.take(ten_a_minute, 1e9) for _ in range(11)] == [True] * 10 + [False]
    assert not bucket.take(ten_a_minute, 1e9 + 5.9)
    assert bucket.take(ten_a_minute, 1e9 + 6.1)
    assert [bucket.take(ten_a_minute, 2e9) for _ in range(11)] == [True] * 10 + [False]


def test_a_clock_that_is_set_back_starves_nobody() -> None:
    bucket = Bucket(RateLimit(1, 1.0), 1000.0)
    assert bucket.take(RateLimit(1, 1.0), 1000.0)
    assert not bucket.take(RateLimit(1, 1.0), 10.0)
    assert bucket.take(RateLimit(1, 1.0), 11.0)


def test_what_is_unlimited_never_runs_out() -> None:
    bucket = Bucket(UNLIMITED, 0.0)
    assert all(bucket.take(UNLIMITED, now) for now in (0.0, 0.0, 1e9, 1.0))


def test_a_source_over_its_rate_is_refused_and_nobody_else() -> None:
    limits = LimitsSpec(connect_rate=RateLimit(2, 1.0), total_rate=RateLimit(100, 1.0))
    admission = Admission(limits, 0.0)
    assert [admission.admit(ONE, 0.0) for _ in range(200)][1:] == [
        None,
        *[RefusalReason.CONNECT_RATE] * 198,
    ]
    assert [admission.admit(OTHER, 0.0) for _ in range(3)] == [
        None,
        None,
        RefusalReason.CONNECT_RATE,
    ]
    assert admission.admit(ONE, 0.5) is None


def test_a_client_refused_by_the_total_rate_takes_no_token_of_its_source() -> None:
    limits = LimitsSpec(connect_rate=RateLimit(1, 1000.0), total_rate=RateLimit(1, 1.0))
    admission = Admission(limits, 0.0)
    assert admission.admit(ONE, 0.0) is None
    assert admission.admit(OTHER, 0.0) is RefusalReason.TOTAL_RATE
    assert admission.admit(OTHER, 1.0) is None


def test_a_source_has_so_many_connections_and_no_more() -> None:
    admission = Admission(LimitsSpec(per_source=2), 0.0)
    for port in (1, 2):
        assert admission.admit(Address("192.0.2.1", port), 0.0) is None
        admission.opened(Address("192.0.2.1", port))
    assert admission.admit(ONE, 0.0) is RefusalReason.PER_SOURCE
    assert admission.admit(OTHER, 0.0) is None
    admission.closed(Address("192.0.2.1", 1))
    assert admission.admit(ONE, 0.0) is None


def test_ipv6_counts_by_64_bits_and_ipv4_by_address_however_it_is_written() -> None:
    def source(host: str) -> object:
        return source_of(Address(host, 1))

    assert source("2001:db8::1") == source("2001:db8::ffff:0:0:1") != source("2001:db8:0:1::1")
    assert source("fe80::1%eth0") == source("fe80::1")
    assert source("::ffff:192.0.2.1") == source("::ffff:c000:201") == source("192.0.2.1")
    assert source("192.0.2.1") != source("192.0.2.2")
    assert source_of(Address("/run/client.sock")) is None


def test_a_unix_client_comes_under_the_rate_of_all_alone() -> None:
    limits = LimitsSpec(
        allow=(ip_network("192.0.2.1"),),
        per_source=1,
        connect_rate=RateLimit(1, 1.0),
        total_rate=RateLimit(3, 1.0),
    )
    admission = Admission(limits, 0.0)
    client = Address("")
    for _ in range(3):
        assert admission.admit(client, 0.0) is None
        admission.opened(client)
    assert admission.admit(client, 0.0) is RefusalReason.TOTAL_RATE
    admission.closed(client)


def test_new_limits_hold_for_the_next_client_and_forget_nobody_who_is_in() -> None:
    admission = Admission(LimitsSpec(), 0.0)
    for _ in range(3):
        admission.opened(ONE)
    tight = LimitsSpec(per_source=3, deny=(ip_network("192.0.2.2"),))
    admission.apply(tight, 0.0)
    assert admission.admit(ONE, 0.0) is RefusalReason.PER_SOURCE
    assert admission.admit(OTHER, 0.0) is RefusalReason.DENIED
    admission.closed(ONE)
    assert admission.admit(ONE, 0.0) is None
    admission.apply(replace(tight, connect_rate=RateLimit(1, 1.0)), 0.0)
    assert [admission.admit(ONE, 0.0) for _ in range(2)] == [None, RefusalReason.CONNECT_RATE]
    admission.apply(replace(tight, connect_rate=RateLimit(1, 1.0), deny=()), 0.0)
    assert admission.admit(ONE, 0.0) is RefusalReason.CONNECT_RATE
    assert admission.admit(OTHER, 0.0) is None
    admission.apply(replace(tight, total_rate=RateLimit(1, 1.0)), 0.0)
    assert [admission.admit(ONE, 0.0) for _ in range(2)] == [None, RefusalReason.TOTAL_RATE]


def test_a_million_sources_leave_a_small_table() -> None:
    rate_limit = RateLimit(5, 1.0)
    buckets = LRUCache(lambda now: Bucket(rate_limit, now))
    tracemalloc.start()
    try:
        for source in range(1_000_000):
            buckets.of(source, 0.0)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(buckets) == MOST_SOURCES
    assert used < 10 * MEBIBYTE


def test_however_many_sources_come_no_open_connection_is_forgotten() -> None:
    admission = Admission(LimitsSpec(per_source=1, connect_rate=RateLimit(5, 1.0)), 0.0)
    admission.opened(ONE)
    for number in range(2 * MOST_SOURCES):
        assert admission.admit(Address(f"10.0.{number >> 8}.{number & 255}", 1), 0.0) is None
    assert admission.admit(ONE, 0.0) is RefusalReason.PER_SOURCE


def test_the_source_that_came_longest_ago_makes_room() -> None:
    times = LRUCache(float, most=2)
    coming = (("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0), ("a", 5.0), ("b", 6.0))
    assert [times.of(source, now) for source, now in coming] == [1.0, 2.0, 1.0, 4.0, 1.0, 6.0]
    assert len(times) == 2


def test_only_sources_with_a_connection_are_counted() -> None:
    counts = Counts()
    for _ in range(2):
        counts.add("a")
    counts.add("b")
    counts.remove("b")
    counts.remove("a")
    assert (len(counts), counts.of("a"), counts.of("b")) == (1, 1, 0)
