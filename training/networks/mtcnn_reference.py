"""MTCNN's cascade in plain Python around the three original ONNX files: what the joined graph is held against.

Written for being read: candidates one by one, no step runs on nothing, nothing is filled up before the end. The
pyramid, the windows and the thresholds are those of `mtcnn`; cutting out, moving and suppressing are written anew.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.verify import open_session
from training.networks import mtcnn

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Faces:
    """boxes float32[100, 4], scores float32[100] descending, landmarks float32[100, 5, 2]; zeros where no face is."""

    boxes: Numbers
    scores: Numbers
    landmarks: Numbers


class Cascade:
    """The three networks, ready to run."""

    def __init__(self, stages: mtcnn.Stages) -> None:
        self._proposal = open_session(stages.proposal)
        self._refinement = open_session(stages.refinement)
        self._output = open_session(stages.output)

    def find(self, image: NDArray[np.uint8]) -> Faces:
        """The faces of uint8[512, 512, 3] RGB."""
        pixels = image.astype(np.float32)
        boxes = self._refine(pixels, self._propose(pixels))
        return self._find_faces(pixels, boxes)

    def _propose(self, pixels: Numbers) -> Numbers:
        base = _normalised(pixels).reshape(mtcnn.BASE, 2, mtcnn.BASE, 2, 3).mean(axis=(1, 3))
        found = [self._propose_at(base, size) for size in mtcnn.pyramid_sizes()]
        boxes, scores, offsets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = _strongest(boxes, scores, mtcnn.OVERLAP)[: mtcnn.MAX_PROPOSALS]
        return _squared(_moved(boxes[kept], offsets[kept]))

    def _propose_at(self, base: Numbers, size: int) -> tuple[Numbers, Numbers, Numbers]:
        shrink = mtcnn.shrinking(size)
        step = np.einsum("hi,wj,ijc->whc", shrink, shrink, base, optimize=True)
        offsets, probabilities = self._proposal.run(None, {"input_1": step[None]})
        scores = probabilities.reshape(-1, 2)[:, 1]
        passing = np.flatnonzero(scores > mtcnn.PROPOSAL_SCORE)
        boxes, scores, offsets = mtcnn.windows(size)[passing], scores[passing], offsets.reshape(-1, 4)[passing]
        kept = _strongest(boxes, scores, mtcnn.SAME_STEP_OVERLAP)[: mtcnn.MAX_PROPOSALS]
        return boxes[kept], scores[kept], offsets[kept]

    def _refine(self, pixels: Numbers, boxes: Numbers) -> Numbers:
        if not len(boxes):
            return boxes
        crops = _crops(pixels, boxes, mtcnn.REFINE_SIZE)
        offsets, probabilities = self._refinement.run(None, {"input_2": crops})
        passing = np.flatnonzero(probabilities[:, 1] > mtcnn.REFINED_SCORE)
        boxes, scores, offsets = boxes[passing], probabilities[passing, 1], offsets[passing]
        kept = _strongest(boxes, scores, mtcnn.OVERLAP)[: mtcnn.MAX_REFINED]
        return _squared(_moved(boxes[kept], offsets[kept]))

    def _find_faces(self, pixels: Numbers, boxes: Numbers) -> Faces:
        faces = Faces(
            np.zeros((mtcnn.MAX_FACES, 4), np.float32),
            np.zeros(mtcnn.MAX_FACES, np.float32),
            np.zeros((mtcnn.MAX_FACES, mtcnn.LANDMARKS, 2), np.float32),
        )
        if not len(boxes):
            return faces
        crops = _crops(pixels, boxes, mtcnn.OUTPUT_SIZE)
        offsets, points, probabilities = self._output.run(None, {"input_3": crops})
        passing = np.flatnonzero(probabilities[:, 1] > mtcnn.FACE_SCORE)
        moved, scores = _moved(boxes, offsets)[passing], probabilities[passing, 1]
        parts = points[passing].reshape(-1, 2, mtcnn.LANDMARKS).transpose(0, 2, 1)
        landmarks = boxes[passing, None, :2] + parts * (boxes[passing, 2:] - boxes[passing, :2])[:, None]
        for place, kept in enumerate(_strongest(moved, scores, mtcnn.OVERLAP, of_smaller=True)):
            faces.boxes[place], faces.scores[place], faces.landmarks[place] = moved[kept], scores[kept], landmarks[kept]
        return faces


def _normalised(pixels: Numbers) -> Numbers:
    return (pixels - np.float32(mtcnn.PIXEL_CENTRE)) * np.float32(mtcnn.PIXEL_RANGE)


def _moved(boxes: Numbers, offsets: Numbers) -> Numbers:
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _squared(boxes: Numbers) -> Numbers:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _strongest(boxes: Numbers, scores: Numbers, overlap: float, of_smaller: bool = False) -> list[int]:
    """The boxes that no stronger kept one overlaps by more than `overlap`: of both, or of the smaller of the two."""
    kept: list[int] = []
    for candidate in np.argsort(-scores, kind="stable").tolist():
        if not (_overlaps(boxes[candidate], boxes[kept], of_smaller) > overlap).any():
            kept.append(candidate)
    return kept


def _overlaps(box: Numbers, others: Numbers, of_smaller: bool) -> Numbers:
    """What `box` [4] shares with each of `others` [C, 4], in parts of their union or of the smaller one's area: [C]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(shared / (np.minimum(area, areas) if of_smaller else area + areas - shared), np.float32)


def _crops(pixels: Numbers, boxes: Numbers, size: int) -> Numbers:
    """What is inside each box, normalised: float32[C, width, height, 3]."""
    crops = np.empty((len(boxes), size, size, 3), np.float32)
    for row, (left, top, right, bottom) in enumerate(boxes):
        across, down = _sampling(left, right, size), _sampling(top, bottom, size)
        crops[row] = _normalised(np.einsum("wj,hi,ijc->whc", across, down, pixels, optimize=True))
    return crops


def _sampling(start: np.float32, stop: np.float32, size: int) -> Numbers:
    """float32[size, CANVAS] that cuts [start, stop] out of a line of pixels and brings it to `size`.

    A new pixel is the mean of evenly spaced samples, as many as it covers pixels; a sample lies between the centres of
    two pixels and weighs them by its distance. Samples more than a pixel beyond the image are 0. ONNX, RoiAlign-16.
    """
    length = (stop - start) / np.float32(size)
    count = max(int(np.ceil((stop - start) / size)), 1)
    at = start - np.float32(0.5) + (np.arange(size * count, dtype=np.float32) + np.float32(0.5)) * length / count
    inside = (at >= -1) & (at <= mtcnn.CANVAS)
    clipped = np.clip(at, 0, mtcnn.CANVAS - 1)
    lower = np.minimum(clipped.astype(int), mtcnn.CANVAS - 2)
    weights = np.zeros((size * count, mtcnn.CANVAS), np.float32)
    rows = np.arange(size * count)
    weights[rows, lower] = 1 - (clipped - lower)
    weights[rows, lower + 1] = clipped - lower
    weights[~inside] = 0
    return np.asarray(weights.reshape(size, count, -1).mean(axis=1), np.float32)
