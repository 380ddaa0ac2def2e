"""What a message costs by one provider and by another. Of the settings alone: no queries."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

from django.conf import settings


class Named(Protocol):
    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=Named)


def of(provider: str, country: str) -> Decimal | None:
    """What one message costs, of a text one segment: by the provider's own list. None where it has
    none for that country (ISO 3166-1 alpha-2, empty where there is none).
    """
    own = settings.PROVIDER_PRICES.get(provider, {})
    price: Decimal | None = own.get(country, own.get("*"))
    return price


def cheapest_first(providers: Sequence[P], country: str) -> Sequence[P]:
    """The same, the cheapest first, those of one price in their order; all in their order where the
    price of one of them is not known: what cannot be compared is not.
    """
    if not settings.PROVIDER_PRICES:
        return providers
    prices = {provider.name: of(provider.name, country) for provider in providers}
    known = {name: price for name, price in prices.items() if price is not None}
    if len(known) < len(prices):
        return providers
    return sorted(providers, key=lambda provider: known[provider.name])
