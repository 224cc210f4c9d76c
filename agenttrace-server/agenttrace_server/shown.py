"""Which findings are shown: those a person confirmed, and those that are sure enough."""

from collections.abc import Mapping

import msgspec

from agenttrace.models import FailureAnnotation


class Thresholds(msgspec.Struct, frozen=True):
    """The confidence from which on a finding is shown, 0 to 1: of some modes, and of the others."""

    others: float = 0.0
    modes: Mapping[str, float] = {}

    def of(self, mode: str) -> float:
        """Return the confidence that a finding of this mode needs."""
        return self.modes.get(mode, self.others)

    def show(self, failure: FailureAnnotation) -> bool:
        """Say whether a finding is shown to who did not ask for all of them."""
        if failure.review == "proposed":
            return failure.confidence >= self.of(failure.mode)
        return failure.review == "confirmed"

    def __str__(self) -> str:
        return ",".join([str(self.others), *(f"{mode}={n}" for mode, n in self.modes.items())])


EVERYTHING = Thresholds()


def read_thresholds(text: str) -> Thresholds:
    """Return the thresholds that a text such as `0.5` or `0.5,1.3=0.7,2.4=0.9` says.

    Raises ValueError for anything else.
    """
    others, modes = 0.5, {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        mode, equals, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"{part!r} is neither a number from 0 to 1 nor MODE=NUMBER") from None
        if not 0 <= value <= 1:
            raise ValueError(f"{part!r} is not between 0 and 1")
        if equals and not mode.strip():
            raise ValueError(f"{part!r} names no mode")
        if equals:
            modes[mode.strip()] = value
        else:
            others = value
    return Thresholds(others, modes)
