from __future__ import annotations

from collections.abc import Sequence
from random import Random

from typing_extensions import override

from tests.fakes.behaviours import Answer, Behaviour
from tests.fakes.script import Script


class Mix(Script[Behaviour]):
    """Normal answers, and by a seeded lot some of `faults`, each with its share of all requests."""

    def __init__(self, seed: int, faults: Sequence[tuple[float, Behaviour]]) -> None:
        super().__init__(Answer())
        self._lots = Random(seed)
        self._faults = faults

    @override
    def planned(self) -> Behaviour:
        lot = self._lots.random()
        for share, fault in self._faults:
            if lot < share:
                return fault
            lot -= share
        return super().planned()
