"""A small service for the router's tests: it answers with its own name, and its models come and go on request.

`python replica.py --name a --model small:1 [--model small:2] [--address 127.0.0.1:0]` prints its address.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from argosy.v1 import model_pb2, model_pb2_grpc, text_pb2, text_pb2_grpc
from inference import grpc_service_pb2 as oip
from inference import grpc_service_pb2_grpc as oip_grpc

READY, UNLOADED, LOADING = (
    model_pb2.MODEL_STATE_READY,
    model_pb2.MODEL_STATE_UNLOADED,
    model_pb2.MODEL_STATE_LOADING,
)
MAX_BYTES = 64 << 20


class Models:
    """What the replica has, and a way to wait for changes."""

    def __init__(self, versions):
        self.states = {tuple(v.split(":")): READY for v in versions}
        self.draining = False
        self.changed = threading.Condition()
        self.inferred = 0

    def set_state(self, model, state):
        with self.changed:
            for key in self.states:
                if key[0] == model:
                    self.states[key] = state
            self.changed.notify_all()

    def drain(self):
        with self.changed:
            self.draining = True
            self.changed.notify_all()

    def report(self):
        default = {m: max(v for n, v in self.states if n == m) for m, _ in self.states}
        return model_pb2.WatchModelsResponse(
            models=[
                model_pb2.ModelStatus(model=m, version=v, state=s, default_version=default[m] == v)
                for (m, v), s in self.states.items()
            ],
            draining=self.draining,
            services=["argosy.v1.TextService", "inference.GRPCInferenceService"],
        )

    def check(self, model, version, context):
        """As a service's front does: the model in the message is the one that was routed for."""
        routed = dict(context.invocation_metadata()).get("argosy-model", model)
        if routed != model:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"MODEL_MISMATCH: {routed} is not {model}")
        if not any(m == model and version in ("", v) and s == READY for (m, v), s in self.states.items()):
            context.abort(grpc.StatusCode.NOT_FOUND, f"replica has no {model}")
        return version or max(v for m, v in self.states if m == model)


class ModelService(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, models):
        self.models = models

    def WatchModels(self, request, context) -> Iterator[model_pb2.WatchModelsResponse]:
        gone = threading.Event()

        def end():
            gone.set()
            with self.models.changed:
                self.models.changed.notify_all()

        context.add_callback(end)
        yield (said := self.models.report())
        while not said.draining and (said := self.next_report(said, gone)) is not None:
            yield said

    def next_report(self, said, gone):
        with self.models.changed:
            self.models.changed.wait_for(lambda: gone.is_set() or self.models.report() != said)
            return None if gone.is_set() else self.models.report()

    def GetModel(self, request, context):
        return model_pb2.GetModelResponse(status=model_pb2.ModelStatus(model=request.model))


class Inference(oip_grpc.GRPCInferenceServiceServicer):
    def __init__(self, name, models, delay_s):
        self.name, self.models, self.delay_s = name, models, delay_s

    def ModelInfer(self, request, context):
        version = self.models.check(request.model_name, request.model_version, context)
        self.models.inferred += 1
        delay_s = request.parameters["delay_s"].double_param if "delay_s" in request.parameters else self.delay_s
        # A stand-in for the model's own work.
        time.sleep(delay_s)
        context.set_trailing_metadata((("argosy-queue-us", "7"), ("argosy-model-version", version)))
        reply = oip.ModelInferResponse(model_name=request.model_name, model_version=version, id=self.name)
        reply.raw_output_contents.extend(request.raw_input_contents)
        return reply

    def ModelStreamInfer(self, request_iterator, context):
        for request in request_iterator:
            self.models.check(request.model_name, request.model_version, context)
            yield oip.ModelStreamInferResponse(infer_response={"model_name": request.model_name, "id": self.name})

    def ModelReady(self, request, context):
        self.models.check(request.name, request.version, context)
        return oip.ModelReadyResponse(ready=True)

    def ModelStatistics(self, request, context):
        of_model = [key for key in self.models.states if request.name in ("", key[0])]
        return oip.ModelStatisticsResponse(
            model_stats=[
                oip.ModelStatistics(name=m, version=v, inference_count=self.models.inferred) for m, v in of_model
            ]
        )

    def RepositoryModelLoad(self, request, context):
        return self._set(request.model_name, READY, oip.RepositoryModelLoadResponse(), context)

    def RepositoryModelUnload(self, request, context):
        return self._set(request.model_name, UNLOADED, oip.RepositoryModelUnloadResponse(), context)

    def _set(self, model, state, reply, context):
        if not any(m == model for m, _ in self.models.states):
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {model}")
        self.models.set_state(model, state)
        return reply


class Text(text_pb2_grpc.TextServiceServicer):
    def __init__(self, name, models):
        self.name, self.models = name, models

    def Classify(self, request, context):
        version = self.models.check(request.model, request.version, context)
        label = {"categories": [{"label": self.name}]}
        return text_pb2.TextServiceClassifyResponse(model=request.model, version=version, results=[label])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1:0")
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--delay-s", type=float, default=0.0)
    options = parser.parse_args()
    models = Models(options.model)
    server = grpc.server(
        ThreadPoolExecutor(64),
        options=[
            ("grpc.max_receive_message_length", MAX_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
        ],
    )
    model_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)
    oip_grpc.add_GRPCInferenceServiceServicer_to_server(Inference(options.name, models, options.delay_s), server)
    text_pb2_grpc.add_TextServiceServicer_to_server(Text(options.name, models), server)
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(options.address)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.start()
    print(f"{options.address.rpartition(':')[0]}:{port}", flush=True)
    stop.wait()
    models.drain()
    # As a front does: balancers are given the time to see it before calls are refused.
    threading.Event().wait(1.0)
    server.stop(5).wait()
    sys.exit(0)


if __name__ == "__main__":
    main()
