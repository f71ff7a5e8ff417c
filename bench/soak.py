"""Whether the fleet lasts: good and bad requests, straight and routed, while memory, descriptors and threads stay flat.

`python -m bench.soak [--seconds 600]` starts the whole fleet, sends it every bad request of the end-to-end tests, a
good one after each, plain or packed, leaves a call before each good one, and samples each process. It fails where a
good request is refused, where a bad one is answered or refused otherwise than it should be, and where, after a warm-up
of a quarter of the time, a process ends with more than it had: the medians of the first and the last third are
compared, so that one late sample decides nothing.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.e2e import traffic as t
from tests.e2e.bad_requests import bad_requests
from tests.e2e.calls import call, refusal_of
from tests.e2e.conftest import KINDS, ready_versions, wait_until_routed
from tests.e2e.harness import CHANNEL_OPTIONS, Processes, Server, Usage, usage
from tests.e2e.traffic import MODELS

WARM_UP_SHARE = 0.25
SAMPLES = 120
CALLERS = 2
TIMEOUT_S = 30.0

# How much more a process may hold at the end: allocators keep pages that they may use again.
RSS_SLACK_BYTES = 24 << 20
RSS_SLACK_SHARE = 0.08
DESCRIPTOR_SLACK = 3
THREAD_SLACK = 2


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what it must be answered with: '' for an answer, else the status and the reasons it may have."""

    name: str
    kind: str
    method: str
    message: bytes
    code: grpc.StatusCode = grpc.StatusCode.OK
    reasons: tuple[str, ...] = ()
    compression: grpc.Compression = grpc.Compression.NoCompression

    def complaint(self, channel: grpc.Channel) -> str:
        """Ask; '' where the answer is as it should be."""
        try:
            call(channel, self.method, self.message, timeout_s=TIMEOUT_S, compression=self.compression)
        except grpc.RpcError as error:
            refusal = refusal_of(error)
            as_wanted = refusal.code is self.code and refusal.reason in self.reasons
            return "" if as_wanted else f"{refusal.code.name} {refusal.reason}: {refusal.message}"
        return "" if self.code is grpc.StatusCode.OK else "it was answered"

    def leave(self, channel: grpc.Channel) -> None:
        """Ask, and do not wait for the answer."""
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(self.method)
        ask.future(self.message, TIMEOUT_S, compression=self.compression).cancel()


@dataclass(slots=True)
class Tally:
    """What was asked, and what was not as it should be; filled by several threads."""

    asked: Counter[str] = field(default_factory=Counter)
    complaints: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, question: Question, way: str, complaint: str) -> None:
        with self.lock:
            self.asked[f"{'bad' if question.reasons else 'good'}, {way}"] += 1
            if complaint:
                self.complaints[f"{question.name}, {way}: {complaint}"] += 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        services = {kind: processes.service(kind, MODELS) for kind in KINDS}
        router = processes.router(Path(folder), {kind: [server.address] for kind, server in services.items()})
        wait_until_routed(router, [key for server in services.values() for key in ready_versions(server.channel)])
        tally = Tally()
        samples = soak(services, router, options.seconds, tally)
    return report(samples, tally)


def soak(services: dict[str, Server], router: Server, seconds: float, tally: Tally) -> dict[str, list[Usage]]:
    """Ask for `seconds`; name of a process -> its samples, evenly spread."""
    processes = {**{kind: server.process.pid for kind, server in services.items()}, "router": router.process.pid}
    envoys = psutil.Process(router.process.pid).children(recursive=True)
    processes |= {child.name(): int(child.pid) for child in envoys}
    stop = threading.Event()
    ways = {"straight": lambda kind: services[kind].address, "routed": lambda _: router.address}
    callers = [
        threading.Thread(target=ask, args=(way, address_of, number, tally, stop))
        for way, address_of in ways.items()
        for number in range(CALLERS)
    ]
    for caller in callers:
        caller.start()
    samples: dict[str, list[Usage]] = {name: [] for name in processes}
    try:
        for _ in track(range(SAMPLES), description="soaking"):
            stop.wait(seconds / SAMPLES)
            for name, pid in processes.items():
                samples[name].append(usage(pid))
    finally:
        stop.set()
        for caller in callers:
            caller.join(TIMEOUT_S)
    return samples


def ask(way: str, address_of: Callable[[str], str], number: int, tally: Tally, stop: threading.Event) -> None:
    """One caller: every question in turn, each caller from another place, now and then on a new connection."""
    asked = questions()
    for round_number in itertools.count():
        channels = {kind: grpc.insecure_channel(address_of(kind), CHANNEL_OPTIONS) for kind in KINDS}
        start = (number * 37 + round_number) % len(asked)
        for question in asked[start:] + asked[:start]:
            if stop.is_set():
                break
            if not question.reasons:
                question.leave(channels[question.kind])
            tally.add(question, way, question.complaint(channels[question.kind]))
        for channel in channels.values():
            channel.close()
        if stop.is_set():
            return


def questions() -> list[Question]:
    """Every bad request, a good one after each."""
    good = itertools.cycle(both for plain in good_questions() for both in (plain, packed(plain)))
    mixed: list[Question] = []
    for bad in bad_requests():
        mixed += (Question(bad.name, bad.kind, bad.method, bad.message(), bad.code, bad.reasons), next(good))
    return mixed


def packed(question: Question) -> Question:
    """The same question, which goes by way of the router's brain."""
    return replace(question, name=f"{question.name}, packed", compression=grpc.Compression.Gzip)


def good_questions() -> Iterator[Question]:
    """Of every service, typed and as tensors."""
    yield Question("a 7", "vision", t.VISION_CLASSIFY, t.classify(t.seven(), t.seven()))
    yield Question("a digit's tensor", "vision", t.MODEL_INFER, t.infer_digits())
    yield Question("a 7 as a photo", "vision", t.VISION_CLASSIFY, t.classify(t.seven(), model="mobilenet"))
    yield Question("a text", "text", t.TEXT_CLASSIFY, t.read("What a lovely morning!", "It could be worse."))
    yield Question("an embedding", "text", t.TEXT_EMBED, t.embed("The train leaves at nine."))
    yield Question("a patient", "tabular", t.PREDICT, t.predict(t.row("diabetes"), model="diabetes"))
    yield Question("a person", "tabular", t.PREDICT, t.predict(t.row("income")))
    yield Question("a person's tensors", "tabular", t.MODEL_INFER, t.infer_row("income"))


def report(samples: dict[str, list[Usage]], tally: Tally) -> int:
    """Print the trend; 1 where something was not as it should be."""
    console = Console(width=130)
    table = Table("process", "what", "at the start", "after warm-up", "at the end", "least", "most", "flat")
    flat = True
    for name, found in samples.items():
        for what, value, slack in MEASURES:
            row = trend([value(sample) for sample in found])
            is_flat = row[2] - row[1] <= slack(row[1])
            flat = flat and is_flat
            table.add_row(name, what, *(f"{number:,.1f}" for number in row), "yes" if is_flat else "[red]no[/red]")
    console.print(table)
    console.print(", ".join(f"{count:,} {what}" for what, count in sorted(tally.asked.items())))
    for complaint, count in tally.complaints.most_common(20):
        console.print(f"[red]{count} × {complaint}[/red]", markup=True)
    return int(not flat or bool(tally.complaints))


def trend(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """The first sample, the medians of the first and the last third after the warm-up, the least and the most."""
    warm = values[int(len(values) * WARM_UP_SHARE) :]
    third = max(1, len(warm) // 3)
    return values[0], statistics.median(warm[:third]), statistics.median(warm[-third:]), min(values), max(values)


# What is measured of a process, as which number, and how much more of it is still flat.
MEASURES: tuple[tuple[str, Callable[[Usage], float], Callable[[float], float]], ...] = (
    ("MB resident", lambda u: u.rss_bytes / 1e6, lambda mb: max(RSS_SLACK_BYTES / 1e6, mb * RSS_SLACK_SHARE)),
    ("descriptors", lambda u: u.descriptor_count, lambda _: DESCRIPTOR_SLACK),
    ("threads", lambda u: u.thread_count, lambda _: THREAD_SLACK),
)

if __name__ == "__main__":
    sys.exit(main())
