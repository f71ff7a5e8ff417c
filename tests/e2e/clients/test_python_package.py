"""argosy-client against the real fleet: every method, blocking and for asyncio; and its wheel."""

import asyncio
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from argosy_client import AsyncFleet, Fleet, Row, UndecodableImageError, UnknownColumnError, UnknownModelError
from tests.clients.languages import CLIENTS, SAMPLES
from tests.e2e.harness import ROOT, Server

SEVEN = SAMPLES / "seven.png"
DIABETES = pd.read_json(SAMPLES / "diabetes.jsonl", lines=True)
PAIR = ["A man is playing a guitar on the street.", "Someone plays music outdoors on a guitar."]


@pytest.fixture(scope="module")
def fleet(router: Server) -> Iterator[Fleet]:
    with Fleet(router.address) as opened:
        yield opened


def test_an_image_is_a_path_bytes_a_pil_image_or_pixels(fleet: Fleet) -> None:
    image = Image.open(SEVEN)
    ways = [SEVEN, str(SEVEN), SEVEN.read_bytes(), image, np.asarray(image)]
    assert [answer.label for answer in fleet.vision("digits").classify_all(ways, top_k=1)] == ["7"] * 5


def test_texts_are_classified_embedded_and_tagged(fleet: Fleet) -> None:
    assert len(fleet.text("word-language").classify("Donaudampfschiff", top_k=3).categories) == 3
    vectors = fleet.text("minilm").embed_all(PAIR * 40)
    assert (vectors.shape, vectors.dtype) == ((80, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    tokens = fleet.text("grammar").tag("She go home.").tokens
    assert ["She go home."[token.start : token.end] for token in tokens] == [token.text for token in tokens]


def test_images_are_embedded_and_searched_for_objects(fleet: Fleet) -> None:
    pixels = np.full((60, 80, 3), 128, np.uint8)
    assert fleet.vision("mobilenet").embed(pixels).ndim == 1
    found = fleet.vision("faces").detect(pixels)
    assert (found.width, found.height, list(found.objects)) == (80, 60, [])


def test_rows_are_mappings_or_a_data_frame(fleet: Fleet) -> None:
    from_frame = list(fleet.tabular("diabetes").predict_all(DIABETES))
    from_mapping = [fleet.tabular("diabetes").predict(row) for row in DIABETES.to_dict("records")]
    assert [row.value for row in from_frame] == pytest.approx([row.value for row in from_mapping], rel=1e-5)


def test_tensors_are_numpy_both_ways_and_stream_in_order(fleet: Fleet) -> None:
    digits = fleet.tensors("digits")
    pixels = np.random.default_rng(7).random((5, 1, 28, 28, 1), np.float32)
    whole = digits.infer({"image": pixels.reshape(5, 28, 28, 1)})["probabilities"]
    streamed = [answer["probabilities"] for answer in digits.stream({"image": one} for one in pixels)]
    np.testing.assert_allclose(np.concatenate(streamed), whole, atol=1e-5)


def test_models_manifests_and_health_can_be_asked_for(fleet: Fleet) -> None:
    assert "digits" in [status.model for status in fleet.models()]
    assert next(fleet.watch_models("digits"))[0].model == "digits"
    assert fleet.manifest("digits").labels[7] == "7"
    assert (fleet.health(), fleet.health("digits")) == ("SERVING", "SERVING")


def test_errors_are_typed_by_their_reason(fleet: Fleet) -> None:
    with pytest.raises(UnknownModelError):
        fleet.text("nix").classify("x")
    with pytest.raises(UndecodableImageError, match=r"field=images\[0\]"):
        fleet.vision("digits").classify(b"not an image")
    with pytest.raises(UnknownColumnError):
        fleet.tabular("diabetes").predict({"agee": 1})


def test_the_asyncio_client_answers_as_the_blocking_one(fleet: Fleet, router: Server) -> None:
    async def asked() -> tuple[list[str], list[Row], np.ndarray, str]:
        async with AsyncFleet(router.address) as other:
            labels = [answer.label async for answer in other.vision("digits").classify_all([SEVEN] * 3)]
            rows = [row async for row in other.tabular("diabetes").predict_all(DIABETES)]
            vectors = await other.text("minilm").embed_all(PAIR)
            async for models in other.watch_models("digits"):
                return labels, rows, vectors, models[0].model
        raise AssertionError("the watch ended")

    labels, rows, vectors, watched = asyncio.run(asked())

    assert (labels, watched) == (["7"] * 3, "digits")
    assert [row.value for row in rows] == [row.value for row in fleet.tabular("diabetes").predict_all(DIABETES)]
    np.testing.assert_allclose(vectors, fleet.text("minilm").embed_all(PAIR), atol=1e-5)


def test_the_asyncio_client_streams_tensors(router: Server) -> None:
    async def inputs() -> AsyncIterator[dict[str, np.ndarray]]:
        for _ in range(3):
            yield {"image": np.zeros((1, 28, 28, 1), np.float32)}

    async def asked() -> list[tuple[int, ...]]:
        async with AsyncFleet(router.address) as fleet:
            return [answer["probabilities"].shape async for answer in fleet.tensors("digits").stream(inputs())]

    assert asyncio.run(asked()) == [(1, 10)] * 3


def test_the_wheel_holds_the_package_and_the_stubs_and_needs_nothing_of_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*command, str(CLIENTS / "python")], check=True, cwd=ROOT, timeout=100)

    with zipfile.ZipFile(next(tmp_path.glob("argosy_client-*.whl"))) as wheel:
        names = set(wheel.namelist())
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        told = wheel.read(metadata).decode()

    assert {"argosy_client/py.typed", "argosy/v1/vision_pb2.py", "inference/grpc_service_pb2.py"} <= names
    assert not [name for name in names if name.startswith(("services", "argosy_cli/", "exporter"))]
    needed = [line.split(": ")[1] for line in told.splitlines() if line.startswith("Requires-Dist")]
    always = {line.split(">")[0] for line in needed if "extra ==" not in line}
    assert always == {"googleapis-common-protos", "grpcio", "grpcio-health-checking", "numpy", "protobuf"}
