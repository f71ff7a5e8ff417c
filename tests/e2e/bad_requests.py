"""The table of bad inputs as requests: rows 1, 2, 3 and 6 to 14, as far as their requests are cheap to repeat.

Each names the service, the bytes, the reason that its ErrorInfo has (through the router another one where the router
finds the fault first), and what its message must say.
"""

import struct
from collections.abc import Iterator

from argosy.v1 import manifest_pb2 as pb
from inference.grpc_service_pb2 import ModelInferRequest
from tests.e2e import traffic as t
from tests.e2e.traffic import (
    MODEL_INFER,
    NOT_FOUND,
    PIXELS,
    PIXELS_SHAPE,
    PREDICT,
    TEXT_CLASSIFY,
    VISION_CLASSIFY,
    BadRequest,
    field,
)

MALFORMED, TENSOR = "MALFORMED_MESSAGE", "INVALID_INPUT"
NAN, INFINITY = float("nan"), float("inf")

# Field 1, the model; then a field whose length is beyond the end.
CUT_SHORT = b"\x1a\x7fabc"


def bad_requests() -> list[BadRequest]:
    """All of them; their bytes are made when they are asked for."""
    return [*_malformed(), *_unknown(), *_tensors(), *_tables(), *_images(), *_texts()]


def _malformed() -> Iterator[BadRequest]:
    """Rows 1, 2, 3."""
    methods = (
        ("vision", VISION_CLASSIFY, "digits", "argosy.v1.VisionServiceClassifyRequest"),
        ("text", TEXT_CLASSIFY, "sentiment", "argosy.v1.TextServiceClassifyRequest"),
        ("tabular", PREDICT, "income", "argosy.v1.TabularServicePredictRequest"),
        ("vision", MODEL_INFER, "digits", "inference.ModelInferRequest"),
    )
    for kind, method, model, name in methods:
        start, label = field(1, model.encode()), name.rpartition(".")[2]
        yield BadRequest(f"{label} cut short", kind, method, lambda s=start: s + CUT_SHORT, MALFORMED, name)
        yield BadRequest(f"{label} of noise", kind, method, lambda: b"\xff\xfe\xfd" * 9, MALFORMED, name)
    texts = (
        ("text", TEXT_CLASSIFY, "a text", field(1, b"sentiment") + field(3, b"caf\xe9")),
        ("vision", VISION_CLASSIFY, "a model", field(1, b"\xff") + field(3, b"x")),
        ("tabular", PREDICT, "a column", field(1, b"income") + field(3, field(1, field(1, b"\xff") + field(2, b"")))),
        ("vision", MODEL_INFER, "an input", field(1, b"digits") + field(5, field(1, b"\xc3"))),
    )
    for kind, method, what, message in texts:
        yield BadRequest(f"{what} that is not UTF-8", kind, method, lambda m=message: m, MALFORMED)
    yield BadRequest("150 nested messages", "tabular", PREDICT, lambda: t.nested_row(150), MALFORMED)


def _unknown() -> Iterator[BadRequest]:
    """Row 6."""
    image, text = t.seven(), "fine"
    cases = (
        ("vision", VISION_CLASSIFY, lambda: t.classify(image, model="nosuch"), lambda: t.classify(image, version="99")),
        ("text", TEXT_CLASSIFY, lambda: t.read(text, model="nosuch"), lambda: t.read(text, version="99")),
        ("tabular", PREDICT, lambda: t.predict({}, model="nosuch"), lambda: t.predict({}, version="99")),
        ("vision", MODEL_INFER, lambda: t.infer("nosuch"), lambda: t.infer("digits", version="99")),
    )
    for kind, method, no_model, no_version in cases:
        name = method.rpartition("/")[2]
        yield BadRequest(f"{name} unknown model ({kind})", kind, method, no_model, "UNKNOWN_MODEL", "nosuch", NOT_FOUND)
        yield BadRequest(
            f"{name} unknown version ({kind})", kind, method, no_version, "UNKNOWN_VERSION", "99", NOT_FOUND
        )
    unnamed = lambda: t.classify(image, model="")  # noqa: E731  it is data
    yield BadRequest("no model", "vision", VISION_CLASSIFY, unnamed, "INVALID_INPUT", "model", routed_reason="NO_MODEL")


def _tensors() -> Iterator[BadRequest]:
    """Rows 7 to 10, with the tensors of ModelInfer."""

    def case(name: str, message: object, says: str, reason: str = TENSOR) -> BadRequest:
        return BadRequest(name, "vision", MODEL_INFER, message, reason, says)  # type: ignore[arg-type]  # a lambda

    yield case(
        "shape and length differ",
        lambda: t.infer_digits(raw=b"\0" * 20),
        "input 'image': shape [1, 28, 28, 1] FP32 needs 3136 bytes, got 20",
    )
    yield case("a shape of 2**64 elements", lambda: t.infer_digits((1 << 32, 1 << 32)), "input 'image'")
    yield case("a negative dimension", lambda: t.infer_digits((-1, 28, 28, 1)), "input 'image'")
    yield case("rank 9", lambda: t.infer_digits((1,) * 9, bytes(4)), "input 'image'")
    yield case("2**60 rows", lambda: t.infer_digits((1 << 60, 28, 28, 1)), "input 'image'")
    yield case("wrong datatype", lambda: t.infer_digits(datatype="FP64"), "datatype FP32 is needed, got FP64")
    yield case("missing input", lambda: t.infer("digits"), "input 'image': missing")
    image = ("image", "FP32", PIXELS_SHAPE, PIXELS)
    yield case("duplicate input", lambda: t.infer("digits", image, image), "input 'image': given twice")
    yield case("unknown input", lambda: t.infer("digits", image, ("x", "FP32", (1,), bytes(4))), "input 'x': unknown")
    yield case("unknown output", _unknown_output, "output 'y': unknown")
    yield case("no rows", lambda: t.infer_digits((0, 28, 28, 1), b""), "at least one is needed", "EMPTY_REQUEST")
    yield case("raw and typed contents", _raw_and_typed, "both raw and typed")


def _tables() -> Iterator[BadRequest]:
    """Rows 10, 11 and what the columns want."""

    def case(name: str, message: object, reason: str, says: str, method: str = PREDICT) -> BadRequest:
        return BadRequest(name, "tabular", method, message, reason, says)  # type: ignore[arg-type]  # a lambda

    number = "bmi"

    def diabetes(**changes: object) -> bytes:
        return t.predict(t.row("diabetes"), t.row("diabetes", **changes), model="diabetes")

    yield case("no table rows", t.predict, "EMPTY_REQUEST", "at least one is needed")
    yield case("NaN in a table", lambda: diabetes(**{number: NAN}), "MISSING_VALUE", f"rows[1].{number}")
    yield case("null in a table", lambda: diabetes(**{number: None}), "MISSING_VALUE", f"rows[1].{number}")
    yield case("infinity in a table", lambda: diabetes(**{number: INFINITY}), "NUMBER_OUT_OF_RANGE", number)
    yield case("a string for a number", lambda: diabetes(**{number: "12"}), "WRONG_KIND", number)
    yield case("a column that is not there", lambda: diabetes(agee=1.0), "UNKNOWN_COLUMN", "agee")
    for value, reason in ((NAN, "MISSING_VALUE"), (-INFINITY, "NUMBER_OUT_OF_RANGE")):
        message = lambda v=value: t.infer_row("diabetes", change=(number, v))  # noqa: E731  it is data
        yield case(f"{value} in a tensor", message, reason, f"row 0, column '{number}'", MODEL_INFER)
    yield case("a BYTES element that is not UTF-8", _not_utf8_tensor, "NOT_UTF8", "UTF-8", MODEL_INFER)


def _images() -> Iterator[BadRequest]:
    """Rows 10 and 13."""
    photoshop = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 8, 8, 8, 3)
    cases = {
        "a JPEG that ends early": t.half_a_jpeg,
        "a text as an image": lambda: b"This is no image at all.",
        "no bytes as an image": lambda: b"",
        "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
        "PSD": lambda: photoshop,
    }
    for name, image in cases.items():
        message = lambda i=image: t.classify(t.seven(), i())  # noqa: E731  it is data
        yield BadRequest(name, "vision", VISION_CLASSIFY, message, "IMAGE_UNDECODABLE", "images[1]")
    huge = lambda: t.classify(t.huge_png())  # noqa: E731  it is data
    yield BadRequest("400 megapixels", "vision", VISION_CLASSIFY, huge, "IMAGE_TOO_LARGE", "400000000 pixels")
    yield BadRequest("no images", "vision", VISION_CLASSIFY, t.classify, "EMPTY_REQUEST")


def _texts() -> Iterator[BadRequest]:
    """Rows 10 and 14, and token ids that no text has."""

    def case(name: str, method: str, message: object, reason: str, says: str = "") -> BadRequest:
        return BadRequest(name, "text", method, message, reason, says)  # type: ignore[arg-type]  # a lambda

    long = "spam " * 2_000_000
    yield case("10 MB of text", TEXT_CLASSIFY, lambda: t.read("fine", long), "TEXT_TOO_LONG", "texts[1]")
    yield case("no texts", TEXT_CLASSIFY, t.read, "EMPTY_REQUEST")
    yield case("the wrong task", t.TEXT_EMBED, lambda: t.read("fine"), "TASK_NOT_OFFERED", "sentiment")
    unknown_id = lambda: t.infer_tokens("sentiment", [10**9], mask=[1])  # noqa: E731  it is data
    yield case("a token id beyond the vocabulary", MODEL_INFER, unknown_id, "VALUE_OUT_OF_RANGE", "1000000000")
    many = lambda: t.infer_tokens("sentiment", [1] * 5000, mask=[1] * 5000)  # noqa: E731  it is data
    yield case("5000 tokens", MODEL_INFER, many, "TEXT_TOO_LONG", "128")


def _not_utf8_tensor() -> bytes:
    text = next(column.name for column in t.manifest("income").table.columns if column.kind == pb.COLUMN_KIND_TEXT)
    return t.infer_row("income", change=(text, b"caf\xe9"))


def _unknown_output() -> bytes:
    request = ModelInferRequest.FromString(t.infer_digits())
    request.outputs.add(name="y")
    return request.SerializeToString()


def _raw_and_typed() -> bytes:
    request = ModelInferRequest.FromString(t.infer_digits())
    request.inputs[0].contents.fp32_contents.append(1)
    return request.SerializeToString()
