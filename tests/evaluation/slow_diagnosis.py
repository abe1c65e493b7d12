"""A slow and obvious reference of the diagnosis."""

from __future__ import annotations

from typing import Any

import numpy as np

from df2_landmarks.evaluation.diagnosis.detection_errors import class_of
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats.ground_truth import GroundTruth
from df2_landmarks.taxonomy import DEEPFASHION2


class SlowReference:
    """The definitions as plain loops, one per sentence."""

    def __init__(self, truth: GroundTruth, score: Score) -> None:
        self.truth, self.pairs = truth, score.pairs
        self.counts = ~score.matching.item_ignored[0]
        self.det_class = class_of(self.pairs.class_starts, np.arange(len(self.pairs.scores)))
        self.item_class = class_of(self.pairs.item_starts, np.arange(len(self.counts)))
        self.boxes = [self.box(d) for d in range(len(self.pairs.scores))]
        self.items = score.matching.item[0, 0].tolist()
        ignored = score.matching.ignored[0, 0]
        self.types = [
            "ignored" if ignored[d] else "correct" if g >= 0 else "background"
            for d, g in enumerate(self.items)
        ]
        self.taken = {g for d, g in enumerate(self.items) if self.types[d] == "correct"}
        self.same_category()
        self.other_category()
        assigned = {g for d, g in enumerate(self.items) if self.types[d] != "ignored"}
        self.missed = [bool(c) and g not in assigned for g, c in enumerate(self.counts)]

    def same_category(self) -> None:
        order = sorted(range(len(self.items)), key=lambda d: -self.pairs.scores[d])
        for d in (d for d in order if self.types[d] == "background"):
            near = [g for g in self.image_items(d) if self.item_class[g] == self.det_class[d]]
            near = [g for g in near if self.oks(d, g) >= 0.1 or self.iou(d, g) >= 0.5]
            near.sort(key=lambda g: -self.oks(d, g))
            free = [g for g in near if g not in self.taken]
            if free:
                self.types[d], self.items[d] = "poor landmarks", free[0]
                self.taken.add(free[0])
            elif near:
                self.types[d], self.items[d] = "duplicate", near[0]

    def other_category(self) -> None:
        for d in range(len(self.items)):
            if self.types[d] == "background":
                others = [g for g in self.image_items(d) if self.item_class[g] != self.det_class[d]]
                others = [g for g in others if self.iou(d, g) >= 0.5]
                if others:
                    self.types[d] = "wrong category"
                    self.items[d] = max(others, key=lambda g: self.iou(d, g))

    def image_items(self, d: int) -> list[int]:
        in_image = self.pairs.item_images == self.pairs.images[d]
        return np.flatnonzero(in_image & self.counts).tolist()

    def local(self, g: int) -> tuple[Any, int]:
        c = self.item_class[g]
        return self.truth.classes[c], g - int(self.pairs.item_starts[c])

    def landmarks(self, d: int) -> np.ndarray:
        c = self.det_class[d]
        return self.pairs.ranked[c].landmarks_xy[d - self.pairs.class_starts[c]]

    def box(self, d: int) -> np.ndarray:
        c = self.det_class[d]
        box = self.pairs.ranked[c].boxes_xywh[d - self.pairs.class_starts[c]]
        if np.isnan(box).any():
            xy = self.landmarks(d)
            return np.concatenate([xy.min(0) + 0.5, np.ptp(xy, axis=0)])
        return box

    def oks(self, d: int, g: int) -> float:
        truth, row = self.local(g)
        seen = truth.visibility[row] > 0
        squared = ((self.landmarks(d) - truth.landmarks_xy[row]) ** 2).sum(1)
        variances = (2 * DEEPFASHION2.sigmas(int(self.item_class[g]))) ** 2
        ks = np.exp(-squared / variances / truth.areas[row] / 2)
        return float(ks[seen].mean())

    def iou(self, d: int, g: int) -> float:
        truth, row = self.local(g)
        (x, y, w, h), (u, v, p, q) = self.boxes[d], truth.boxes_xywh[row]
        wide = max(0.0, min(x + w, u + p) - max(x, u))
        high = max(0.0, min(y + h, v + q) - max(y, v))
        union = w * h + p * q - wide * high
        return wide * high / union if union > 0 else 0.0

    def landmark_types(self, c: int, detection: int, item: int) -> list[str]:
        truth = self.truth.classes[c]
        names = DEEPFASHION2.categories[c].landmark_names
        positions = self.pairs.ranked[c].landmarks_xy[detection]
        flat_item = item + int(self.pairs.item_starts[c])
        result = []
        for k, position in enumerate(positions):
            scale = 2 * DEEPFASHION2.sigmas(c)[k] * np.sqrt(truth.areas[item])

            def ks(xy: np.ndarray, position: np.ndarray = position, scale: float = scale) -> float:
                return float(np.exp(-((position - xy) ** 2).sum() / scale**2 / 2))

            partner = int(DEEPFASHION2.flip_indices[c, k])
            inversion = 0.0
            if partner != k and truth.visibility[item, partner] > 0:
                inversion = ks(truth.landmarks_xy[item, partner])
            swap = 0.0
            in_image = self.pairs.item_images == truth.image_index[item]
            for g in np.flatnonzero(in_image).tolist():
                other, row = self.local(g)
                other_names = DEEPFASHION2.categories[self.item_class[g]].landmark_names
                for j, name in enumerate(other_names):
                    same = name in (names[k], names[partner])
                    if g != flat_item and same and other.visibility[row, j] > 0:
                        swap = max(swap, ks(other.landmarks_xy[row, j]))
            right = ks(truth.landmarks_xy[item, k])
            if truth.visibility[item, k] == 0:
                result.append("unlabelled")
            elif right >= 0.85:
                result.append("good")
            elif right >= 0.5:
                result.append("jitter")
            elif inversion >= 0.5 and inversion >= swap:
                result.append("inversion")
            elif swap >= 0.5:
                result.append("swap")
            else:
                result.append("miss")
        return result
