"""Real processes for the router's tests: replicas of a small service, and routers with their Envoys."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from argosy.v1 import model_pb2, model_pb2_grpc, text_pb2_grpc
from inference import grpc_service_pb2 as oip
from inference import grpc_service_pb2_grpc as oip_grpc

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
START_TIMEOUT_S = 30


@dataclass
class Replica:
    """One process of replica.py."""

    process: subprocess.Popen[str]
    address: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.terminate()


def start_replica(name: str, *models: str, address: str = "127.0.0.1:0", delay_s: float = 0.0) -> Replica:
    arguments = [argument for model in models for argument in ("--model", model)]
    script = str(Path(__file__).parent / "replica.py")
    process = subprocess.Popen(
        [sys.executable, script, "--name", name, "--address", address, "--delay-s", str(delay_s), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    return Replica(process, process.stdout.readline().strip())


@dataclass
class RunningRouter:
    """One process of the router, and stubs to it."""

    process: subprocess.Popen[str]
    address: str
    metrics_address: str
    log: list[dict[str, object]]
    channels: list[grpc.Channel] = field(default_factory=list)

    def channel(self, **options: object) -> grpc.Channel:
        """A connection of its own."""
        channel = grpc.insecure_channel(
            self.address,
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.use_local_subchannel_pool", 1),
                # The callers of these tests see each failure: they do not try again by themselves.
                ("grpc.enable_retries", 0),
            ],
            **options,
        )
        self.channels.append(channel)
        return channel

    def inference(self) -> oip_grpc.GRPCInferenceServiceStub:
        return oip_grpc.GRPCInferenceServiceStub(self.channel())

    def text(self) -> text_pb2_grpc.TextServiceStub:
        return text_pb2_grpc.TextServiceStub(self.channel())

    def models(self) -> model_pb2_grpc.ModelServiceStub:
        return model_pb2_grpc.ModelServiceStub(self.channel())

    def wait_until_models(self, expected: Callable[[dict[tuple[str, str], int]], bool], timeout_s: float = 10) -> None:
        """Wait until the numbers of ready endpoints by model-version are as expected; fails after `timeout_s`."""
        for response in self.models().WatchModels(model_pb2.WatchModelsRequest(), timeout=timeout_s):
            if expected({(m.model, m.version): m.ready_endpoint_count for m in response.models}):
                return
        raise AssertionError("the router ended before the models were as expected")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(15)


def start_router(folder: Path, services: dict[str, object], *arguments: str, **others: object) -> RunningRouter:
    config = folder / "fleet.yaml"
    settings = {"address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", "services": services, "worker_threads": 1}
    config.write_text(json.dumps({**settings, "reflection": True, **others}))
    process = subprocess.Popen(
        [sys.executable, "-m", "services.router", "--config", str(config), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
    )
    log: list[dict[str, object]] = []
    serving = threading.Event()
    threading.Thread(target=_read_log, args=(process, log, serving), daemon=True).start()
    assert serving.wait(START_TIMEOUT_S), log
    addresses = next((line for line in log if line.get("event") == "serving"), None)
    assert addresses is not None, log
    return RunningRouter(process, str(addresses["address"]), str(addresses["metrics_address"]), log)


def _read_log(process: subprocess.Popen[str], log: list[dict[str, object]], serving: threading.Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        log.append(json.loads(line) if line.startswith("{") else {"text": line})
        if log[-1].get("event") == "serving":
            serving.set()
    serving.set()


def infer(model: str, version: str = "", **fields: object) -> oip.ModelInferRequest:
    return oip.ModelInferRequest(model_name=model, model_version=version, **fields)


def reason(error: grpc.RpcError) -> str:
    """ErrorInfo's reason in the details of a failed call."""
    status = rpc_status.from_call(error)
    assert status is not None, (error.code(), error.details())
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info):
            assert info.domain == "argosy"
            return info.reason
    raise AssertionError(status)


def has_retry_info(error: grpc.RpcError) -> bool:
    status = rpc_status.from_call(error)
    return status is not None and any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)


@dataclass
class SteadyFleet:
    """A router before two replicas, which the tests of a module leave as they are: 'a' alone has the model 'big'."""

    router: RunningRouter
    inference: oip_grpc.GRPCInferenceServiceStub
    text: text_pb2_grpc.TextServiceStub


Start = Callable[..., Replica]
