"""The cluster's DNS for headless Services: the ready addresses of their EndpointSlices, as the API server tells them.

It answers A questions for NAME.NAMESPACE.svc.cluster.local over UDP, and goes on giving an answer for the five seconds
that it was given for, as CoreDNS's cache does: who resolves must bear answers that old. Cluster addresses, SRV, TCP and
IPv6 are not here: nothing in the fleet asks for them.
"""

import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from k8s.testing.api import Api, Object

ADDRESS = "10.96.0.10"
TTL_S = 5
DOMAIN = "svc.cluster.local"
_PORT = 53
_A, _NO_ERROR, _NO_NAME = 1, 0, 3
_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
_FOR_EVER_S = 3600.0


class ClusterDns:
    """A DNS server at `ADDRESS`, which this machine must have. Raises OSError where it does not."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._records: Mapping[str, tuple[str, ...]] = {}
        self._given: dict[str, tuple[float, tuple[str, ...] | None]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, _PORT))
        self._server = threading.Thread(target=self._serve, name="dns", daemon=True)
        self._server.start()
        threading.Thread(target=self._follow, name="dns records", daemon=True).start()

    def close(self) -> None:
        """Afterwards the port is free."""
        # The kernel says that it was not connected, and wakes who waits for a question.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._server.join()
        self._socket.close()

    def ready(self, name: str) -> tuple[str, ...]:
        """The ready addresses of SERVICE.NAMESPACE now, whatever was answered before."""
        return self._records.get(f"{name}.{DOMAIN}", ())

    def _follow(self) -> None:
        # Until the API server ends.
        with suppress(ConnectionError):
            for slices in self._api.changes(_SLICES, time.monotonic() + _FOR_EVER_S):
                self._records = ready_addresses(slices)

    def _serve(self) -> None:
        # After the shutdown there are only empty ones.
        while (received := self._socket.recvfrom(512))[0]:
            question, asker = received
            with suppress(OSError):
                self._socket.sendto(self._answer(question), asker)

    def _answer(self, question: bytes) -> bytes:
        name, kind, end = _parse(question)
        addresses = self._lookup(name)
        found = addresses or () if kind == _A else ()
        flags = 0x8580 | (_NO_NAME if addresses is None else _NO_ERROR)
        header = question[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        # 0xc00c: the name stands in the question.
        records = (struct.pack("!HHHIH", 0xC00C, _A, 1, TTL_S, 4) + socket.inet_aton(one) for one in found)
        return header + question[12:end] + b"".join(records)

    def _lookup(self, name: str) -> tuple[str, ...] | None:
        now = time.monotonic()
        until, addresses = self._given.get(name, (0.0, None))
        if until < now:
            addresses = self._records.get(name)
            self._given[name] = (now + TTL_S, addresses)
        return addresses


def ready_addresses(slices: list[Object]) -> dict[str, tuple[str, ...]]:
    """Name -> the addresses of its ready endpoints; a name without one is left out, as CoreDNS answers NXDOMAIN."""
    found: dict[str, list[str]] = {}
    for piece in slices:
        metadata = piece["metadata"]
        service = metadata.get("labels", {}).get("kubernetes.io/service-name")
        name = f"{service}.{metadata['namespace']}.{DOMAIN}"
        for endpoint in piece.get("endpoints") or ():
            if endpoint["conditions"].get("ready"):
                found.setdefault(name, []).extend(endpoint["addresses"])
    return {name: tuple(sorted(addresses)) for name, addresses in found.items()}


def _parse(question: bytes) -> tuple[str, int, int]:
    """The name asked for, the record's type, and where the question ends. RFC 1035, section 4.1."""
    labels: list[str] = []
    at = 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii").lower())
        at += length + 1
    return ".".join(labels), int.from_bytes(question[at + 1 : at + 3], "big"), at + 5
