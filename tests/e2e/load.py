"""Callers that ask again as soon as they are answered, each on a connection of its own, while a test does something."""

import threading
from collections.abc import Sequence
from types import TracebackType

import grpc

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from tests.e2e.harness import CHANNEL_OPTIONS

CALLERS = 4
TIMEOUT_S = 20.0


class Load:
    """Load in the background while the block runs. `errors` and `replies` are in the order of their arrival."""

    def __init__(
        self, address: str, method: str, message: bytes, options: Sequence[tuple[str, int]] = CHANNEL_OPTIONS
    ) -> None:
        self.errors: list[grpc.RpcError] = []
        self.replies: list[bytes] = []
        self._address, self._method, self._message, self._options = address, method, message, options
        self._stop = threading.Event()
        self._answered = threading.Condition()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def wait_for_answers(self, count: int) -> None:
        """Until that many more have come."""
        with self._answered:
            wanted = len(self.replies) + count
            enough = self._answered.wait_for(lambda: len(self.replies) >= wanted or bool(self.errors), TIMEOUT_S)
        assert enough, f"{len(self.replies)} answers, {len(self.errors)} errors"

    def wait_for_version(self, version: str) -> None:
        """Until that version of the model has answered."""
        with self._answered:
            came = self._answered.wait_for(
                lambda: self.errors or (self.replies and self.version_of(self.replies[-1]) == version), TIMEOUT_S
            )
        assert came, f"no answer of version {version}, the last is of {self.version_of(self.replies[-1])}"

    def _ask(self) -> None:
        with grpc.insecure_channel(self._address, self._options) as channel:
            method = channel.unary_unary(self._method)
            while not self._stop.is_set():
                try:
                    reply = method(self._message, TIMEOUT_S)
                except grpc.RpcError as error:
                    with self._answered:
                        self.errors.append(error)
                        self._answered.notify_all()
                    return
                with self._answered:
                    self.replies.append(reply)
                    self._answered.notify_all()

    @staticmethod
    def version_of(reply: bytes) -> str:
        """Which version of the model gave a reply of VisionService.Classify."""
        return VisionServiceClassifyResponse.FromString(reply).version
