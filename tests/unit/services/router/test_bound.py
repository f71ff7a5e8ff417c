"""What the router announces of where it listens: addresses that a client takes as they stand."""

import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.router.admin import EnvoyAdmin
from services.router.http_server import HttpServer
from services.runtime.addresses import split_address


async def no_stats() -> str:
    return ""


async def bound_as_told_by_envoy(path: Path, host: str) -> str:
    """What becomes of an answer of Envoy's that says this host."""
    local = {"socket_address": {"address": host, "port_value": 8500}}
    body = json.dumps({"listener_statuses": [{"name": "public", "local_address": local}]})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        return await EnvoyAdmin(path).bound_address("public")


@pytest.mark.parametrize(("host", "announced"), [("127.0.0.1", "127.0.0.1:8500"), ("::1", "[::1]:8500")])
def test_where_envoy_listens_has_the_brackets_of_ipv6(tmp_path: Path, host: str, announced: str) -> None:
    assert asyncio.run(bound_as_told_by_envoy(tmp_path / "admin.sock", host)) == announced


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_where_metrics_are_has_the_brackets_of_ipv6(host: str) -> None:
    async def announced() -> str:
        server = HttpServer(CollectorRegistry(), no_stats)
        bound = await server.start(f"{host}:0")
        await server.stop()
        return bound

    bound = asyncio.run(announced())
    assert bound == f"{host}:{split_address(bound)[1]}"
