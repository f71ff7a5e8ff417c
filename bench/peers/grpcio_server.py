"""What a careful afternoon gives: grpcio's asyncio server, one run of ONNX Runtime a request, no queue, no batches.

`python -m bench.peers.grpcio_server GRAPH` serves ModelInfer on a free port, which is logged as JSON.
"""

import asyncio
import json
import sys

import grpc
import onnxruntime as ort

from bench.tensors import answer, as_feeds, inputs_of
from tests.e2e.traffic import MODEL_INFER

_, SERVICE, METHOD = MODEL_INFER.split("/")


async def serve(graph: str) -> None:
    """Until the process ends."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    async def infer(message: bytes, _: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        results = session.run(names, as_feeds(inputs_of(message)))
        return answer("", dict(zip(names, results, strict=True)))

    server = grpc.aio.server(options=(("grpc.max_receive_message_length", -1),))
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {METHOD: grpc.unary_unary_rpc_method_handler(infer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"event": "serving", "address": f"127.0.0.1:{port}"}), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
