"""What can be wrong with a message, said so that the caller can mend it."""

from __future__ import annotations

from commsproject.common.errors import CommsError, Conflict, InvalidInput


class UnknownRecipient(InvalidInput):
    code = "unknown_recipient"
    title = "The recipient is not known here and no address was given"


class NoChannel(InvalidInput):
    code = "no_channel"
    title = "No channel has both an address and content"


class NoProvider(InvalidInput):
    code = "no_provider"
    title = "Nothing here can carry this channel"


class TemplateProblem(InvalidInput):
    code = "template"
    title = "The message cannot be made from this template and data"


class TextTooLong(InvalidInput):
    code = "text_too_long"
    status = 422
    title = "The text message takes more segments than are allowed"


REFUSED = (NoChannel, NoProvider, TemplateProblem, TextTooLong, UnknownRecipient)
"""Why a message is not taken in, beyond wrong fields."""


class KeyReused(Conflict):
    code = "idempotency_key_reused"
    status = 422
    title = "This Idempotency-Key was used for a different request"


class KeyInFlight(Conflict):
    code = "idempotency_key_in_flight"
    status = 409
    title = "A request with this Idempotency-Key is being carried out"


OF_A_KEY = (KeyInFlight, KeyReused)
"""What whatever takes an `Idempotency-Key` may answer."""


class AlreadyReplayed(Conflict):
    code = "already_replayed"
    title = "This dead letter was replayed before"


class NoLongerDead(Conflict):
    code = "no_longer_dead"
    title = "The provider has told of this message since: it was not lost"


class ContentErased(Conflict):
    code = "content_erased"
    title = "What the message said is no longer kept"


class MessageExpired(Conflict):
    code = "message_expired"
    title = "The message expired and will not be sent any more"


class BatchStopped(Conflict):
    code = "batch_stopped"
    title = "The batch of this message was stopped for good"


class CannotCancel(Conflict):
    code = "cannot_cancel"
    title = "Nothing of this message can be cancelled any more"


class NameTaken(Conflict):
    code = "name_taken"
    title = "You have one of this name already"


class BatchState(Conflict):
    code = "batch_state"
    title = "The state of the batch does not allow this"


class SecondPerson(CommsError):
    code = "second_person"
    status = 403
    title = "Another member of staff has to approve this batch"


class UploadStopped(Conflict):
    code = "upload_stopped"
    title = "The batch was cancelled while it was being received"


class AlreadyAnswered(Conflict):
    code = "already_answered"
    title = "The message was answered by another of its buttons"


class AnnouncementState(Conflict):
    code = "announcement_state"
    title = "The state of the announcement does not allow this"


class TooManyAnnouncements(Conflict):
    code = "too_many_announcements"
    title = "As many announcements as there may be are live already"
