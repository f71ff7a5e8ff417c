"""A recurrent PyTorch model, exported as one step: its sequences, served, are those of the source.

Straight at a service and through a router with two replicas, by Triton's own client.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import yaml

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.fronts import FRONTS
from tests.contract.harness import refusal_of
from tests.e2e.conftest import wait_until_ready, wait_until_routed
from tests.e2e.harness import ROOT, Processes, Server
from tests.e2e.recurrent_net import DESCRIPTION, FEATURES, expected, write_samples

PROGRAM = Path(__file__).with_name("sequence_program.py")
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
SEQUENCES, STEPS = 6, 40
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's step, published by `argosy export`."""
    folder = tmp_path_factory.mktemp("export")
    write_samples(folder / "samples.npz")
    (folder / "gru.yaml").write_text(DESCRIPTION, encoding="utf-8")
    command = [sys.executable, "-m", "argosy_cli", "export", "tests.e2e.recurrent_net:step", "--trust-code"]
    what = ["--name", "gru", "--task", "tabular-regression", "--samples", str(folder / "samples.npz")]
    where = ["--describe", str(folder / "gru.yaml"), "--output", str(folder / "models")]
    done = subprocess.run([*command, *what, *where], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "models"


@pytest.fixture
def routed(processes: Processes, models: Path, tmp_path: Path) -> Server:
    """A router before two replicas."""
    replicas = [processes.service("tabular", models) for _ in range(2)]
    router = processes.router(tmp_path, {"tabular": [replica.address for replica in replicas]})
    wait_until_ready(router.channel, lambda found: found.get(("gru", "1")) == len(replicas))
    wait_until_routed(router, [("gru", "1")])
    return router


def rows(seed: int = 1) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.random.default_rng(seed).normal(size=(SEQUENCES, STEPS, FEATURES)).astype(np.float32)


def asked_by_triton(server: Server, folder: Path, *, headers: bool) -> dict[str, list[list[float]]]:
    np.save(folder / "rows.npy", rows())
    command = [sys.executable, str(PROGRAM), server.address, str(folder / "rows.npy"), str(int(headers))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[list[float]]] = json.loads(done.stdout)
    return found


def check(found: dict[str, list[list[float]]]) -> None:
    wanted = np.stack([expected(sequence) for sequence in rows()])
    for way, answers in found.items():
        np.testing.assert_allclose(answers, wanted, atol=TOLERANCE, err_msg=way)


def infer(channel: grpc.Channel, row: Sequence[float], sequence: str, *, start: bool = False) -> float:
    """One step, without the header that says which sequence it is of."""
    request = ModelInferRequest(model_name="gru")
    request.inputs.add(name="x", datatype="FP32", shape=(1, FEATURES))
    request.raw_input_contents.append(np.array(row, "<f4").tobytes())
    request.parameters["sequence_id"].string_param = sequence
    request.parameters["sequence_start"].bool_param = start
    reply = channel.unary_unary(MODEL_INFER)(request.SerializeToString(), 20)
    return float(np.frombuffer(ModelInferResponse.FromString(reply).raw_output_contents[0], "<f4")[0])


@pytest.mark.parametrize("front", sorted(FRONTS))
def test_served_sequences_are_those_of_the_source(
    front: str, processes: Processes, models: Path, tmp_path: Path
) -> None:
    check(asked_by_triton(processes.service("tabular", models, "--front", front), tmp_path, headers=False))


@pytest.mark.parametrize("headers", [True, False])
def test_through_a_router_with_two_replicas_they_are_too(routed: Server, headers: bool, tmp_path: Path) -> None:
    check(asked_by_triton(routed, tmp_path, headers=headers))


def test_many_callers_sequences_spread_over_the_replicas_and_stay_right(routed: Server, processes: Processes) -> None:
    sequences = rows(seed=2)

    def whole(number: int) -> list[float]:
        channel = processes.channel(routed.address)
        return [infer(channel, row, f"caller-{number}", start=not place) for place, row in enumerate(sequences[number])]

    with ThreadPoolExecutor(SEQUENCES) as threads:
        found = list(threads.map(whole, range(SEQUENCES)))
    np.testing.assert_allclose(found, np.stack([expected(sequence) for sequence in sequences]), atol=TOLERANCE)


def test_when_its_replica_dies_a_sequence_is_unknown_and_never_wrong(
    processes: Processes, models: Path, tmp_path: Path
) -> None:
    replicas = [processes.service("tabular", models) for _ in range(2)]
    router = processes.router(tmp_path, {"tabular": [replica.address for replica in replicas]})
    wait_until_ready(router.channel, lambda found: found.get(("gru", "1")) == len(replicas))
    wait_until_routed(router, [("gru", "1")])
    row = rows()[0][0]
    # So many that they are not all hashed to one of the two replicas.
    names = [f"s{number}" for number in range(40)]
    first = [infer(router.channel, row, name, start=True) for name in names]
    assert len(set(first)) == 1
    replicas[0].process.kill()
    wait_until_ready(router.channel, lambda found: found.get(("gru", "1")) == 1)
    second = expected(np.stack([row, row]))[1]
    outcomes = {outcome(router.channel, row, name, second) for name in names}
    assert outcomes == {"right", "UNKNOWN_SEQUENCE"}


def outcome(channel: grpc.Channel, row: Sequence[float], name: str, second: float) -> str:
    """What became of a second step: its answer is right, or its error says that the sequence is lost."""
    try:
        found = infer(channel, row, name)
    except grpc.RpcError as error:
        return refusal_of(error).reason
    return "right" if abs(found - second) <= TOLERANCE else f"wrong: {found}"


def test_the_manifest_tells_the_state_and_the_wire_does_not(models: Path) -> None:
    manifest = yaml.safe_load((models / "gru" / "1" / "model.yaml").read_text(encoding="utf-8"))
    assert manifest["states"] == [{"input": "h", "output": "h_next"}]
    assert {output["output"] for output in manifest["parity"]["outputs"]} == {"value", "h_next"}
