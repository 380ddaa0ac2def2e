"""Which provider a message goes by: order, weights, capability, countries, and who may be probed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from notifications import breaker
from notifications.models import ProviderState
from notifications.services import route
from notifications.services.route import Routes, Stranded
from notifications.types import Channel, ErrorClass, ProviderError, Wanted
from tests.scripted import entry, temporary

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def three(settings: Any) -> None:
    settings.PROVIDERS = {name: entry() for name in "abc"}


def routes(channel: Channel = Channel.EMAIL, *, in_transaction: bool = False) -> Routes:
    """As a window sees them: what another process has learnt is not remembered here."""
    route._heard.clear()
    return Routes(channel, in_transaction=in_transaction)


def way(found: Routes, *excluded: str, wanted: Wanted | None = None) -> str:
    provider = found.choose(excluded, wanted)
    return "" if isinstance(provider, Stranded) else provider.name


def stranded(found: Routes, *excluded: str, wanted: Wanted | None = None) -> Stranded:
    result = found.choose(excluded, wanted)
    assert isinstance(result, Stranded)
    return result


def state(name: str, **fields: Any) -> ProviderState:
    return ProviderState.objects.create(name=name, **fields)


def half_open(name: str) -> ProviderState:
    return state(name, breaker="open", failures=5, opened_until=timezone.now() - SECOND)


def probed(name: str) -> bool:
    return ProviderState.objects.get(name=name).probe_until is not None


# --- Order and weight ----------------------------------------------------------------------------


def test_without_weights_the_order_is_that_of_the_settings() -> None:
    found = routes()
    assert [way(found), way(found, "a"), way(found, "a", "b")] == ["a", "b", "c"]
    assert stranded(found, "a", "b", "c") == Stranded(None)


def test_who_is_switched_off_is_passed_over() -> None:
    state("a", enabled=False)
    found = routes()
    assert way(found) == "b"
    assert not found.has_other_than(["b", "c"])
    assert found.has_other_than(["b"])


def shares(count: int = 2000) -> Counter[str]:
    found = routes()
    return Counter(way(found) for _ in range(count))


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ({"b": 3, "c": 1}, {"b": 0.75, "c": 0.25}),
        ({"a": 1, "b": 1, "c": 2}, {"a": 0.25, "b": 0.25, "c": 0.5}),
        ({"c": 5}, {"c": 1.0}),
    ],
)
def test_each_comes_first_as_often_as_its_weight_says(
    monkeypatch: pytest.MonkeyPatch, weights: dict[str, int], share: dict[str, float]
) -> None:
    monkeypatch.setattr(route, "_random", Random(1))
    for name, weight in weights.items():
        state(name, weight=weight)
    found = shares()
    assert found.keys() == share.keys()
    for name, part in share.items():
        assert found[name] / 2000 == pytest.approx(part, abs=0.04)


def test_a_provider_that_is_half_well_gets_half_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "_random", Random(1))
    state("a", weight=2, health=50)
    state("b", weight=1)
    assert shares()["a"] / 2000 == pytest.approx(0.5, abs=0.04)


def test_those_without_a_weight_come_after_the_others_in_their_order() -> None:
    state("c", weight=1)
    found = routes()
    assert [way(found), way(found, "c"), way(found, "c", "a")] == ["c", "a", "b"]


def test_of_those_without_a_weight_the_cheapest_that_is_well_goes_first(settings: Any) -> None:
    settings.PROVIDER_PRICES = {"a": {"*": 3}, "b": {"*": 2, "DE": 4}, "c": {"*": 1}}
    german = Wanted(Channel.SMS, "+4915112345678", "DE", part="DE")
    found = routes()
    assert [way(found), way(found, "c"), way(found, "c", "b")] == ["c", "b", "a"]
    assert [way(routes(Channel.SMS), wanted=german), way(found, "c", wanted=german)] == ["c", "a"]
    state("c", failures=5, opened_until=timezone.now() + 30 * SECOND)
    assert way(routes()) == "b"
    state("a", weight=1)
    assert way(routes()) == "a"
    del settings.PROVIDER_PRICES["b"]  # what cannot be compared is not
    assert way(routes(), "a") == "b"


# --- Breakers and probes -------------------------------------------------------------------------


def test_a_shut_breaker_leaves_the_next_and_says_when_the_first_opens() -> None:
    now = timezone.now()
    for seconds, name in ((30, "a"), (20, "b"), (40, "c")):
        state(name, failures=5, opened_until=now + seconds * SECOND)
    assert stranded(routes()).until == now + 20 * SECOND
    assert stranded(routes(), "b").until == now + 30 * SECOND
    ProviderState.objects.filter(name="c").update(failures=0, opened_until=None)
    assert way(routes()) == "c"


def test_one_message_of_all_processes_goes_as_a_probe() -> None:
    half_open("a")
    here, there = routes(), routes()
    assert [way(here), way(here), way(there)] == ["a", "b", "b"]
    again = ProviderState.objects.get().probe_until
    assert again is not None
    assert breaker.PROBE_FOR / 2 < again - timezone.now() <= breaker.PROBE_FOR + SECOND


def test_after_a_throttle_there_is_nothing_to_probe() -> None:
    state("a", opened_until=timezone.now() - SECOND)
    found = routes()
    assert [way(found), way(found)] == ["a", "a"]
    assert not probed("a")


def test_a_probe_that_nobody_made_is_left_to_others() -> None:
    half_open("a")
    unused = routes()
    assert probed("a")
    unused.leave(set())
    assert way(routes()) == "a"


def test_a_probe_that_is_out_is_not_left() -> None:
    half_open("a")
    found = routes()
    assert way(found) == "a"
    found.leave({("a", "")})
    assert way(routes()) == "b"


def test_a_probe_whose_process_died_is_taken_again() -> None:
    half_open("a")
    routes()
    ProviderState.objects.update(probe_until=timezone.now() - SECOND)
    assert way(routes()) == "a"


def test_who_read_it_before_a_probe_failed_does_not_probe_again() -> None:
    half_open("a")
    late = routes(in_transaction=True)
    ProviderState.objects.update(opened_until=timezone.now() + 5 * SECOND, probe_until=None)
    assert not late._take_probe("a")


def test_in_a_callers_transaction_nothing_is_written() -> None:
    half_open("a")
    found = routes(in_transaction=True)
    assert not probed("a")
    assert [way(found), way(found)] == ["a", "b"]
    ProviderState.objects.update(probe_until=timezone.now() + SECOND)
    found.leave(set())
    assert probed("a")  # somebody else's


@pytest.mark.parametrize(("error", "then"), [(None, "closed"), (temporary(), "open")])
def test_the_answer_to_a_probe_closes_the_breaker_or_opens_it_again(error: Any, then: str) -> None:
    half_open("a")
    assert way(routes()) == "a"
    route.report([("a", error)])
    row = ProviderState.objects.get()
    assert (row.breaker, row.probe_until) == (then, None)
    assert way(routes()) == ("a" if error is None else "b")


def test_what_this_process_alone_has_found_counts_here() -> None:
    found = routes()
    route.hear("a", ProviderError(ErrorClass.AUTH_CONFIG, "401"))
    assert way(found) == "b"


# --- Alone on a channel --------------------------------------------------------------------------


def shut_for(name: str, left: timedelta) -> None:
    state(name, breaker="open", failures=5, opened_until=timezone.now() + left)


def test_who_is_alone_is_probed_a_second_after_its_failure(settings: Any) -> None:
    settings.PROVIDERS = {"a": entry()}
    shut_for("a", breaker.OPEN_FOR - breaker.ALONE_FOR + SECOND)
    assert not way(routes())
    ProviderState.objects.update(
        opened_until=timezone.now() + breaker.OPEN_FOR - breaker.ALONE_FOR - SECOND
    )
    found = routes()
    assert [way(found), way(found)] == ["a", ""]
    # Its answer is the answer to a probe, though the time was not over.
    route.report([("a", temporary())])
    row = ProviderState.objects.get()
    assert row.failures == 6
    assert row.opened_until is not None
    assert row.opened_until - timezone.now() > breaker.OPEN_FOR - breaker.ALONE_FOR - SECOND


def test_its_answer_counts_though_the_time_was_not_over(settings: Any) -> None:
    settings.PROVIDERS = {"a": entry()}
    shut_for("a", breaker.OPEN_FOR - breaker.ALONE_FOR - SECOND)
    assert way(routes()) == "a"
    route.report([("a", None)])
    row = ProviderState.objects.get()
    assert (row.breaker, row.opened_until) == ("closed", None)


def test_who_has_company_waits_for_the_whole_time() -> None:
    shut_for("a", breaker.OPEN_FOR - breaker.ALONE_FOR - SECOND)
    assert way(routes()) == "b"
    assert not probed("a")


def test_company_that_is_switched_off_is_none() -> None:
    shut_for("a", breaker.OPEN_FOR - breaker.ALONE_FOR - SECOND)
    for name in "bc":
        state(name, enabled=False)
    assert way(routes()) == "a"


def test_a_device_has_one_service_that_reaches_it() -> None:
    shut_for("a", breaker.OPEN_FOR - breaker.ALONE_FOR - SECOND)
    assert way(routes(Channel.PUSH)) == "a"


# --- Countries -----------------------------------------------------------------------------------


def number(country: str) -> Wanted:
    return Wanted(Channel.SMS, "+44", country, country)


def test_a_provider_that_refuses_a_country_carries_the_others() -> None:
    state("a:GB", failures=5, opened_until=timezone.now() + 20 * SECOND)
    found = routes(Channel.SMS)
    assert way(found, wanted=number("GB")) == "b"
    assert way(found, wanted=number("DE")) == "a"
    assert route.is_shut("a:GB")
    assert not route.is_shut("a")


def test_a_country_is_open_where_the_provider_is_not() -> None:
    state("a", failures=5, opened_until=timezone.now() + 20 * SECOND)
    state("a:GB")
    assert way(routes(Channel.SMS), wanted=number("GB")) == "b"


def test_a_country_has_a_probe_of_its_own() -> None:
    half_open("a:GB")
    found = routes(Channel.SMS)
    assert way(found, wanted=number("DE")) == "a"
    assert [way(found, wanted=number("GB")) for _ in range(2)] == ["a", "b"]


def test_the_probe_of_a_country_is_left_by_who_calls_for_another() -> None:
    half_open("a:GB")
    found = routes(Channel.SMS)
    assert way(found, wanted=number("DE")) == "a"
    found.leave({("a", "DE")})
    assert way(routes(Channel.SMS), wanted=number("GB")) == "a"


def test_a_push_service_behind_browsers_is_ill_by_itself() -> None:
    state("a:push.example", failures=5, opened_until=timezone.now() + 20 * SECOND)
    found = routes(Channel.PUSH)
    ill, well = (
        Wanted(Channel.PUSH, "webpush:1", part=f"{name}.example") for name in ("push", "x")
    )
    assert way(found, "b", "c", wanted=ill) == ""
    assert way(found, "b", "c", wanted=well) == "a"


def test_no_other_channel_looks_at_countries() -> None:
    half_open("a:GB")
    routes(Channel.EMAIL)
    assert not probed("a:GB")


# --- Capability ----------------------------------------------------------------------------------

FILES = Wanted(Channel.EMAIL, "ada@example.org", has_attachments=True)
PLAIN = Wanted(Channel.EMAIL, "ada@example.org")


def test_who_cannot_carry_it_is_passed_over(settings: Any) -> None:
    settings.PROVIDERS["a"] = entry(lacking=["attachments"])
    settings.PROVIDERS = dict(settings.PROVIDERS)
    found = routes()
    assert found.is_picky
    assert [way(found, wanted=FILES), way(found, wanted=PLAIN)] == ["b", "a"]
    assert way(found, "b", wanted=FILES) == "c"
    assert found.has_other_than(["b"], FILES)
    assert not found.has_other_than(["b", "c"], FILES)
    assert stranded(found, "b", "c", wanted=FILES) == Stranded(None)  # refused, not unable


def test_where_nobody_can_carry_it_it_is_said_what_they_lack(settings: Any) -> None:
    settings.PROVIDERS = {name: entry(lacking=["attachments"]) for name in "ab"}
    found = routes()
    assert stranded(found, wanted=FILES).lacking == "attachments"
    assert way(found, wanted=PLAIN) == "a"


def test_a_provider_may_lack_a_country(settings: Any) -> None:
    settings.PROVIDERS = {"a": entry(lacking=["US"]), "b": entry()}
    found = routes(Channel.SMS)
    assert [way(found, wanted=number(country)) for country in ("US", "DE")] == ["b", "a"]


def test_who_is_switched_off_is_waited_for(settings: Any) -> None:
    """Staff will switch it on again: nothing that it alone can carry is lost meanwhile."""
    settings.PROVIDERS = {"a": entry(), "b": entry(lacking=["attachments"])}
    state("a", enabled=False)
    assert stranded(routes(), wanted=FILES) == Stranded(None)


def test_weights_count_among_those_that_can_carry_it(settings: Any) -> None:
    settings.PROVIDERS = {"a": entry(lacking=["attachments"]), "b": entry(), "c": entry()}
    state("a", weight=100)
    assert way(routes(), wanted=FILES) == "b"
