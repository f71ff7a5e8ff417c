"""Requests to the reference models: right ones, and the wrong ones of the table of bad inputs, as bytes on the wire.

The end-to-end tests ask that each wrong one is refused as it should be, the soak that a fleet is none the worse for
thousands of them. What depends on a model's columns is read from its manifest.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from google.protobuf import json_format
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from grpc import StatusCode
from PIL import Image

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.tabular_pb2 import TabularServicePredictRequest
from argosy.v1.text_pb2 import TextServiceClassifyRequest, TextServiceEmbedRequest
from argosy.v1.vision_pb2 import VisionServiceClassifyRequest
from inference.grpc_service_pb2 import ModelInferRequest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
SEVEN = ROOT / "argosy_cli" / "samples" / "seven.png"

VISION_CLASSIFY = "/argosy.v1.VisionService/Classify"
TEXT_CLASSIFY = "/argosy.v1.TextService/Classify"
TEXT_EMBED = "/argosy.v1.TextService/Embed"
PREDICT = "/argosy.v1.TabularService/Predict"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"

INVALID, NOT_FOUND = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND

# One row of the digits' input.
PIXELS = bytes(28 * 28 * 4)
PIXELS_SHAPE = (1, 28, 28, 1)

Tensor = tuple[str, str, Iterable[int], bytes]


@dataclass(frozen=True, slots=True)
class GoodRequest:
    """A request that a model of the service `kind` answers."""

    name: str
    kind: str
    method: str
    message: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A request that is refused with `code` and `reason`, in a message that holds `says`; `routed_reason`, if any, is
    what the router says that finds the fault itself.
    """

    name: str
    kind: str
    method: str
    message: Callable[[], bytes]
    reason: str
    says: str = ""
    code: StatusCode = INVALID
    routed_reason: str = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Straight, and through the router."""
        return self.reason, self.routed_reason or self.reason


# ---- messages


def classify(*images: bytes, model: str = "digits", version: str = "") -> bytes:
    return VisionServiceClassifyRequest(model=model, version=version, images=images).SerializeToString()


def read(*texts: str, model: str = "sentiment", version: str = "") -> bytes:
    return TextServiceClassifyRequest(model=model, version=version, texts=texts).SerializeToString()


def embed(*texts: str) -> bytes:
    return TextServiceEmbedRequest(model="minilm", texts=texts).SerializeToString()


def predict(*rows: Mapping[str, object], model: str = "income", version: str = "") -> bytes:
    request = TabularServicePredictRequest(model=model, version=version)
    for row in rows:
        json_or_nan(request.rows.add(), row)
    return request.SerializeToString()


def json_or_nan(struct_: Struct, row: Mapping[str, object]) -> None:
    """Fill a Struct; unlike the JSON mapping, with NaN and infinity too."""
    for name, value in row.items():
        cell = struct_.fields[name]
        if value is None:
            cell.null_value = 0  # type: ignore[assignment]  # the one value of NullValue
        elif isinstance(value, bool):
            cell.bool_value = value
        elif isinstance(value, int | float):
            cell.number_value = value
        else:
            cell.string_value = str(value)


def infer(model: str, *tensors: Tensor, version: str = "") -> bytes:
    """A ModelInferRequest with raw contents."""
    request = ModelInferRequest(model_name=model, model_version=version)
    for name, datatype, shape, raw in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(raw)
    return request.SerializeToString()


def infer_digits(shape: Iterable[int] = PIXELS_SHAPE, raw: bytes = PIXELS, datatype: str = "FP32") -> bytes:
    return infer("digits", ("image", datatype, shape, raw))


def infer_tokens(model: str, ids: Iterable[int], **others: Iterable[int]) -> bytes:
    """Token ids of one row, by the names of the inputs."""
    tensors = {"ids": list(ids), **{name: list(values) for name, values in others.items()}}
    return infer(model, *((n, "INT64", (1, len(v)), np.array(v, "<i8").tobytes()) for n, v in tensors.items()))


def field(number: int, contents: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(contents)) + contents


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


# ---- what the models read


def newest(model: str) -> Path:
    """The folder of the newest version of a reference model."""
    folders = (MODELS / model).iterdir()
    return max((folder for folder in folders if folder.name.isdecimal()), key=lambda folder: int(folder.name))


@cache
def manifest(model: str) -> pb.ModelManifest:
    """Of the model's newest version."""
    text = (newest(model) / "model.yaml").read_text(encoding="utf-8")
    return json_format.ParseDict(yaml.safe_load(text), pb.ModelManifest())


def row(model: str, **changes: object) -> dict[str, object]:
    """A table row that fits the model's columns."""
    cells = {column.name: _plausible(column) for column in manifest(model).table.columns}
    return {**cells, **changes}


def infer_row(model: str, *, change: tuple[str, float | bytes] | None = None) -> bytes:
    """One row as the model's own tensors, with one cell of another value."""
    cells: dict[str, dict[int, object]] = {}
    for spec in manifest(model).table.columns:
        value = change[1] if change is not None and change[0] == spec.name else _plausible(spec)
        cells.setdefault(spec.input, {})[spec.index] = value
    return infer(model, *(_row_tensor(model, name, of_input) for name, of_input in cells.items()))


def _row_tensor(model: str, name: str, cells: Mapping[int, object]) -> Tensor:
    spec = next(tensor for tensor in manifest(model).inputs if tensor.name == name)
    datatype = pb.DataType.Name(spec.data_type).removeprefix("DATA_TYPE_")
    values = [cells[index] for index in sorted(cells)]
    if datatype == "BYTES":
        texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
        return name, datatype, (1, len(values)), b"".join(struct.pack("<I", len(t)) + t for t in texts)
    numpy_name = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "INT32": "<i4", "BOOL": "?"}[datatype]
    return name, datatype, (1, len(values)), np.array(values, numpy_name).tobytes()


def _plausible(spec: pb.TableColumn) -> object:
    if spec.kind == pb.COLUMN_KIND_TEXT:
        return spec.categories[0] if spec.categories else "unknown"
    return spec.kind == pb.COLUMN_KIND_BOOLEAN or 1.0


# ---- hostile contents


@cache
def seven() -> bytes:
    """A handwritten 7, from the test images of MNIST."""
    return SEVEN.read_bytes()


@cache
def huge_png() -> bytes:
    """20,000 x 20,000 black pixels in some 49 kB."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + 2500) * 20_000), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


@cache
def half_a_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((128, 128), 60).save(buffer, "JPEG")
    return buffer.getvalue()[: buffer.tell() // 2]


def nested_row(depth: int) -> bytes:
    """A tabular request with a list in a list in a list …; protobuf parses 100 levels."""
    value = Value(number_value=1)
    encoded = value.SerializeToString()
    for _ in range(depth):
        encoded = field(6, field(1, encoded))  # Value.list_value, ListValue.values
    entry = field(1, b"age") + field(2, encoded)
    assert ListValue.DESCRIPTOR.fields_by_number[1].name == "values"
    return field(1, b"income") + field(3, field(1, entry))
