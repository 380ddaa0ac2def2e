"""Errors that nobody foresaw, made ours: a defect in one provider, or in its library, stays there."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from notifications.types import ErrorClass, ProviderError

logger = logging.getLogger(__name__)


@contextmanager
def caught(error_class: ErrorClass) -> Iterator[None]:
    """Every error inside becomes a `ProviderError`: one that nobody foresaw is of `error_class`.

    Around what comes before a call that is `permanent_message`, around the call `ambiguous`.
    """
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is
        # From None: the library's error may carry the message, and would be logged with ours.
        raise unexpected(error, error_class) from None


def unexpected(error: Exception, error_class: ErrorClass = ErrorClass.AMBIGUOUS) -> ProviderError:
    """An error nobody foresaw: by type and place, as its text may hold anything."""
    kind = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "?"
    logger.error("unexpected %s in %s", kind, place)
    return ProviderError(error_class, kind, f"Unexpected {kind} in {place}.")
