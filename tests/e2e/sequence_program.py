"""Triton's own client asks for whole sequences, step by step, and prints the answers as JSON.

`python sequence_program.py HOST:PORT ROWS.npy HEADERS` with rows [sequences, steps, features]. HEADERS is 1 where the
header `argosy-sequence` is to be sent. A process of its own, because its protos and ours have the same names.
"""

import json
import queue
import sys

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc as triton

MODEL = "gru"


def main(address: str, rows: str, headers: str) -> dict[str, list[list[float]]]:
    sequences = np.load(rows)
    client = triton.InferenceServerClient(address)
    return {
        "unary": unary(client, sequences, headers == "1"),
        "streamed": [
            streamed(client, number, sequence, headers == "1") for number, sequence in enumerate(sequences, start=1)
        ],
    }


def unary(client: triton.InferenceServerClient, sequences: NDArray[np.float32], headers: bool) -> list[list[float]]:
    """The sequences side by side: a step of each, then the next."""
    answers: list[list[float]] = [[] for _ in sequences]
    steps = sequences.shape[1]
    for place in range(steps):
        for number, sequence in enumerate(sequences):
            name = f"unary-{number}"
            found = client.infer(
                MODEL,
                [step_input(sequence[place])],
                sequence_id=name,
                sequence_start=place == 0,
                sequence_end=place == steps - 1,
                headers={"argosy-sequence": name} if headers else None,
            )
            answers[number].append(float(found.as_numpy("value")[0, 0]))
    return answers


def streamed(
    client: triton.InferenceServerClient, number: int, rows: NDArray[np.float32], headers: bool
) -> list[float]:
    """All steps at once, on a stream."""
    results: queue.Queue[object] = queue.Queue()
    client.start_stream(
        lambda result, error: results.put(error or result),
        headers={"argosy-sequence": str(number)} if headers else None,
    )
    for place, row in enumerate(rows):
        client.async_stream_infer(
            MODEL,
            [step_input(row)],
            request_id=str(place),
            sequence_id=number,
            sequence_start=place == 0,
            sequence_end=place == len(rows) - 1,
        )
    found = [results.get(timeout=20) for _ in rows]
    client.stop_stream()
    assert [result.get_response().id for result in found] == [str(place) for place in range(len(rows))], found
    return [float(result.as_numpy("value")[0, 0]) for result in found]


def step_input(row: NDArray[np.float32]) -> triton.InferInput:
    x = triton.InferInput("x", (1, len(row)), "FP32")
    x.set_data_from_numpy(row[None])
    return x


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
