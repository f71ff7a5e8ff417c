"""The eight things of clients/README.md in Python, on argosy_client: what a caller's code looks like.

Every step yields the lines that all languages print alike. `python program.py --address HOST:PORT`.
"""

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from argosy.v1.vision_pb2 import VisionServiceClassifyRequest
from argosy_client import ArgosyError, DeadlineExceededError, Fleet, InvalidInputError, Options, Row
from argosy_client.methods import CLASSIFY_IMAGES

CALLS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Run:
    """What the flags ask for."""

    address: str
    samples: Path
    model: str
    only: str
    cancel_after_ms: int | None
    options: Options

    def sample(self, name: str) -> bytes:
        """Ends the program where the file cannot be read."""
        try:
            return (self.samples / name).read_bytes()
        except OSError as error:
            sys.stderr.write(f"error: {self.samples / name}: {error.strerror}\n")
            raise SystemExit(2) from None

    def sentences(self) -> list[str]:
        return self.sample("sentences.txt").decode().splitlines()


def image(run: Run, fleet: Fleet) -> Iterator[str]:
    request = VisionServiceClassifyRequest(model=run.model, images=[run.sample("seven.png")], top_k=1)
    reply = fleet.call(CLASSIFY_IMAGES, request, run.model)
    best = reply.message.results[0].categories[0]
    yield f"image: {best.label} {best.score:.3f}"
    yield f"trailers: {' '.join(sorted(name for name in reply.trailers if name.startswith('argosy-')))}"


def embedding(run: Run, fleet: Fleet) -> Iterator[str]:
    text = fleet.text("minilm")
    if run.cancel_after_ms is not None:
        # Closing the fleet is how blocking code cancels what other threads wait for.
        timer = threading.Timer(run.cancel_after_ms / 1e3, fleet.close)
        timer.start()
        try:
            text.embed_all(run.sentences() * 100)
        finally:
            timer.cancel()
    first, second = text.embed_all(run.sentences()).astype(np.float64)
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    yield f"embedding: {first.size} values, cosine {cosine:.3f}"


def table(run: Run, fleet: Fleet) -> Iterator[str]:
    for model in ("diabetes", "income"):
        rows = map(json.loads, run.sample(f"{model}.jsonl").decode().splitlines())
        for number, row in enumerate(fleet.tabular(model).predict_all(rows), 1):
            yield f"table: {model} row {number}: {_row_text(row)}"


def tensor(run: Run, fleet: Fleet) -> Iterator[str]:
    pixels = np.zeros((1, 28, 28, 1), np.float32)
    pixels[:, 4:24, 13:15] = 1.0
    for name, output in fleet.tensors(run.model).infer({"image": pixels}).items():
        likeliest = int(output.argmax())
        shape = ", ".join(map(str, output.shape))
        yield f"tensor: {name} FP32 [{shape}], likeliest {likeliest} {output.reshape(-1)[likeliest]:.3f}"


def deadline(run: Run, fleet: Fleet) -> Iterator[str]:
    try:
        fleet.within(0.005).text("minilm").embed_all(run.sentences() * 100)
    except DeadlineExceededError as error:
        yield f"deadline: {error.status.name}"
    else:
        yield "deadline: OK"


def wrong_input(run: Run, fleet: Fleet) -> Iterator[str]:
    try:
        fleet.vision(run.model).classify(b"not an image", top_k=1)
    except InvalidInputError as error:
        yield f"wrong-input: {error.status.name} {error.reason} field={error.field}"
    else:
        yield "wrong-input: OK"


def refusal(run: Run, fleet: Fleet) -> Iterator[str]:
    """More than the queue takes, at once: what is refused is sent again when the fleet says so."""
    images = [run.sample("seven.png")] * 300
    request = VisionServiceClassifyRequest(model=run.model, images=images, top_k=1)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        answers = [pool.submit(fleet.call, CLASSIFY_IMAGES, request, run.model) for _ in range(CALLS_AT_ONCE)]
        replies = [answer.result() for answer in answers]
    refused = [error for reply in replies for error in reply.refusals]
    answered = f"{len(replies)} of {CALLS_AT_ONCE} answered after retries"
    first = f"{refused[0].status.name} {refused[0].reason}" if refused else "OK"
    yield f"refusal: {first}, {answered}"


def health(run: Run, fleet: Fleet) -> Iterator[str]:
    yield f"health: fleet {fleet.health()}, {run.model} {fleet.health(run.model)}"


STEPS: Mapping[str, Callable[[Run, Fleet], Iterator[str]]] = {
    "image": image,
    "embedding": embedding,
    "table": table,
    "tensor": tensor,
    "deadline": deadline,
    "wrong-input": wrong_input,
    "refusal": refusal,
    "health": health,
}


def _row_text(row: Row) -> str:
    quantities = " ".join(f"{name} {value:.1f}" for name, value in row.quantities.items())
    imputed = f" (imputed {' '.join(sorted(row.imputed_columns))})" if row.imputed_columns else ""
    return (quantities or f"{row.categories[0].label} {row.categories[0].score:.3f}") + imputed


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a flag as every program here does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def _run(arguments: list[str] | None) -> Run:
    parser = _Parser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:8500")
    parser.add_argument("--samples", type=Path, default=Path("clients/samples"))
    parser.add_argument("--tls-ca", type=Path)
    parser.add_argument("--timeout-s", type=float, default=10.0)
    parser.add_argument("--only", choices=tuple(STEPS), default="")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--max-message-bytes", type=int, default=64 << 20)
    parser.add_argument("--cancel-after-ms", type=int)
    flags = parser.parse_args(arguments)
    options = Options(flags.timeout_s, flags.tls_ca, flags.max_message_bytes, max_rows_per_call=200)
    return Run(flags.address, flags.samples, flags.model, flags.only, flags.cancel_after_ms, options)


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    run = _run(arguments)
    try:
        with Fleet(run.address, run.options) as fleet:
            for name in [run.only] if run.only else STEPS:
                for line in STEPS[name](run, fleet):
                    sys.stdout.write(f"{line}\n")
    except ArgosyError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
