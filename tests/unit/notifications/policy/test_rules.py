from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.policy import (
    ALL,
    Choice,
    Delay,
    Facts,
    Quiet,
    Refusal,
    Rules,
    Suppressed,
    asks_nothing,
    decide,
    explain,
)
from notifications.states import State
from notifications.types import Channel, QuietRule, SuppressionReason

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
    assert getattr(refusal, "state", None) is state


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
    facts = Facts(
        now=NOW, rules=Rules(is_essential=essential), suppressed=[Suppressed(ALL, reason)]
    )
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
    facts = Facts(now=NOW, rules=Rules(category), suppressed=[Suppressed(scope, UNSUBSCRIBE)])
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
    assert isinstance(refusal, Refusal)
    assert refusal.state is State.SUPPRESSED
    assert refusal.reason.startswith("the ")


def test_one_entry_that_applies_is_enough():
    entries = [Suppressed("news", UNSUBSCRIBE), Suppressed(ALL, BOUNCE, EARLIER)]
    assert decide(Facts(now=NOW, rules=Rules("offers"), suppressed=entries)) is None
    assert decide(Facts(now=NOW, rules=Rules("news"), suppressed=entries)) is not None


def test_an_expired_message_is_expired_even_where_it_is_suppressed():
    refusal = decide(Facts(now=NOW, expires_at=EARLIER, suppressed=[Suppressed(ALL, BOUNCE)]))
    assert isinstance(refusal, Refusal)
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
        return decide(Facts(NOW, rules=Rules(category, vital), suppressed=some)) is None

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
    facts = Facts(
        now=NOW, country=country, countries=countries, rules=Rules(is_essential=essential)
    )
    refusal = decide(facts)
    assert (refusal.reason if refusal else "") == reason
    assert getattr(refusal, "state", State.SUPPRESSED) is State.SUPPRESSED


@pytest.mark.parametrize("essential", [True, False])
def test_no_number_that_pays_its_owner_is_written_to_in_any_country(essential):
    facts = Facts(now=NOW, country="DE", tariff="premium-rate", rules=Rules(is_essential=essential))
    refusal = Refusal(State.SUPPRESSED, "no text messages go to premium-rate numbers")
    assert decide(facts) == refusal
    assert decide(replace(facts, countries=["DE"])) == refusal
    assert decide(replace(facts, tariff="")) is None


def test_an_opt_out_is_named_before_the_country():
    entry = Suppressed(ALL, UNSUBSCRIBE)
    refusal = decide(Facts(now=NOW, suppressed=[entry], country="FR", countries=["DE"]))
    assert refusal is not None
    assert refusal.reason == "the recipient unsubscribed"


# --- What a person has chosen --------------------------------------------------------------------

NEWS = Rules("news")


def reason(facts):
    answer = decide(facts)
    return answer.reason if answer else ""


@pytest.mark.parametrize(
    ("choices", "sent"),
    [
        ([], True),
        ([("", "", False)], False),
        ([("", "", False), ("news", "", True)], True),
        ([("", "", True), ("news", "", False)], False),
        ([("news", "", True), ("news", "email", False)], False),
        ([("news", "", False), ("news", "email", True)], True),
        ([("news", "sms", False)], True),
        ([("offers", "", False)], True),
        ([("", "email", False)], False),
        ([("", "sms", False)], True),
        ([("", "email", False), ("news", "", True)], False),
        ([("", "email", False), ("news", "email", True)], True),
        ([("news", "", False), ("", "email", True)], False),
        ([("", "", False), ("", "email", True)], True),
    ],
)
def test_the_closest_choice_counts_and_of_two_as_close_the_no(choices, sent):
    for order in (choices, choices[::-1]):
        facts = Facts(
            now=NOW, channel="email", rules=NEWS, choices=[Choice(*choice) for choice in order]
        )
        assert (decide(facts) is None) is sent


@pytest.mark.parametrize(
    ("rules", "sent"),
    [
        (Rules("news"), False),
        (Rules("news", is_optional=False), True),
        (Rules("news", is_essential=True), True),
    ],
)
def test_what_cannot_be_turned_off_is_not(rules, sent):
    facts = Facts(now=NOW, channel="email", rules=rules, choices=[Choice("news", "", False)])
    assert (decide(facts) is None) is sent


@pytest.mark.parametrize(
    ("choices", "sent"),
    [
        ([], False),
        ([("", "", True)], False),
        ([("", "email", True)], False),
        ([("news", "", True)], True),
        ([("news", "email", True)], True),
        ([("news", "sms", True)], False),
        ([("news", "", True), ("news", "email", False)], False),
    ],
)
def test_what_must_be_asked_for_was_asked_for_by_name(choices, sent):
    facts = Facts(
        now=NOW,
        channel="email",
        rules=Rules("news", is_opt_in=True),
        choices=[Choice(*choice) for choice in choices],
    )
    assert (decide(facts) is None) is sent


@pytest.mark.parametrize(
    ("until", "essential", "sent"),
    [(SOON, False, False), (SOON, True, True), (NOW, False, True), (None, False, True)],
)
def test_a_pause_holds_until_its_end_and_never_holds_a_code(until, essential, sent):
    facts = Facts(now=NOW, rules=Rules(is_essential=essential), paused_until=until)
    assert (decide(facts) is None) is sent


def test_a_paused_category_says_why():
    facts = Facts(now=NOW, rules=Rules("news", paused="10 % bounced"))
    assert decide(facts) == Refusal(State.SUPPRESSED, "its category is paused: 10 % bounced")


@pytest.mark.parametrize(
    ("channel", "spares", "watching", "sent"),
    [
        (Channel.EMAIL, True, True, False),
        (Channel.INAPP, True, True, True),
        (Channel.EMAIL, True, False, True),
        (Channel.EMAIL, False, True, True),
    ],
)
def test_who_is_looking_is_told_there_only(channel, spares, watching, sent):
    rules = Rules(spares_watchers=spares)
    facts = Facts(now=NOW, channel=channel, rules=rules, is_watching=watching)
    assert (decide(facts) is None) is sent


@pytest.mark.parametrize(("taken", "sent"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_cap_counts_those_before(taken, sent):
    facts = Facts(now=NOW, rules=Rules("news", daily_cap=3), taken=taken)
    assert reason(facts) == ("" if sent else "the recipient had 3 of these in 24 hours")


NIGHT = [Quiet(time(11), time(14), "UTC")]
LATER = NOW.replace(hour=14)


@pytest.mark.parametrize(
    ("rule", "channel", "expires_at", "answer"),
    [
        (QuietRule.IGNORE, Channel.SMS, None, None),
        (QuietRule.DELAY, Channel.INAPP, None, None),
        (QuietRule.DELAY, Channel.SMS, None, Delay(LATER, "these are quiet hours")),
        (
            QuietRule.DELAY,
            Channel.SMS,
            LATER,
            Refusal(State.EXPIRED, "it expires before the quiet hours end"),
        ),
        (
            QuietRule.DELAY,
            Channel.SMS,
            LATER + timedelta(seconds=1),
            Delay(LATER, "these are quiet hours"),
        ),
        (QuietRule.SKIP, Channel.SMS, None, Refusal(State.SUPPRESSED, "these are quiet hours")),
    ],
)
def test_quiet_hours_delay_skip_or_do_not_matter(rule, channel, expires_at, answer):
    facts = Facts(
        now=NOW,
        channel=channel,
        rules=Rules(quiet=rule),
        expires_at=expires_at,
        periods=NIGHT,
    )
    assert decide(facts) == answer


def test_what_the_law_asks_for_is_not_ignored_and_a_refusal_is_said_before_a_delay():
    facts = Facts(now=NOW, channel=Channel.SMS, legal=NIGHT)
    assert decide(facts) == Delay(LATER, "these are quiet hours")
    stopped = Facts(
        now=NOW, channel=Channel.SMS, legal=NIGHT, suppressed=[Suppressed(ALL, UNSUBSCRIBE)]
    )
    assert reason(stopped) == "the recipient unsubscribed"


def test_an_explanation_asks_every_rule_and_the_first_answer_is_the_decision():
    facts = Facts(
        now=NOW,
        channel=Channel.SMS,
        rules=Rules("news", daily_cap=1),
        suppressed=[Suppressed(ALL, BOUNCE)],
        taken=1,
        legal=NIGHT,
    )
    found = explain(facts)
    against = [finding for finding in found if finding.answer]
    assert [finding.rule for finding in against] == ["suppression", "frequency", "quiet hours"]
    assert decide(facts) == against[0].answer
    assert len({finding.rule for finding in found}) == len(found)


# --- Whatever is the case ------------------------------------------------------------------------

DEAD = {BOUNCE, MANUAL}
moments = st.sampled_from([None, SOON, NOW, EARLIER, LATER, LATER + timedelta(days=1)])
periods = st.lists(
    st.builds(
        Quiet,
        st.sampled_from([time(0), time(11), time(12), time(21)]),
        st.sampled_from([time(0), time(8), time(12), time(14)]),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
        st.sampled_from([(), (6,), (0,)]),  # it is a Sunday
    ),
    max_size=2,
)
rule_sets = st.builds(
    Rules,
    key=st.sampled_from(["", "news"]),
    is_essential=st.booleans(),
    is_marketing=st.booleans(),
    is_optional=st.booleans(),
    is_opt_in=st.booleans(),
    quiet=st.sampled_from(QuietRule),
    spares_watchers=st.booleans(),
    paused=st.sampled_from(["", "by staff"]),
    daily_cap=st.sampled_from([None, 1, 3]),
).filter(lambda rules: not (rules.is_essential and rules.is_opt_in))
choices = st.builds(
    Choice,
    st.sampled_from(["", "news", "offers"]),
    st.sampled_from(["", "email", "sms"]),
    st.booleans(),
)
cases = st.builds(
    Facts,
    now=st.just(NOW),
    channel=st.sampled_from(Channel),
    rules=rule_sets,
    expires_at=moments,
    suppressed=st.lists(entries, max_size=3),
    country=st.sampled_from([None, "", "DE", "FR"]),
    countries=st.sampled_from([[], ["DE"]]),
    tariff=st.sampled_from(["", "premium-rate"]),
    choices=st.lists(choices, max_size=3),
    paused_until=moments,
    periods=periods,
    legal=periods,
    is_watching=st.booleans(),
    taken=st.integers(0, 3),
)


@given(cases, entries)
def test_every_decision_has_its_reason_and_no_list_is_overruled(facts, entry):
    answer = decide(facts)
    against = [finding.answer for finding in explain(facts) if finding.answer]
    assert answer == (against[0] if against else None)
    if isinstance(answer, Delay):
        assert answer.until > NOW
        assert facts.expires_at is None or answer.until < facts.expires_at
    for told in against:
        assert told.reason.strip()
        assert isinstance(told, Delay) or told.state in (State.EXPIRED, State.SUPPRESSED)
    listed = [
        one
        for one in facts.suppressed
        if one.scope in (ALL, facts.rules.key) and one.expires_at != EARLIER
    ]
    if any(one.reason in DEAD or not facts.rules.is_essential for one in listed):
        assert isinstance(answer, Refusal)
    if facts.rules.is_essential:  # no wish of the person keeps a code back
        dead = [one for one in facts.suppressed if one.reason in DEAD]
        assert decide(replace(facts, suppressed=dead, choices=(), paused_until=None)) == answer
    if answer is not None:
        assert decide(replace(facts, suppressed=[*facts.suppressed, entry])) is not None
    if asks_nothing(facts.rules, facts.channel):
        assert decide(Facts(now=NOW, channel=facts.channel, rules=facts.rules)) is None
