"""Why an image gets no class: of all reasons the first, in one fixed order.

An image that was never read cannot be looked at; one that the model was not made for by what is stated of it need not look strange; one
that looks strange is not helped by its contrast; and only of the rest it makes sense to ask whether the model is sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass
class Reasons:
    """Of N images; each field (N,) sentences that end in their `[CODE]`, empty where it does not apply. The order of the fields is that of
    precedence."""

    unreadable: list[str]
    out_of_scope: list[str]
    """By header or table."""
    unlike: list[str]
    """By its looks: unlike the training images."""
    quality: list[str]
    unsure: list[str]

    @classmethod
    def none(cls, images: int) -> Reasons:
        """Nothing speaks against an answer."""
        return cls(*([""] * images for _ in fields(cls)))

    @classmethod
    def unread(cls, reasons: Sequence[str]) -> Reasons:
        """Nothing but that some could not be read."""
        found = cls.none(len(reasons))
        found.unreadable = list(reasons)
        return found

    def of(self, chosen: Sequence[bool]) -> Reasons:
        """Those of the chosen images; `chosen` (N,)."""
        return Reasons(*([reason for reason, kept in zip(getattr(self, each.name), chosen, strict=True) if kept] for each in fields(self)))

    def first(self) -> list[str]:
        """(N,) the reason that counts, empty where the image is answered.

        >>> Reasons(["", "cut [X]"], ["a CT [Y]", "a CT [Y]"], ["odd [Z]", ""], ["", ""], ["", ""]).first()
        ['a CT [Y]', 'cut [X]']
        """
        kinds = [getattr(self, each.name) for each in fields(self)]
        return [next(filter(None, reasons), "") for reasons in zip(*kinds, strict=True)]
