"""Private keys, as they are configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def of_pem(text: str) -> Any:
    """The key in a PEM text, also in one line: a .env file has its breaks written out.

    Raises `ValueError` and `TypeError`.
    """
    return load_pem_private_key(text.replace("\\n", "\n").encode(), None)


def on_p256(load: Callable[[], Any]) -> ec.EllipticCurvePrivateKey:
    """What `load` reads. Raises `ValueError`, which tells nothing of it, unless it is such a key."""
    try:
        key = load()
    except (ValueError, TypeError):  # binascii's is one of the first
        raise ValueError("not a private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ValueError("not on P-256")
    return key
