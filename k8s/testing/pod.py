"""One pod's life, as a kubelet leads it: init containers, start, probes, restarts, and its end within the grace.

The order and the rules are the kubelet's: no readiness or liveness before the start-up probe has passed; a failed
liveness restarts the container; at the end preStop and SIGTERM share the grace, and SIGKILL is what follows it. Probes
of other kinds than gRPC are not here: the fleet has none.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from k8s.testing.api import Object
from k8s.testing.sandbox import Process, Sandbox

Report = Callable[[Object], None]

_CHECK = "/grpc.health.v1.Health/Check"


@dataclass(slots=True)
class Probe:
    """A probe and how often in a row it has said what."""

    spec: Object
    failures: int = 0
    due: float = 0.0

    def passes(self, address: str) -> bool:
        """Ask now, as a kubelet does: a new connection, one Check, the timeout over both."""
        asked = self.spec["grpc"]
        self.due = time.monotonic() + self.spec.get("periodSeconds", 10)
        request = health_pb2.HealthCheckRequest(service=asked.get("service", ""))
        with grpc.insecure_channel(f"{address}:{asked['port']}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            check = channel.unary_unary(_CHECK, request_serializer=bytes, response_deserializer=bytes)
            try:
                answer = check(request.SerializeToString(), self.spec.get("timeoutSeconds", 1))
            except grpc.RpcError:
                return self._count(False)
        status = health_pb2.HealthCheckResponse.FromString(answer).status
        return self._count(bool(status == health_pb2.HealthCheckResponse.SERVING))

    @property
    def failed(self) -> bool:
        return self.failures >= int(self.spec.get("failureThreshold", 3))

    def _count(self, passed: bool) -> bool:
        self.failures = 0 if passed else self.failures + 1
        return passed


@dataclass(slots=True)
class Ended:
    """How a container ended: what its process said, and how long the end took."""

    exit_code: int
    took_s: float
    killed: bool


@dataclass(slots=True)
class PodRun:
    """A pod on this node. `run` returns once it has ended."""

    pod: Object
    sandbox: Sandbox
    report: Report
    log: Path
    restarts: int = 0
    ended: Ended | None = None
    most_memory: int = 0
    process: Process | None = None
    ready_after_s: float = 0.0
    _started: bool = False
    _ready: bool = False
    _wake: threading.Event = field(default_factory=threading.Event)
    _grace_s: float | None = None

    def delete(self, grace_s: float) -> None:
        """The API server wants it gone."""
        self._grace_s = grace_s
        self._wake.set()

    def run(self) -> None:
        spec = self.pod["spec"]
        if missing := self._missing_images():
            self.report(self._status("Pending", {"waiting": {"reason": "ErrImageNeverPull", "message": missing}}))
            self._wake.wait()
            return
        self.sandbox.open()
        try:
            for container in spec.get("initContainers", ()):
                self._run_to_end(container)
            self._say("Running")
            while self._grace_s is None:
                self._live(spec["containers"][0])
                self._back_off()
        finally:
            self.sandbox.close()

    def _missing_images(self) -> str:
        containers = (*self.pod["spec"].get("initContainers", ()), *self.pod["spec"]["containers"])
        return ", ".join(c["image"] for c in containers if c["image"] not in self.sandbox.images)

    def _run_to_end(self, container: Object) -> None:
        process = self.sandbox.start(self.pod["spec"], container, self.log)
        code = process.popen.wait()
        process.limits.leave()
        if code:
            raise RuntimeError(f"{container['name']} ended with {code}: {self.log.read_text()[-1000:]}")

    def _live(self, container: Object) -> None:
        """One start of the container to its end."""
        self._started = self._ready = False
        self.ended = None
        self._wake.clear()
        begun = time.monotonic()
        self.process = process = self.sandbox.start(self.pod["spec"], container, self.log)
        threading.Thread(target=self._wake_at_exit, args=(process,), daemon=True).start()
        self._probe(container, process, begun)
        if process.popen.poll() is None:
            self._end(container, process, self._grace_left())
        else:
            self.ended = Ended(process.popen.returncode, 0.0, killed=False)
        if self._grace_s is None:
            self.restarts += 1
        self.most_memory = max(self.most_memory, process.limits.most_memory())
        process.limits.leave()
        self._started = self._ready = False
        self._say("Running" if self._grace_s is None else "Succeeded")

    def _back_off(self) -> None:
        """The first restart is at once; before each after it twice as long goes by, from 10 s to 300 s."""
        self._wake.clear()
        if self.restarts > 1 and self._grace_s is None:
            self._wake.wait(min(300.0, 10.0 * 2 ** (self.restarts - 2)))

    def _probe(self, container: Object, process: Process, begun: float) -> None:
        """Probe until the process ends, a probe fails for good, or the pod is to go."""
        startup, readiness, liveness = (
            Probe(container[f"{name}Probe"]) for name in ("startup", "readiness", "liveness")
        )
        while process.popen.poll() is None and self._grace_s is None:
            waiting = [readiness, liveness] if self._started else [startup]
            probe = min(waiting, key=lambda one: one.due)
            if self._wake.wait(max(0.0, probe.due - time.monotonic())):
                return
            passed = probe.passes(self.sandbox.address)
            if probe is readiness:
                self._set_ready(passed or (self._ready and not probe.failed), begun)
            elif passed and probe is startup:
                self._started = True
            elif probe.failed:
                return

    def _set_ready(self, ready: bool, begun: float) -> None:
        if ready != self._ready:
            self._ready = ready
            self.ready_after_s = self.ready_after_s or time.monotonic() - begun
            self._say("Running")

    def _end(self, container: Object, process: Process, grace_s: float) -> None:
        begun = time.monotonic()
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        killed = False
        try:
            process.popen.wait(pause)
        except subprocess.TimeoutExpired:
            process.signal(signal.SIGTERM)
        try:
            process.popen.wait(max(0.0, grace_s - (time.monotonic() - begun)))
        except subprocess.TimeoutExpired:
            killed = True
            process.kill()
        self.ended = Ended(process.popen.returncode, time.monotonic() - begun, killed)

    def _grace_left(self) -> float:
        """What the API server granted, or for a restart what the pod asks for."""
        return float(self.pod["spec"]["terminationGracePeriodSeconds"] if self._grace_s is None else self._grace_s)

    def _wake_at_exit(self, process: Process) -> None:
        process.popen.wait()
        self._wake.set()

    def _say(self, phase: str) -> None:
        self.report(self._status(phase))

    def _status(self, phase: str, state: Object | None = None) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        running = phase == "Running"
        ready = "True" if running and self._ready else "False"
        conditions = {"PodScheduled": "True", "Initialized": "True", "ContainersReady": ready, "Ready": ready}
        code = self.ended.exit_code if self.ended else 0
        terminated = {"terminated": {"exitCode": code}}
        if state is None:
            state = {"running": {"startedAt": now}} if running else terminated
        container = self.pod["spec"]["containers"][0]
        return {
            # A pod whose container is started again runs on, whatever it ended with.
            "phase": "Failed" if code and phase == "Succeeded" else phase,
            "podIP": self.sandbox.address,
            "podIPs": [{"ip": self.sandbox.address}],
            "conditions": [{"type": t, "status": value, "lastTransitionTime": now} for t, value in conditions.items()],
            "containerStatuses": [{
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": ready == "True", "started": self._started, "restartCount": self.restarts, "state": state,
                "lastState": terminated if running and self.ended else {},
            }],
        }  # fmt: skip
