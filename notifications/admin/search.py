"""What staff type into a search box: an address is looked for by its hash."""

from __future__ import annotations

from notifications import addresses
from notifications.types import Channel


def digests(term: str) -> list[str]:
    """The hashes of `term` as an address of each channel it could be one of."""
    found: list[str] = []
    for channel in Channel:
        try:
            found.append(addresses.digest(channel, addresses.normalise(channel, term)))
        except addresses.BadAddress:
            continue
    return found
