"""A node that runs what is placed on it: the kubelet's part, for the fleet's own processes.

It registers, keeps its lease, watches the pods that the scheduler gives it and leads each one's life (`pod.py`), so the
endpoints that the API server publishes are those of processes that answered their probes.
"""

import itertools
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from k8s.testing.api import Api, ApiError, Object
from k8s.testing.control_plane import node_object
from k8s.testing.images import Image
from k8s.testing.pod import PodRun
from k8s.testing.sandbox import Sandbox
from k8s.testing.volumes import Volumes

_ZONE = "zone-m"
_LEASE_S = 5.0
_END_LIMIT_S = 60.0
_FOR_EVER_S = 3600.0
_PODS = "/api/v1/pods"
_numbers = itertools.count()
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Node:
    """A node; `images` are those that it has by name, `models` is what the claims of models hold.

    In `folder` lie its pods' files and logs.
    """

    def __init__(
        self, api: Api, name: str, capacity: Object, *, images: Mapping[str, Image], models: Path, folder: Path
    ) -> None:
        self._api = api
        self.name = name
        self._node = node_object(name, _ZONE, capacity)
        self._images = images
        self._models = models
        self._folder = folder
        self._number = next(_numbers)
        self._addresses = (f"10.244.{self._number}.{host}" for host in itertools.count(2))
        self._stop = threading.Event()
        self._lease = threading.Thread(target=self._keep_lease, name=f"lease of {name}", daemon=True)
        self._threads: list[threading.Thread] = []
        self.runs: dict[str, PodRun] = {}

    def start(self) -> None:
        """Register and take pods."""
        self._api.create("/api/v1/nodes", self._node)
        self._say_ready()
        self._lease.start()
        threading.Thread(target=self._follow, name=f"pods of {self.name}", daemon=True).start()

    def stop(self) -> None:
        """End every pod at once, and give the lease back: the next node of this name has one of its own."""
        self._stop.set()
        for run in list(self.runs.values()):
            run.delete(0)
        for thread in (self._lease, *self._threads):
            thread.join(_END_LIMIT_S)

    def _say_ready(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "reason": "Tests", "message": "runs processes",
                 "lastHeartbeatTime": now, "lastTransitionTime": now}  # fmt: skip
        self._api.patch(f"/api/v1/nodes/{self.name}/status", {"status": {"conditions": [ready]}}, "strategic-merge")

    def _keep_lease(self) -> None:
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self.name}}
        # With a time from the start: the controllers never notice the renewals of a lease that began without one.
        held = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": _micro_time()}
        self._api.create(_LEASES, {**lease, "spec": held})
        while not self._stop.wait(_LEASE_S):
            self._api.patch(f"{_LEASES}/{self.name}", {"spec": {"renewTime": _micro_time()}})
        self._api.delete(f"{_LEASES}/{self.name}")

    def _follow(self) -> None:
        # Until the API server ends.
        with suppress(ConnectionError):
            for pods in self._api.changes(_PODS, time.monotonic() + _FOR_EVER_S):
                for pod in pods:
                    if pod["spec"].get("nodeName") == self.name and not self._stop.is_set():
                        self._see(pod)

    def _see(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self.runs:
            self.runs[uid] = self._run_of(pod)
            thread = threading.Thread(target=self._lead, args=(uid, pod), name=pod["metadata"]["name"], daemon=True)
            self._threads.append(thread)
            thread.start()
        if "deletionTimestamp" in pod["metadata"]:
            self.runs[uid].delete(pod["metadata"]["deletionGracePeriodSeconds"])

    def _run_of(self, pod: Object) -> PodRun:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        folder = self._folder / name
        folder.mkdir()
        volumes = Volumes(self._api, namespace, folder, self._models)
        mounts = {volume["name"]: volumes.make(volume) for volume in pod["spec"]["volumes"]}
        sandbox = Sandbox(
            f"p{self._number}-{len(self.runs)}", next(self._addresses), folder, namespace, mounts, self._images
        )
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"

        def report(status: Object) -> None:
            try:
                self._api.patch(f"{path}/status", {"status": status})
            except ApiError as error:
                if error.code != 404:
                    raise

        return PodRun(pod, sandbox, report, self._folder / f"{name}.log")

    def _lead(self, uid: str, pod: Object) -> None:
        self.runs[uid].run()
        metadata = pod["metadata"]
        try:
            self._api.delete(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", grace_s=0)
        except ApiError as error:
            if error.code != 404:
                raise


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
