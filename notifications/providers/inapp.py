"""The in-app inbox: a provider with nobody behind it. A message that is stored has arrived."""

from __future__ import annotations

from typing import ClassVar, NoReturn
from uuid import UUID

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, transaction
from typing_extensions import override

from notifications.models import InboxItem, Recipient
from notifications.providers.base import Provider
from notifications.types import Channel, ErrorClass, Outbound, ProviderError, Sent, Wanted

PARTS = ("title", "body", "link", "image")


class InApp(Provider):
    """No options. A message is for a `user_id`."""

    channels = frozenset({Channel.INAPP})
    concurrency: ClassVar[int] = 4  # the engine needs the same database

    @override
    def lacks(self, wanted: Wanted) -> str:
        return "attachments" if wanted.has_attachments else super().lacks(wanted)

    @override
    def send(self, message: Outbound) -> Sent:
        if message.attachments:
            _refuse("attachments", "The inbox takes no files.")
        if not (message.parts.get("title") or message.parts.get("body")):
            _refuse("no_content", "Neither title nor body.")
        try:
            with transaction.atomic():
                return Sent(str(_stored(message)), is_delivered=True)
        except (DataError, UnicodeError):
            raise ProviderError(
                ErrorClass.PERMANENT_MESSAGE, "not_storable", "A part is too long, or no text."
            ) from None
        except IntegrityError:
            raise _unknown() from None  # erased in between
        except (OperationalError, InterfaceError):
            # The item is unique: stored although we did not hear of it, it is found next time.
            raise ProviderError(
                ErrorClass.TEMPORARY, "database", "The database could not be reached."
            ) from None


def _stored(message: Outbound) -> UUID:
    """The id of the delivery's item, which is made the first time."""
    person = Recipient.objects.filter(user_id=message.to).values_list("id", flat=True).first()
    if person is None:
        raise _unknown()
    item = InboxItem(
        recipient_id=person,
        delivery_id=message.delivery_id,
        **{name: message.parts.get(name, "") for name in PARTS},
    )
    InboxItem.objects.bulk_create([item], ignore_conflicts=True)
    return InboxItem.objects.values_list("id", flat=True).get(delivery_id=message.delivery_id)


def _unknown() -> ProviderError:
    return ProviderError(ErrorClass.PERMANENT_RECIPIENT, "unknown_user", "There is no such person.")


def _refuse(code: str, detail: str) -> NoReturn:
    raise ProviderError(ErrorClass.PERMANENT_MESSAGE, code, detail)
