"""A Service's cluster address, carried by connections: what kube-proxy does for callers of the router.

Each new connection goes to one of the endpoints that are ready at that moment, in turns; an open one stays where it is,
whatever becomes of the endpoint. Bytes are passed on unread. Only TCP, and one port, are here: callers use no other.
"""

import itertools
import socket
import subprocess
import threading
from contextlib import suppress

from k8s.testing.api import Api
from k8s.testing.dns import ClusterDns

_BACKLOG = 128
_CHUNK_BYTES = 65536


class ClusterAddress:
    """Listens at the cluster address of a Service, which this machine gets. Raises ApiError, OSError."""

    def __init__(self, api: Api, dns: ClusterDns, namespace: str, service: str, port: int) -> None:
        self._dns, self._name, self._port = dns, f"{service}.{namespace}", port
        self.address: str = api.get(f"/api/v1/namespaces/{namespace}/services/{service}")["spec"]["clusterIP"]
        command = ["ip", "address", "add", f"{self.address}/32", "dev", "lo"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)  # noqa: S603 - the address is the cluster's
        self._turn = itertools.count()
        self._socket = socket.create_server((self.address, port), backlog=_BACKLOG)
        self._server = threading.Thread(target=self._serve, name=f"address of {service}", daemon=True)
        self._server.start()

    def close(self) -> None:
        """Afterwards nobody is let in; who is in stays."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._server.join()
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        endpoints = self._dns.ready(self._name)
        if not endpoints:
            caller.close()
            return
        try:
            endpoint = socket.create_connection((endpoints[next(self._turn) % len(endpoints)], self._port))
        except OSError:
            caller.close()
            return
        threading.Thread(target=_pass_on, args=(endpoint, caller), daemon=True).start()
        _pass_on(caller, endpoint)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends; then the target is told that nothing more comes."""
    with suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
