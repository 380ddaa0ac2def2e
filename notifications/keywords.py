"""What a text message asks of us by its words: to stop, to begin again, to be told more. Pure.

The law of the United States counts any reasonable wording as a revocation, and seven words always
(47 CFR 64.1200(a)(10)); vendors know a list of single words. A wish is the whole message, never a
word in the middle of another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from notifications.types import Inbound

Wish = Inbound.Wish

_PHRASES: Mapping[Wish, str] = {
    Wish.STOP: """
        stop, stopall, stop all, stop it, stop this, stop now, end, quit, cancel, revoke, optout,
        opt out, opt me out, opting out, i opt out, i want to opt out, remove, remove me,
        remove my number, take me off, take me off your list, take me off this list,
        unsubscribe, unsubscribe me, unsub, i want to unsubscribe, i unsubscribe,
        cancel all, cancel subscription, end all,
        stop texting, stop texting me, stop messaging me, stop messages, stop all messages,
        stop texts, stop all texts, stop sms, stop sending, stop sending me messages,
        stop sending messages, stop sending me texts, stop sending texts, stop contacting me,
        stop spamming me, stop spam, can you stop, could you stop, i want you to stop,
        you need to stop,
        no more messages, no more texts, no more sms, no more text messages,
        do not text me, do not text me again, dont text me, dont text me again, do not text,
        dont text, do not message me, dont message me, do not contact me, dont contact me,
        leave me alone, lose my number, wrong number stop,
        stop messaging, stop msg, stop msgs, do not text me anymore, dont text me anymore,
        do not message me anymore, dont message me anymore, cancel my subscription,
        remove me from this list, remove me from your list, remove me from the list,

        arret, arrets, arreter, arretez, arrete, arretez les sms, arretez les messages, stopper,
        desabonner, desabonnement, desabonnez moi, me desabonner, desinscrire, desinscription,
        desinscrivez moi, me desinscrire, je veux me desabonner, plus de messages, plus de sms,

        stopp, stoppen, stopp jetzt, abmelden, abmeldung, abbestellen, austragen, ende, beenden,
        aufhoren, horen sie auf, hor auf, keine sms mehr, keine nachrichten mehr, ich mochte keine
        nachrichten mehr, ich will keine nachrichten mehr, mich abmelden, melden sie mich ab,

        stoppa, sluta, avsluta, avregistrera, avregistrera mig, avanmal, avanmal mig, avprenumerera,
        inga fler sms, inga fler meddelanden, sluta skicka sms, sluta skicka meddelanden,
        sluta sms:a, sluta smsa mig,

        baja, alto, parar, cancelar
    """,
    Wish.START: """
        start, unstop, yes, resume, subscribe, resubscribe, opt in, optin, opt me in, start again,
        start texting, start messages,
        demarrer, commencer, reprendre, reabonner, me reabonner,
        starten, anmelden, fortsetzen,
        starta, borja, borja om,
        alta
    """,
    Wish.HELP: """
        help, help me, info, information, i need help, what is this, who is this, who are you,
        aide, aidez moi, au secours,
        hilfe, hilf mir,
        hjalp, hjalp mig,
        ayuda
    """,
}

_KINDNESS = frozenset(
    [
        "please",
        "pls",
        "plz",
        "now",
        "thanks",
        "thx",
        "ok",
        "okay",
        "hi",
        "hello",
        "hey",
        "sorry",
        "immediately",
        "svp",
        "stp",
        "merci",
        "bonjour",
        "bitte",
        "danke",
        "hallo",
        "jetzt",
        "sofort",
        "tack",
        "snalla",
        "hej",
        "nu",
    ]
)
"""What may stand before or after a wish and does not change it."""

_COURTESIES = (
    "thank you very much",
    "thank you",
    "sil vous plait",
    "sil te plait",
    "if you please",
)

_VENDORS_WORDS = frozenset(
    [
        "stop",
        "stopall",
        "unsubscribe",
        "cancel",
        "end",
        "quit",
        "revoke",
        "optout",
        "start",
        "unstop",
        "yes",
        "help",
        "info",
    ]
)
"""What vendors answer by themselves, where a message is nothing else."""

MOST = 120
"""Characters of a message that can be a wish."""


def _words(text: str) -> list[str]:
    """In small letters without accents; whatever is no letter or digit parts words, but for
    apostrophes and what cannot be seen.
    """
    shown = "".join(
        char
        for char in unicodedata.normalize("NFKD", text)
        if unicodedata.category(char) not in {"Mn", "Me", "Cf"} and char not in "'\u2019\u2018"
    )
    return re.findall(r"[^\W_]+", shown.casefold())


_WISHES: Mapping[str, Wish] = {
    " ".join(_words(phrase)): wish
    for wish, phrases in _PHRASES.items()
    for phrase in phrases.split(",")
}


def wish(text: str) -> Wish | None:
    """What `text` asks; None: it says something else."""
    if len(text) > MOST:
        return None
    words = _words(text)
    is_spelt = len(words) > 1 and all(len(word) == 1 for word in words)  # S T O P
    said = ("" if is_spelt else " ").join(words)
    found = _WISHES.get(said) or _WISHES.get(" ".join(_core(said)))
    # `yes please` answers a question: who wants to get messages again must say nothing else.
    return None if found is Wish.START and said not in _WISHES else found


def is_vendors(text: str) -> bool:
    """Whether vendors that answer keywords by themselves would answer this one."""
    return text.strip().casefold() in _VENDORS_WORDS


def _core(said: str) -> Sequence[str]:
    """Without kindness around it, and each word once where it is repeated."""
    for courtesy in _COURTESIES:
        said = re.sub(rf"^{courtesy}\b|\b{courtesy}$", "", said)
    words = said.split()
    while words and words[0] in _KINDNESS:
        words.pop(0)
    while words and words[-1] in _KINDNESS:
        words.pop()
    return [word for at, word in enumerate(words) if at == 0 or word != words[at - 1]]
