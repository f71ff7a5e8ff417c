"""What a caller has, as requests: images, rows, tensors, and how many go in one call."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from google.protobuf.json_format import MessageToDict
from numpy.typing import NDArray
from PIL import Image

from argosy_client.batches import batches
from argosy_client.errors import InvalidInputError
from argosy_client.images import image_bytes
from argosy_client.questions import classify_texts, embed_texts, tag
from argosy_client.rows import rows_of, struct_of
from argosy_client.tensors import Array, arrays_of, infer_request
from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse

EXIF_ORIENTATION = 0x0112
# The picture is upright once turned to the right by a quarter.
TURNED_LEFT = 6


def pixels_of(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("path_type", [str, Path])
def test_a_path_is_read(path_type: type, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"any bytes")
    assert image_bytes(path_type(tmp_path / "a.png")) == b"any bytes"


def test_bytes_pass_as_they_are() -> None:
    assert image_bytes(b"not even an image") == b"not even an image"


def test_a_path_that_cannot_be_read_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        image_bytes(tmp_path / "nix.png")


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3), (3, 5, 4)])
def test_pixels_arrive_unchanged(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(pixels_of(image_bytes(pixels)), pixels)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "1", "P"])
def test_a_pil_image_of_any_mode_can_be_sent(mode: str) -> None:
    assert pixels_of(image_bytes(Image.new(mode, (4, 2)))).shape[:2] == (2, 4)


def test_a_pil_image_arrives_upright_as_its_exif_says() -> None:
    stored = Image.new("RGB", (3, 2))
    stored.putpixel((0, 0), (255, 255, 255))
    exif = stored.getexif()
    exif[EXIF_ORIENTATION] = TURNED_LEFT
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)

    pixels = pixels_of(image_bytes(Image.open(file)))

    assert pixels.shape == (3, 2, 3)
    assert pixels[0, 1].tolist() == [255, 255, 255]


def test_a_pil_image_of_16_bits_arrives_unchanged() -> None:
    pixels = np.array([[0, 255, 256, 65535]], np.uint16)
    np.testing.assert_array_equal(pixels_of(image_bytes(Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize("mode", ["I", "F", "I;16L"])
def test_a_pil_image_whose_values_no_file_holds_is_refused(mode: str) -> None:
    with pytest.raises(InvalidInputError, match=f"mode {mode}: give uint8 pixels") as caught:
        image_bytes(Image.new(mode, (4, 2)))
    assert caught.value.field == "images"


@pytest.mark.parametrize("pixels", [np.zeros((3, 5)), np.zeros((3, 5, 2), np.uint8), np.zeros((0, 5), np.uint8)])
def test_pixels_that_are_no_image_are_refused(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(InvalidInputError, match="expected uint8"):
        image_bytes(pixels)


def test_a_row_keeps_numbers_texts_and_booleans_and_empties_what_is_missing() -> None:
    row = {"n": 1, "f": np.float32(2.5), "t": "x", "b": np.True_, "none": None, "nan": float("nan"), "na": pd.NA}
    assert MessageToDict(struct_of(row)) == {
        "n": 1.0, "f": 2.5, "t": "x", "b": True, "none": None, "nan": None, "na": None,
    }  # fmt: skip


def test_a_row_with_something_else_names_the_column() -> None:
    with pytest.raises(InvalidInputError) as caught:
        struct_of({"age": [1]})
    assert caught.value.field == "rows.age"


def test_a_column_whose_name_is_a_number_is_refused() -> None:
    frame = pd.DataFrame([[1, 2]])
    with pytest.raises(InvalidInputError, match="a column's name is a text, got 0") as caught:
        [struct_of(row) for row in rows_of(frame)]
    assert caught.value.field == "rows"


def test_an_image_that_is_none_of_the_kinds_is_refused() -> None:
    not_an_image: Any = bytearray(b"bytes that change")
    with pytest.raises(InvalidInputError, match="got bytearray"):
        image_bytes(not_an_image)


@pytest.mark.parametrize(
    ("encode", "field"),
    [
        (lambda text: classify_texts("m", "", 0).encode(text), "texts"),
        (lambda text: embed_texts("m", "").encode(text), "texts"),
        (lambda text: tag("m", "").encode(text), "texts"),
        (lambda text: struct_of({"town": text}), "rows.town"),
        (lambda text: struct_of({text: 1}), "rows"),
        (lambda text: infer_request("m", "", {"x": np.array([text], object)}), "inputs.x"),
    ],
    ids=["classify", "embed", "tag", "cell", "column", "tensor"],
)
def test_half_a_character_is_refused(encode: Callable[[str], object], field: str) -> None:
    with pytest.raises(InvalidInputError, match="no Unicode text") as caught:
        encode("a lone \ud800 surrogate")
    assert caught.value.field == field


def test_a_data_frame_is_its_rows() -> None:
    frame = pd.DataFrame({"age": [1, 2], "job": ["a", None]})
    assert [MessageToDict(struct_of(row)) for row in rows_of(frame)] == [
        {"age": 1.0, "job": "a"},
        {"age": 2.0, "job": None},
    ]


def echoed(request: ModelInferRequest) -> ModelInferResponse:
    outputs = [
        ModelInferResponse.InferOutputTensor(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for tensor in request.inputs
    ]
    return ModelInferResponse(outputs=outputs, raw_output_contents=request.raw_input_contents)


@pytest.mark.parametrize(
    "dtype", ["?", "u1", "<u2", "<u4", "<u8", "i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", ">f4", ">i8"]
)
def test_an_array_comes_back_as_it_went(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)[:, ::-1]
    back = arrays_of(echoed(infer_request("m", "", {"x": array})))["x"]
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("array", [np.array([["ä"], ["b"]]), np.array([[b"\x00\xff"], [b""]], object)])
def test_texts_and_bytes_come_back_as_bytes(array: Array) -> None:
    back = arrays_of(echoed(infer_request("m", "", {"x": array})))["x"]
    expected = [[item.encode() if isinstance(item, str) else item for item in row] for row in array.tolist()]
    assert back.tolist() == expected


def test_a_dtype_that_the_protocol_lacks_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="complex64"):
        infer_request("m", "", {"x": np.zeros(2, np.complex64)})


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([6, 5, 5, 1], [[6], [5, 5], [1]]),
        ([99, 1], [[99], [1]]),
    ],
)
def test_a_call_takes_three_inputs_or_ten_bytes(sizes: list[int], expected: list[list[int]]) -> None:
    assert list(batches(sizes, int, 3, 10)) == expected


def test_only_what_the_next_call_needs_is_taken_from_the_inputs() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    first = next(batches(endless(), int, 2, 1000))
    assert first == [0, 1]
    assert len(taken) == 3
