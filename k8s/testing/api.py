"""The Kubernetes API over HTTPS: requests, and waiting by watching.

Whoever waits for the cluster watches a collection and looks at it after every change, so nothing here sleeps. Objects
are the API's JSON as it is: the API server is what checks them. A client library is deliberately not used: this is all
that the tests need of one.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

Object = dict[str, Any]
Result = TypeVar("Result")

_REQUEST_LIMIT_S = 30.0


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status, `reason` and the text its own."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Api:
    """An API server and who asks it."""

    address: str
    authority: Path
    certificate: Path
    key: Path

    def get(self, path: str) -> Object:
        """One object, or a list of them. Raises ApiError."""
        return self.send("GET", path)

    def items(self, path: str, selector: str = "") -> list[Object]:
        """The objects of a collection, by label. Raises ApiError."""
        return list(self.get(f"{path}?{urlencode({'labelSelector': selector})}")["items"])

    def create(self, path: str, item: Object) -> Object:
        return self.send("POST", path, item)

    def delete(self, path: str, grace_s: int | None = None) -> None:
        """Raises ApiError."""
        self.send("DELETE", path, {"gracePeriodSeconds": grace_s} if grace_s is not None else {})

    def patch(self, path: str, change: Object, kind: str = "merge") -> Object:
        """A merge patch, or a strategic-merge one. Raises ApiError."""
        return self.send("PATCH", path, change, f"application/{kind}-patch+json")

    def evict(self, namespace: str, pod: str) -> None:
        """Ask for a pod to go as `kubectl drain` does. Raises ApiError: 429 where its budget does not allow it."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        self.create(f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", body)

    def wait(self, path: str, found: Callable[[list[Object]], Result], timeout_s: float, selector: str = "") -> Result:
        """What `found` makes of the collection, once that is true. Raises TimeoutError with the collection's states."""
        give_up_at = time.monotonic() + timeout_s
        objects: list[Object] = []
        for objects in self.changes(path, give_up_at, selector):
            if result := found(objects):
                return result
        states = {item["metadata"]["name"]: item.get("status") for item in objects}
        raise TimeoutError(f"{path} {selector} after {timeout_s:.0f} s: {json.dumps(states)[:4000]}")

    def changes(self, path: str, give_up_at: float, selector: str = "") -> Iterator[list[Object]]:
        """The collection as it is, then as it is after each change, until `give_up_at` (monotonic)."""
        while (left_s := give_up_at - time.monotonic()) > 0:
            listed = self.get(f"{path}?{urlencode({'labelSelector': selector})}")
            objects = {item["metadata"]["uid"]: item for item in listed["items"]}
            yield list(objects.values())
            for kind, item in self._events(path, selector, listed["metadata"]["resourceVersion"], left_s):
                if kind in {"ERROR", "BOOKMARK"}:
                    break
                objects[item["metadata"]["uid"]] = item
                if kind == "DELETED":
                    del objects[item["metadata"]["uid"]]
                yield list(objects.values())

    def send(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """One request. Raises ApiError."""
        connection = self._connect(_REQUEST_LIMIT_S)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": kind, "Accept": "application/json"})
            response = connection.getresponse()
            return _answer(response.status, response.read())
        finally:
            connection.close()

    def _events(self, path: str, selector: str, version: str, limit_s: float) -> Iterator[tuple[str, Object]]:
        query = {"watch": 1, "resourceVersion": version, "labelSelector": selector, "timeoutSeconds": int(limit_s) + 1}
        connection = self._connect(limit_s + 1)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}")
            response = connection.getresponse()
            if response.status != http.client.OK:
                _answer(response.status, response.read())
            while line := response.readline():
                event = json.loads(line)
                yield event["type"], event["object"]
        except TimeoutError:
            return
        finally:
            connection.close()

    def _connect(self, timeout_s: float) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate, self.key)
        return http.client.HTTPSConnection(self.address, timeout=timeout_s, context=context)


def _answer(status: int, body: bytes) -> Object:
    try:
        answer: Object = json.loads(body)
    except ValueError:
        answer = {"message": body.decode(errors="replace")}
    if status >= http.client.BAD_REQUEST:
        raise ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    return answer
