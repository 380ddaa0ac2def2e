"""Addresses: checked, in one normal form, and hashed for the lists that must not keep them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from uuid import UUID

import email_validator
import phonenumbers
from django.conf import settings

from notifications.types import Channel, Platform

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS = str.maketrans("", "", " -.()\u00a0")
_NATIONAL = re.compile(r"[0-9]{7,15}")
"""A telephone's number, with or without its country. Short codes have fewer digits."""
_NETWORK = re.compile(r"^(?:whatsapp|rcs):")
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_+-]{1,64}(?:\.[A-Za-z0-9_+-]{1,64}){0,3}@")
"""Local parts that the library takes as they are; `_email` sees to the length."""
_SURELY_SHORT = 64
_SIMULATOR_DOMAIN = "simulator.test"
MAX_LENGTH = 320

# Internal domains are an organisation's own business, and the simulator lives in .test. The
# library documents editing this list as the way to allow them.
for _internal in ("test", "local"):
    if _internal in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_internal)


FIELDS: Mapping[str, Channel] = {
    "email": Channel.EMAIL,
    "phone": Channel.SMS,
    "device": Channel.PUSH,
}
"""What addresses are called in requests."""


class BadAddress(ValueError):
    """Not one well-formed address; the text says why and never repeats it."""


def normalise(channel: Channel, value: str) -> str:
    """The one form of `value` that is stored and sent to: domain in lower case, E.164, the id of a
    device, a user's id.

    Raises `BadAddress`: control characters, two addresses in one, display names, unknown ranges.
    """
    if len(value) > MAX_LENGTH:  # the library walks through all of it
        raise BadAddress(f"An address has at most {MAX_LENGTH} characters.")
    if _CONTROL.search(value):
        raise BadAddress("An address cannot contain control characters or line breaks.")
    if "=?" in value:  # RFC 2047: mail software would decode it into another address
        raise BadAddress("An address cannot be an encoded word.")
    return _NORMAL[channel](value)


def digest(channel: Channel, address: str) -> str:
    """64 hex digits that stand for a normalised address: equal exactly when the mailbox is."""
    message = f"{channel.value}:{address.casefold()}".encode()
    return hmac.digest(settings.ADDRESS_HASH_KEY.encode(), message, "sha256").hex()


def instruction(address: str) -> str:
    """What an address asks of the simulator: `bounce` for `bounce@simulator.test`, also with a
    label (`bounce+1@`); empty for every other domain.
    """
    local, _, domain = address.rpartition("@")
    return local.partition("+")[0] if domain == _SIMULATOR_DOMAIN else ""


INSTRUCTIONS = frozenset({"bounce", "complaint", "fail", "throttle", "hang"})


def is_instruction(address: str) -> bool:
    """Whether an address is nothing but an instruction: it is nobody's, and has no label."""
    return instruction(address) in INSTRUCTIONS and "+" not in address


def country(number: str) -> str:
    """Where a number in E.164 form belongs (ISO 3166-1 alpha-2); empty where none is known, as for
    satellites.
    """
    return _known(number)[0]


def tariff(number: str) -> str:
    """`premium-rate` or `shared-cost` for a number in E.164 form that pays its owner for what comes in;
    empty for every other.
    """
    return _known(number)[1]


# `UNKNOWN` is not among them: it is all that the library's tables do not have, also new ranges of
# mobile numbers until the next release of it.
_TARIFFS = {
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium-rate",
    phonenumbers.PhoneNumberType.SHARED_COST: "shared-cost",
}


@lru_cache(maxsize=8192)
def _known(number: str) -> tuple[str, str]:
    """Country and tariff: parsing takes most of the time of either."""
    parsed = phonenumbers.parse(number)
    region: str | None = phonenumbers.region_code_for_number(parsed)
    is_nowhere = region in (None, phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY)
    return "" if is_nowhere else str(region), _TARIFFS.get(phonenumbers.number_type(parsed), "")


def zones(number: str) -> list[str]:
    """The time zones (IANA) that a number in E.164 form may be in; none where it cannot be told."""
    from phonenumbers import timezone

    found = timezone.time_zones_for_number(phonenumbers.parse(number))
    return [zone for zone in found if zone != timezone.UNKNOWN_TIMEZONE]


def heard_from(sender: str, to: str) -> str:
    """The E.164 form of the number that a text message to us came from, as carriers and vendors write
    it: also with the name of its network (`whatsapp:+49...`), without the `+`, or in the national
    form of the country that `to`, our number, belongs to.

    Raises `BadAddress`: short codes, sender names, a national form where our country is not known.
    """
    written = _NETWORK.sub("", sender.strip()).translate(_SEPARATORS)
    if written.startswith("+"):
        return _phone(written)
    if not _NATIONAL.fullmatch(written):
        raise BadAddress("Not a telephone number.")
    home = _home(to)
    code = str(phonenumbers.country_code_for_region(home))
    # `4915...` could be either in Germany, where nobody leaves out the 0 alone.
    readings = [f"+{written}", written] if written.startswith(code) else [written]
    for reading in readings:
        with suppress(phonenumbers.NumberParseException):
            number = phonenumbers.parse(reading, home)
            if phonenumbers.is_valid_number(number):
                return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    raise BadAddress("Not a number of our country.")


def _home(number: str) -> str:
    """The country of a number of ours; of a short code it is the only one that we write to, empty
    where there are several.
    """
    with suppress(phonenumbers.NumberParseException):
        if known := country(number):
            return known
    (only,) = settings.SMS_COUNTRIES if len(settings.SMS_COUNTRIES) == 1 else ("",)
    return str(only)


def device(address: str) -> tuple[Platform, UUID]:
    """The platform and id in the address of a delivery by push."""
    platform, _, id_ = address.partition(":")
    return Platform(platform), UUID(id_)


def _device(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise BadAddress("A device is named by the id it got when it was registered.") from None


def _email(value: str) -> str:
    value = value.strip()
    plain = _PLAIN_LOCAL.match(value)
    try:
        if plain and len(value) <= _SURELY_SHORT:
            return plain[0] + _domain(value[plain.end() :])
        return email_validator.validate_email(value, check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        raise BadAddress("This is not one valid email address.") from None


@lru_cache(maxsize=4096)
def _domain(value: str) -> str:
    """What the library makes of a domain: most of its time goes there, and many addresses share
    one (measured: 2 us instead of 19).
    """
    made = email_validator.validate_email(f"a@{value}", check_deliverability=False)
    return made.domain


def _phone(value: str) -> str:
    written = value.translate(_SEPARATORS)
    if not _E164.fullmatch(written):  # the parser finds numbers in prose, and drops what follows
        raise BadAddress("Write the number in E.164 form: +, country code, number.")
    try:
        number = phonenumbers.parse(written)
    except phonenumbers.NumberParseException:
        raise BadAddress("Write the number in E.164 form: +, country code, number.") from None
    if not phonenumbers.is_possible_number(number):
        raise BadAddress("No such number can exist in that country.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_NORMAL: Mapping[Channel, Callable[[str], str]] = {
    Channel.EMAIL: _email,
    Channel.SMS: _phone,
    Channel.PUSH: _device,
    Channel.INAPP: str,
}
