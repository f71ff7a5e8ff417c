"""Triton's own client, as it comes from PyPI, against one address: prints what it was told as JSON.

`python triton_program.py HOST:PORT MODEL`. A process of its own, because its protos and ours have the same names.
"""

import json
import queue
import sys

import numpy as np
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

SEVEN_ROWS = 3


def main(address: str, model: str) -> dict[str, object]:
    client = triton.InferenceServerClient(address)
    metadata = client.get_model_metadata(model, as_json=True)
    told: dict[str, object] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "version_ready": client.is_model_ready(model, "1"),
        "unknown_ready": client.is_model_ready("nosuch"),
        "server": client.get_server_metadata(as_json=True),
        "metadata": metadata,
        "config": client.get_model_config(model, as_json=True)["config"],
        "index": client.get_model_repository_index(as_json=True)["models"],
    }
    told |= _infer(client, model)
    told |= {"statistics": client.get_inference_statistics(model, "1", as_json=True)["model_stats"][0]}
    told |= _repository(client, model)
    return told


def _infer(client: triton.InferenceServerClient, model: str) -> dict[str, object]:
    """The same rows four ways: all must be answered alike."""
    rows = np.random.default_rng(1).random((SEVEN_ROWS, 28, 28, 1), np.float32)
    image = triton.InferInput("image", rows.shape, "FP32")
    image.set_data_from_numpy(rows)
    outputs = [triton.InferRequestedOutput("probabilities")]
    once = client.infer(model, [image], request_id="a", outputs=outputs)
    results: queue.Queue[object] = queue.Queue()

    def arrived(result: object, error: object) -> None:
        results.put(error or result)

    client.async_infer(model, [image], arrived, request_id="b", outputs=outputs)
    later = results.get(timeout=20)
    client.start_stream(arrived)
    for name in (model, "nosuch", model):
        client.async_stream_infer(name, [image], request_id="c", outputs=outputs)
    streamed = [results.get(timeout=20) for _ in range(3)]
    client.stop_stream()
    good = [once, later, streamed[0], streamed[2]]
    return {
        "id": once.get_response().id,
        "shape": once.as_numpy("probabilities").shape,
        "sums": once.as_numpy("probabilities").sum(axis=1).tolist(),
        "alike": [bool(np.allclose(r.as_numpy("probabilities"), once.as_numpy("probabilities"))) for r in good],
        "stream_error": str(streamed[1]) if isinstance(streamed[1], InferenceServerException) else "",
    }


def _repository(client: triton.InferenceServerClient, model: str) -> dict[str, object]:
    client.unload_model(model)
    unloaded = client.is_model_ready(model)
    client.load_model(model)
    return {
        "ready_after_unload": unloaded,
        "index_after_load": client.get_model_repository_index(as_json=True)["models"],
    }


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout, default=float)
