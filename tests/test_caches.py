"""A cache stays within its bound of entries and of weight, and forgets the least recently used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ratemill.caches import TEXT_CHARS_MAX, Cache, cache_short_texts


def kept(cache: Cache[int, bytes]) -> list[int]:
    return [key for key in range(10) if cache.get(key) is not None]


def test_the_least_recently_used_is_forgotten():
    cache: Cache[int, bytes] = Cache(entries_max=3)
    for key in range(3):
        cache.put(key, b"value")
    cache.get(0)
    cache.put(3, b"value")
    assert kept(cache) == [0, 2, 3]


def test_values_are_forgotten_until_the_rest_is_within_the_weight():
    cache: Cache[int, bytes] = Cache(entries_max=10, weight_max=10, weigh=len)
    for key in range(4):
        cache.put(key, b"123")
    assert (kept(cache), cache.weight) == ([1, 2, 3], 9)
    cache.put(4, b"12345678")
    assert (kept(cache), cache.weight) == ([4], 8)


def test_a_value_that_is_replaced_weighs_what_it_weighs_now():
    cache: Cache[int, bytes] = Cache(entries_max=10, weight_max=10, weigh=len)
    for value in (b"123456", b"1", b"12"):
        cache.put(0, value)
    cache.put(1, b"12345678")
    assert (kept(cache), cache.weight) == ([0, 1], 10)


def test_a_value_over_the_weight_is_kept_until_the_next_comes():
    cache: Cache[int, bytes] = Cache(entries_max=10, weight_max=10, weigh=len)
    cache.put(0, b"12345678901")
    assert cache.get(0) == b"12345678901"
    cache.put(1, b"1")
    assert (kept(cache), cache.weight) == ([1], 1)


def test_threads_share_a_cache():
    cache: Cache[int, bytes] = Cache(entries_max=5, weight_max=20, weigh=len)

    def use(start: int) -> None:
        for number in range(2_000):
            cache.put((start + number) % 10, b"1234")
            cache.get(number % 10)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, range(4)))
    assert (len(cache), cache.weight) == (5, 20)


def test_long_texts_are_not_kept():
    calls: list[str] = []

    @cache_short_texts
    def count(text: str) -> int:
        calls.append(text)
        return len(text)

    short, long = "x" * TEXT_CHARS_MAX, "x" * (TEXT_CHARS_MAX + 1)
    assert [count(text) for text in (short, short, long, long)] == [len(text) for text in (short, short, long, long)]
    assert calls == [short, long, long]
