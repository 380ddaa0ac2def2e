"""What can be wrong with what people do in conversations. Not found is the same for all apps."""

from __future__ import annotations

from commsproject.common.errors import CommsError


class NotAllowed(CommsError):
    """They belong to the conversation, but may not do this in it."""

    code = "not_allowed"
    status = 403
    title = "You may not do this here"


class Gone(CommsError):
    """The entry was deleted."""

    code = "deleted"
    status = 410
    title = "This was deleted"


class TypeNotAllowed(CommsError):
    """What the file is, by its content, is on no list of ours."""

    code = "type_not_allowed"
    status = 415
    title = "Files of this type are not taken"
