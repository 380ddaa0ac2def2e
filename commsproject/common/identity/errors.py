from __future__ import annotations

from commsproject.common.errors import CommsError, ServiceUnavailable


class InvalidCredentials(CommsError):
    """The key or token is refused. It never says which of the possible reasons it was."""

    code = "unauthenticated"
    status = 401
    title = "Credentials are missing or not valid"


class IdentityUnavailable(ServiceUnavailable):
    """The identity service cannot be asked, so nobody is let in; not the caller's fault."""

    code = "identity_unavailable"
    title = "The identity service cannot be reached"

    def __init__(self) -> None:
        super().__init__(
            "The token could not be checked: the identity service gave no usable answer. Try again.",
            retry_after=2,
        )
