from __future__ import annotations

from commsproject.common.identity.cache import ExpiringCache


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_there_until_its_seconds_are_over():
    clock = Clock()
    cache: ExpiringCache[str] = ExpiringCache(10, clock)
    cache.put(b"a", "x", 5)
    clock.now += 4.9
    assert cache.get(b"a") == "x"
    clock.now += 0.1
    assert cache.get(b"a") is None
    assert len(cache) == 0


def test_a_full_cache_drops_what_was_not_used_for_longest():
    cache: ExpiringCache[int] = ExpiringCache(2)
    cache.put(b"a", 1, 60)
    cache.put(b"b", 2, 60)
    cache.get(b"a")
    cache.put(b"c", 3, 60)
    assert [cache.get(key) for key in (b"a", b"b", b"c")] == [1, None, 3]


def test_putting_a_key_again_replaces_its_value_and_time():
    clock = Clock()
    cache: ExpiringCache[int] = ExpiringCache(2, clock)
    cache.put(b"a", 1, 1)
    cache.put(b"a", 2, 10)
    clock.now += 5
    assert cache.get(b"a") == 2
