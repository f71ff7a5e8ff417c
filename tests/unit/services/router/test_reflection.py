"""What the fleet's reflection tells of a model's own service while its replicas have different versions."""

import asyncio
from pathlib import Path

import grpc.aio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.model_pb2 import GetModelRequest, GetModelResponse
from argosy.v1.model_pb2_grpc import ModelServiceServicer, add_ModelServiceServicer_to_server
from services.router.brain import brain_server
from services.router.channels import Channels
from services.router.fleet import Fleet
from services.router.reflection import FleetReflection
from services.runtime.reflection import REFLECTION_METHODS
from stubs.names import package_of
from tests.unit.services.router.builders import endpoint

COLUMNS = {"1": ("age",), "2": ("age", "town")}


class Replica(ModelServiceServicer):
    """Has both versions of `price`; `default` is what it takes for a request that names none."""

    def __init__(self, default: str) -> None:
        self._default = default

    async def GetModel(self, request: GetModelRequest, _context: object) -> GetModelResponse:
        return GetModelResponse(manifest=manifest(request.version or self._default))


def manifest(version: str) -> pb.ModelManifest:
    columns = [
        pb.TableColumn(name=name, kind=pb.COLUMN_KIND_NUMBER, missing=pb.MISSING_POLICY_REJECT)
        for name in COLUMNS[version]
    ]
    return pb.ModelManifest(
        name="price",
        version=version,
        tasks=[pb.TASK_TABULAR_REGRESSION],
        outputs=[pb.TensorSpec(name="price", role=pb.OUTPUT_ROLE_VALUE)],
        table=pb.TablePreprocessing(columns=columns),
    )


async def fields_told(folder: Path, fleet: Fleet) -> set[str]:
    """The names of all fields in the file that the fleet's reflection has for the model."""
    channels = Channels()
    brain = brain_server(str(folder / "brain.sock"), FleetReflection(fleet, channels).handlers(), lambda _: None)
    await brain.start()
    request = ServerReflectionRequest(file_containing_symbol=f"{package_of('price')}.PriceService")
    async with grpc.aio.insecure_channel(f"unix:{folder / 'brain.sock'}") as channel:
        call = channel.stream_stream(REFLECTION_METHODS[0])(iter([request.SerializeToString()]), timeout=10)
        (answer,) = [ServerReflectionResponse.FromString(data) async for data in call]
    await brain.stop(0)
    await channels.close()
    file = FileDescriptorProto.FromString(answer.file_descriptor_response.file_descriptor_proto[0])
    return {field.name for message in file.message_type for field in message.field}


def test_a_model_is_described_in_the_fleets_default_version_whatever_the_replica_takes_for_it(tmp_path: Path) -> None:
    async def story() -> set[str]:
        servers = [grpc.aio.server() for _ in COLUMNS]
        bound = {f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}": server for server in servers}
        fleet = Fleet()
        # The first address, which is asked, is the one that has not gone over.
        for address, default in zip(sorted(bound), COLUMNS, strict=True):
            add_ModelServiceServicer_to_server(Replica(default), bound[address])
            await bound[address].start()
            fleet.put(endpoint(address, *(f"price:{number}{'*' * (number == default)}" for number in COLUMNS)))
        assert fleet.inventory.default_versions() == {"price": "2"}
        told = await fields_told(tmp_path, fleet)
        for server in servers:
            await server.stop(0)
        return told

    assert "town" in asyncio.run(story())
