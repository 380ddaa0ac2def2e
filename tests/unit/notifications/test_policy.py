from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.policy import ALL, Facts, Suppressed, decide
from notifications.states import State
from notifications.types import SuppressionReason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON, EARLIER = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)
BOUNCE, COMPLAINT, UNSUBSCRIBE, MANUAL = SuppressionReason


def test_nothing_against_it_means_send():
    assert decide(Facts(now=NOW)) is None


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [(None, None), (SOON, None), (NOW, State.EXPIRED), (EARLIER, State.EXPIRED)],
)
def test_a_message_expires_at_its_very_moment(expires_at, state):
    refusal = decide(Facts(now=NOW, expires_at=expires_at))
    assert (refusal and refusal.state) is state


@pytest.mark.parametrize(
    ("reason", "essential", "sent"),
    [
        (BOUNCE, False, False),
        (COMPLAINT, False, False),
        (UNSUBSCRIBE, False, False),
        (MANUAL, False, False),
        (BOUNCE, True, False),
        (COMPLAINT, True, True),
        (UNSUBSCRIBE, True, True),
        (MANUAL, True, False),
    ],
)
def test_essential_messages_overrule_a_wish_but_no_dead_address(reason, essential, sent):
    facts = Facts(now=NOW, is_essential=essential, suppressed=[Suppressed(ALL, reason)])
    assert (decide(facts) is None) is sent


@pytest.mark.parametrize(
    ("scope", "category", "sent"),
    [
        (ALL, "", False),
        (ALL, "news", False),
        ("news", "news", False),
        ("news", "offers", True),
        ("news", "", True),
        ("news", "newsletter", True),
    ],
)
def test_an_entry_counts_for_its_scope(scope, category, sent):
    facts = Facts(now=NOW, category=category, suppressed=[Suppressed(scope, UNSUBSCRIBE)])
    assert (decide(facts) is None) is sent


@pytest.mark.parametrize(
    ("until", "sent"), [(None, False), (SOON, False), (NOW, True), (EARLIER, True)]
)
def test_an_entry_ends_when_it_expires(until, sent):
    facts = Facts(now=NOW, suppressed=[Suppressed(ALL, BOUNCE, until)])
    assert (decide(facts) is None) is sent


@pytest.mark.parametrize("reason", SuppressionReason)
def test_every_refusal_says_why(reason):
    refusal = decide(Facts(now=NOW, suppressed=[Suppressed(ALL, reason)]))
    assert refusal is not None
    assert refusal.state is State.SUPPRESSED
    assert refusal.reason.startswith("the ")


def test_one_entry_that_applies_is_enough():
    entries = [Suppressed("news", UNSUBSCRIBE), Suppressed(ALL, BOUNCE, EARLIER)]
    assert decide(Facts(now=NOW, category="offers", suppressed=entries)) is None
    assert decide(Facts(now=NOW, category="news", suppressed=entries)) is not None


def test_an_expired_message_is_expired_even_where_it_is_suppressed():
    refusal = decide(Facts(now=NOW, expires_at=EARLIER, suppressed=[Suppressed(ALL, BOUNCE)]))
    assert refusal is not None
    assert refusal.state is State.EXPIRED


entries = st.builds(
    Suppressed,
    st.sampled_from([ALL, "news", "offers"]),
    st.sampled_from(SuppressionReason),
    st.sampled_from([None, SOON, EARLIER]),
)


@given(st.lists(entries), st.sampled_from(["", "news"]), st.booleans(), st.randoms())
def test_the_order_of_the_list_does_not_decide_whether_to_send(listed, category, vital, random):
    def sends(some):
        return decide(Facts(NOW, None, category, vital, some)) is None

    assert sends(random.sample(listed, len(listed))) is sends(listed)
    assert sends(listed) is all(sends([entry]) for entry in listed)


@pytest.mark.parametrize(
    ("country", "countries", "reason"),
    [
        (None, [], ""),
        ("DE", [], ""),
        ("", [], ""),
        (None, ["DE"], ""),
        ("DE", ["DE", "SE"], ""),
        ("FR", ["DE", "SE"], "no text messages go to FR"),
        ("", ["DE"], "no text messages go to numbers of no country"),
    ],
)
@pytest.mark.parametrize("essential", [True, False])
def test_only_the_countries_of_the_list_are_written_to(country, countries, reason, essential):
    facts = Facts(now=NOW, country=country, countries=countries, is_essential=essential)
    refusal = decide(facts)
    assert (refusal.reason if refusal else "") == reason
    assert refusal is None or refusal.state is State.SUPPRESSED


def test_an_opt_out_is_named_before_the_country():
    entry = Suppressed(ALL, UNSUBSCRIBE)
    refusal = decide(Facts(now=NOW, suppressed=[entry], country="FR", countries=["DE"]))
    assert refusal is not None
    assert refusal.reason == "the recipient unsubscribed"
