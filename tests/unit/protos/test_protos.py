"""What protos/ promises: the generated code is fresh, the lint is clean, and the inference protos are Triton's wire."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from inference import grpc_service_pb2, model_config_pb2

ROOT = Path(__file__).resolve().parents[3]
PROTOS = ROOT / "protos"

# Prints every message of Triton's client: name -> [field name, number, type, label, message type].
_TRITON = """
import json
from tritonclient.grpc import model_config_pb2, service_pb2

def told(message):
    found = {message.full_name: [
        [f.name, f.number, f.type, f.is_repeated, f.message_type.full_name if f.message_type else ""]
        for f in message.fields]}
    for nested in message.nested_types:
        found |= told(nested)
    return found

messages = {}
for file in (service_pb2, model_config_pb2):
    for message in file.DESCRIPTOR.message_types_by_name.values():
        messages |= told(message)
print(json.dumps(messages))
"""


def test_the_generated_code_is_what_the_protos_generate(tmp_path: Path) -> None:
    done = run([sys.executable, str(PROTOS / "generate.py"), str(tmp_path)])
    assert done.returncode == 0, done.stderr

    fresh = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*_pb2*")}
    sources = [path for path in PROTOS.glob("*/**/*_pb2*.py*") if path.parent.name != "__pycache__"]
    committed = {str(path.relative_to(PROTOS)): path.read_text() for path in sources}
    assert fresh.keys() == committed.keys()
    stale = [path for path in fresh if fresh[path] != committed[path]]
    assert stale == [], "make protos"


def test_buf_finds_nothing_to_mend() -> None:
    buf = Path(sys.executable).with_name("buf")
    done = run([str(buf), "lint"], PROTOS)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def triton() -> dict[str, list[list[object]]]:
    done = run([sys.executable, "-c", _TRITON])
    assert done.returncode == 0, done.stderr
    messages: dict[str, list[list[object]]] = json.loads(done.stdout)
    return messages


def test_the_inference_protos_have_tritons_names_numbers_and_types(triton: dict[str, list[list[object]]]) -> None:
    differences = []
    for name, fields in ours().items():
        theirs = {str(field[0]): field for field in triton.get(name, [])}
        differences += [
            (name, field, theirs.get(str(field[0]))) for field in fields if theirs.get(str(field[0])) != field
        ]
    assert differences == []


def test_no_field_of_tritons_infer_messages_is_missing(triton: dict[str, list[list[object]]]) -> None:
    for name, fields in ours().items():
        if name.startswith("inference.ModelInfer"):
            assert {field[0] for field in fields} == {field[0] for field in triton[name]}, name


def ours() -> dict[str, list[list[object]]]:
    """As `_TRITON` tells Triton's."""
    found: dict[str, list[list[object]]] = {}
    for file in (grpc_service_pb2, model_config_pb2):
        for message in file.DESCRIPTOR.message_types_by_name.values():
            found |= told(message)
    return found


def told(message: Descriptor) -> dict[str, list[list[object]]]:
    found = {message.full_name: [told_field(field) for field in message.fields]}
    for nested in message.nested_types:
        found |= told(nested)
    return found


def told_field(field: FieldDescriptor) -> list[object]:
    message = field.message_type.full_name if field.message_type else ""
    return [field.name, field.number, field.type, field.is_repeated, message]


def run(command: list[str], folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
