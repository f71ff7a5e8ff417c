"""The custom metrics API as an adapter serves it, with figures that a test sets; what autoscalers then do is theirs.

Registered with the API server as an aggregated API, which asks it over TLS on the loopback.
"""

import json
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from k8s.testing.api import Api, Object
from k8s.testing.certificates import Pair

_VERSION = "custom.metrics.k8s.io/v1beta2"
_PATH = f"/apis/{_VERSION}"


class CustomMetrics:
    """Figures of pods, by metric: each pod that a question's labels choose has the figure that `figures` gives."""

    def __init__(self, api: Api, pair: Pair) -> None:
        self._api = api
        self.figures: Mapping[str, str] = {}
        metrics = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(metrics.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, name="custom metrics", daemon=True).start()

    def register(self) -> None:
        """Make the API server pass questions on to here. Raises ApiError."""
        service = {"name": "metrics", "namespace": "default"}
        spec = {"type": "ExternalName", "externalName": "localhost"}
        self._api.create(
            "/api/v1/namespaces/default/services",
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"}, "spec": spec},
        )
        group, _, version = _VERSION.partition("/")
        self._api.create("/apis/apiregistration.k8s.io/v1/apiservices", {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100,
                     "insecureSkipTLSVerify": True, "service": {**service, "port": self._server.server_port}},
        })  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> Object:
        """What the API says to a GET of `path`."""
        asked = urlsplit(path)
        parts = asked.path.removeprefix(_PATH).strip("/").split("/")
        if len(parts) != 5:
            resources = [{"name": f"pods/{name}", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
                         for name in self.figures]  # fmt: skip
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _VERSION, "resources": resources}
        _, namespace, _, _, name = parts
        selector = parse_qs(asked.query).get("labelSelector", [""])[0]
        pods = self._api.items(f"/api/v1/namespaces/{namespace}/pods", selector)
        items = [_value(pod, name, self.figures[name]) for pod in pods if name in self.figures]
        return {"kind": "MetricValueList", "apiVersion": _VERSION, "metadata": {}, "items": items}


def _value(pod: Object, name: str, figure: str) -> Object:
    where = {
        "kind": "Pod",
        "apiVersion": "v1",
        "name": pod["metadata"]["name"],
        "namespace": pod["metadata"]["namespace"],
    }
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"describedObject": where, "metric": {"name": name}, "timestamp": now, "value": figure}
