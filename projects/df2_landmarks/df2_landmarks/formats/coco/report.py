"""What a COCO file holds, and what is wrong or suspicious in it."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from df2_landmarks.common import UserError

ERROR, WARNING, NOTE = LEVELS = ("error", "warning", "note")
"""An error stops a training, a warning is worth a look, a note says how the file was understood."""


class Finding(msgspec.Struct, frozen=True):
    """Something that was found in a file.

    Attributes:
        level: of ``LEVELS``.
        text: what it is, and what to do about it.
        count: how often it was found; 0 where that is meaningless.
        total: among how many; 0 where that is meaningless.
        unit: what was counted, such as "garments".
        examples: the first places.
    """

    level: str
    text: str
    count: int = 0
    total: int = 0
    unit: str = "garments"
    examples: tuple[str, ...] = ()

    def line(self) -> str:
        """Return ``12 of 12 garments (100 %): ... (such as ...)``."""
        head = f"{self.count:,} x " if self.count else ""
        if self.total:
            share = 100 * self.count / self.total
            head = f"{self.count:,} of {self.total:,} {self.unit} ({share:.3g} %): "
        tail = f" (such as {'; '.join(self.examples)})" if self.examples else ""
        return f"{head}{self.text}{tail}"


class CocoReport(msgspec.Struct, frozen=True):
    """Counts and findings of a file.

    Attributes:
        name: of the file.
        images: number of images.
        garments: number of annotations without crowds.
        crowds: number of crowds.
        landmarks: landmarks of the garments with visibility 0, 1, 2.
        without_landmarks: garments of which no landmark is labelled.
        categories: official name -> garments.
        findings: the errors first.
    """

    name: str
    images: int
    garments: int
    crowds: int
    landmarks: tuple[int, int, int]
    without_landmarks: int
    categories: dict[str, int]
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == ERROR]

    def summary(self) -> str:
        """Return one line: images, garments, landmarks, and what the file lacks."""
        if not self.garments + self.crowds:
            return f"{self.name}: {self.images:,} images, no annotations"
        crowds = f" and {self.crowds:,} crowds" if self.crowds else ""
        unlabelled, occluded, visible = self.landmarks
        parts = [
            f"{self.images:,} images, {self.garments:,} garments{crowds}",
            f"landmarks: {visible:,} visible, {occluded:,} occluded, {unlabelled:,} not labelled",
        ]
        if self.without_landmarks:
            parts.append(f"{self.without_landmarks:,} garments without landmarks")
        if missing := [name for name, count in self.categories.items() if not count]:
            parts.append(f"no {', no '.join(missing)}")
        return f"{self.name}: " + "; ".join(parts)

    def remarks(self) -> list[str]:
        """Return one line per warning and note, with the name of the file."""
        return [f"{self.name}, {f.level}: {f.line()}" for f in self.findings if f.level != ERROR]

    def lines(self) -> list[str]:
        """Return the summary and one line per finding."""
        return [self.summary(), *(f"{f.level}: {f.line()}" for f in self.findings)]

    def raise_first_error(self) -> None:
        """Raise a UserError if there is an error."""
        if self.errors:
            self._fail(*self.errors)

    def _fail(self, first: Finding, *others: Finding) -> NoReturn:
        more = f"; `df2 check` lists {len(others)} more" if others else ""
        raise UserError(f"{self.name}: {first.line()}{more}")
