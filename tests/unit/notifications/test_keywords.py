# ruff: noqa: RUF001 - people write with whatever their telephones have
from __future__ import annotations

import pytest

from notifications import keywords
from notifications.keywords import Wish

STOP = """
    STOP | stop | S T O P | s.t.o.p. | Stop. | STOP! | "Stop" | ' stop ' | stop!!! 🛑🛑 | 🙏 stop 🙏 | STOP STOP | stop stop stop
    ＳＴＯＰ | St\u200bop | StopAll | STOP ALL | stop-all | end | QUIT | Cancel | revoke | OPTOUT | opt out
    opt-out | Opt me out | unsubscribe | UNSUBSCRIBE ME | remove me | please stop | Please, stop!
    pls stop | stop please | Stop it please | stop, thank you | ok stop | Hi, please stop texting me
    Stop texting me now | STOP SENDING ME MESSAGES | stop messaging me | no more messages please
    Don't text me | don’t text me again | do not contact me | leave me alone | Take me off your list
    ARRET | Arrêt | arrêter | Arrêtez s'il vous plaît | désabonner | me désabonner | STOP SVP
    désinscription | Stopp | Bitte stoppen | abmelden | Abbestellen! | Keine SMS mehr | aufhören
    STOPPA | sluta | Avsluta tack | avregistrera mig | Avanmäl | inga fler sms | BAJA
"""
START = """
    START | start. | UNSTOP | Yes | resume | Subscribe | opt in | Start again | démarrer | Anmelden
    starta | Börja | ALTA
"""
HELP = """
    HELP | help? | Help me please | INFO | who is this? | Who are you | aide | Aidez-moi | Hilfe!
    bitte hilfe | hjälp | ayuda | 🆘 help 🆘
"""
NOTHING = """
    stop by tomorrow | I can't stop laughing | don't stop | non-stop | the bus stop | stop at the shop
    please stop by | the end | weekend | end of story | cancel my order | cancel the appointment
    quitting time | I quit my job | helpful | can you help me move on Sunday? | infos | start the car
    yes please | yes, 5 pm | ok | thanks | 👍 | 🛑 | ? | stopwatch | unstoppable | STOPP den Zug
    please start | non | nein | ja | ende gut alles gut | je vais arrêter de fumer | Bitte nicht stoppen
    no | no more | opt | out | opt out of what? | remove the other one | ... | 1 | stop 2 | start 1
"""


def texts(table: str) -> list[str]:
    return [text.strip() for line in table.strip().splitlines() for text in line.split("|")]


@pytest.mark.parametrize("text", texts(STOP))
def test_this_means_stop(text):
    assert keywords.wish(text) is Wish.STOP


@pytest.mark.parametrize("text", texts(START))
def test_this_means_start(text):
    assert keywords.wish(text) is Wish.START


@pytest.mark.parametrize("text", texts(HELP))
def test_this_means_help(text):
    assert keywords.wish(text) is Wish.HELP


@pytest.mark.parametrize("text", texts(NOTHING))
def test_this_asks_nothing_of_us(text):
    assert keywords.wish(text) is None


@pytest.mark.parametrize("text", ["", " ", "\n", "stop " * 100, "\u0301", "\x00stop\x00now\x00x"])
def test_odd_texts_ask_nothing(text):
    assert keywords.wish(text) is None


def test_the_words_that_always_count():
    """47 CFR 64.1200(a)(10)"""
    for word in ("stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe"):
        assert keywords.wish(word) is keywords.wish(word.upper()) is Wish.STOP


def test_every_phrase_of_the_tables_is_understood_as_what_it_stands_for():
    for wish, phrases in keywords._PHRASES.items():
        for phrase in phrases.split(","):
            assert keywords.wish(phrase) is wish, phrase


def test_what_vendors_answer_is_the_bare_word():
    """twilio.com/docs/messaging/tutorials/advanced-opt-out: the message is exactly the word."""
    for word in texts(
        "STOP|UNSUBSCRIBE|END|QUIT|STOPALL|REVOKE|OPTOUT|CANCEL|START|YES|UNSTOP|HELP|INFO"
    ):
        assert keywords.is_vendors(word)
        assert keywords.is_vendors(f" {word.lower()} ")
        assert keywords.wish(word)
    for text in ("please stop", "stop!", "opt out", "arret", ""):
        assert not keywords.is_vendors(text)
