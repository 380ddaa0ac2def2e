"""What can be wrong with a message, said so that the caller can mend it."""

from __future__ import annotations

from commsproject.common.errors import Conflict, InvalidInput


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


class KeyReused(Conflict):
    code = "idempotency_key_reused"
    status = 422
    title = "This Idempotency-Key was used for a different request"


class KeyInFlight(Conflict):
    code = "idempotency_key_in_flight"
    status = 409
    title = "A request with this Idempotency-Key is being carried out"
