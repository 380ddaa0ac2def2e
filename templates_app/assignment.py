"""Who gets which variant. Pure: the same person gets the same one, whoever asks and when."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from uuid import UUID

_RANGE = 2**53
"""What a float tells apart."""


def assign(experiment: UUID, weights: Mapping[str, int], person: str) -> str:
    """The name of this person's variant, of those in `weights`.

    Rendezvous hashing with weights: each variant draws a lot for each person and the best lot wins
    (the logarithmic method of Schindelhauer and Schomaker, Weighted Distributed Hash Tables, SPAA
    2005). When weights change, nobody moves but as many as have to, to what has gained.
    """
    return max(weights, key=lambda name: (_lot(experiment, name, person, weights[name]), name))


def _lot(experiment: UUID, name: str, person: str, weight: int) -> float:
    digest = hashlib.blake2b(
        f"{name}\0{person}".encode(), key=experiment.bytes, digest_size=8
    ).digest()
    drawn = (int.from_bytes(digest) % _RANGE + 0.5) / _RANGE  # evenly between 0 and 1, never either
    return weight / -math.log(drawn)
