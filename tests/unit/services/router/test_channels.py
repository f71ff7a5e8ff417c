"""Channels on their event loop, to real servers; each test is one small asynchronous story."""

import asyncio

import grpc
import grpc.aio
from h2.config import H2Configuration
from h2.connection import H2Connection

from services.router.channels import Channels
from services.router.fleet import Fleet
from services.router.watch import ServiceWatch

GONE = grpc.ChannelConnectivity.SHUTDOWN


class Patient(grpc.GenericRpcHandler):
    """Answers every method once it may."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, message: bytes, _context: object) -> bytes:
        self.asked.set()
        await self.may_answer.wait()
        return message


def test_only_the_channels_to_the_named_addresses_stay() -> None:
    async def story() -> None:
        channels = Channels()
        kept, other = channels.to("127.0.0.1:1"), channels.to("127.0.0.1:2")
        channels.keep_only(["127.0.0.1:1"])
        await _closed(other)
        assert channels.to("127.0.0.1:1") is kept
        assert kept.get_state() is not GONE
        await channels.close()
        assert kept.get_state() is GONE

    asyncio.run(story())


def test_a_call_that_is_under_way_ends_before_its_channel_is_closed() -> None:
    async def story() -> None:
        patient = Patient()
        server = grpc.aio.server(handlers=[patient])
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        channels = Channels()
        channel = channels.to(address)
        call = channel.unary_unary("/any/Method")(b"load", timeout=10)
        await patient.asked.wait()
        channels.keep_only(())
        patient.may_answer.set()
        assert await call == b"load"
        await _closed(channel)
        await server.stop(0)

    asyncio.run(story())


def test_an_endpoint_that_is_forgotten_leaves_no_channel_behind() -> None:
    async def story() -> None:
        fleet, channels = Fleet(), Channels()
        addresses = ("127.0.0.1:1", "127.0.0.1:2")
        watching = asyncio.create_task(ServiceWatch("text", fleet, channels).follow(addresses, 1.0))
        async for inventory in fleet.changes():
            if len(inventory.endpoints) == len(addresses):
                break
        opened = {address: channels.to(address) for address in addresses}
        watching.cancel()
        await asyncio.wait([watching])
        ((_, last),) = fleet.inventory.endpoints  # it alone knows which models there were
        for address in set(addresses) - {last}:
            await _closed(opened[address])
        assert opened[last].get_state() is not GONE
        await channels.close()

    asyncio.run(story())


def test_a_channel_to_an_endpoint_that_is_frozen_is_given_up_in_seconds() -> None:
    async def story() -> None:
        frozen = await asyncio.start_server(_greet_and_freeze, "127.0.0.1", 0)
        host, port = frozen.sockets[0].getsockname()
        channels = Channels()
        channel = channels.to(f"{host}:{port}")
        channel.get_state(try_to_connect=True)
        async with asyncio.timeout(30):  # of ten and two; grpcio's own time is 60 and more
            while channel.get_state() is not grpc.ChannelConnectivity.READY:
                await channel.wait_for_state_change(channel.get_state())
            await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        await channels.close()
        frozen.close()

    asyncio.run(story())


async def _greet_and_freeze(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be an HTTP/2 server that has nothing to settle, and answer no more."""
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    writer.write(server.data_to_send())
    await writer.drain()


async def _closed(channel: grpc.aio.Channel) -> None:
    async with asyncio.timeout(10):
        while channel.get_state() is not GONE:
            await asyncio.sleep(0)
