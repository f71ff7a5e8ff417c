"""A table model's own Predict, with a field a column: the same rows and the same answers as TabularService/Predict.

The messages are made of the manifest (`stubs/table.py`), as the .proto that `argosy stub` writes. A field that the
model does not have is refused, as a column by a wrong name is: the caller's stub is of another version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.protobuf.unknown_fields import UnknownFieldSet

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.tabular_pb2 import RowPrediction
from services.runtime.errors import ServingError, invalid_input
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.tabular.predict import Predict
from services.tabular.rows import TableRequest
from stubs.names import StubError
from stubs.table import ROWS_FIELD, TableStub, class_number, path_of, table_stub


@dataclass(frozen=True, slots=True)
class OwnPredict:
    """Predict of one model-version by its own messages."""

    untyped: Predict
    stub: TableStub
    request: type[Message]
    response: type[Message]
    route: TypedRoute

    def decode(self, message: bytes) -> TableRequest:
        """Raises ServingError (INVALID_INPUT) that names row and column of the first bad cell."""
        rows: Sequence[Message] = getattr(parse(self.request, message), self.route.rows_name)
        return self.untyped.reader.read([self._struct(row, place) for place, row in enumerate(rows)])

    def collate(self, requests: Sequence[TableRequest]) -> dict[str, Array]:
        return self.untyped.collate(requests)

    def row_lengths(self, requests: Sequence[TableRequest]) -> tuple[int, ...]:
        return self.untyped.row_lengths(requests)

    def encode(self, request: TableRequest, outputs: Mapping[str, Array]) -> bytes:
        """Scores [rows, classes] or numbers to the model's own response."""
        reply = self.response(model=self.untyped.model, version=self.untyped.version)
        results = getattr(reply, "results")  # noqa: B009 - the message is made at run time, no type has its fields
        for answered in self.untyped.results(request, outputs):
            self._fill(results.add(), answered)
        return reply.SerializeToString()

    def _struct(self, row: Message, place: int) -> Struct:
        unknown = UnknownFieldSet(row)
        if len(unknown):
            raise _unknown_field(place, unknown[0].field_number)
        struct = Struct()
        given = (name for name in self.stub.columns.items() if row.HasField(name[1]))
        struct.update({column: getattr(row, field) for column, field in given})
        return struct

    def _fill(self, result: Message, answered: RowPrediction) -> None:
        fields: Mapping[str, object] = {
            "imputed_columns": list(answered.imputed_columns),
            "likeliest": self._number(answered.categories[0].label) if answered.categories else 0,
            "scores": [
                {"label": self._number(category.label), "probability": category.score}
                for category in answered.categories
            ],
            **{self.stub.values[quantity.name]: quantity.value for quantity in answered.quantities},
        }
        known = result.DESCRIPTOR.fields_by_name
        result.MergeFrom(type(result)(**{name: value for name, value in fields.items() if name in known}))

    def _number(self, label: str) -> int:
        return class_number(label) if label in self.stub.classes else 0


def typed_predict(manifest: ModelManifest, predict: Predict) -> tuple[OwnPredict, ...]:
    """The model's own Predict; none where no stub can be made of its manifest."""
    try:
        stub = table_stub(manifest)
    except StubError:
        return ()
    pool = DescriptorPool()
    pool.Add(stub.file())
    request, response = (
        GetMessageClass(pool.FindMessageTypeByName(f"{stub.package}.{name}"))
        for name in (stub.request_name, stub.response_name)
    )
    return (OwnPredict(predict, stub, request, response, own_routes(manifest.name)[0]),)


def own_routes(model: str) -> tuple[TypedRoute, ...]:
    """Where the own Predict of a model of this name is."""
    return (TypedRoute(path_of(model), ROWS_FIELD, "rows"),)


def _unknown_field(place: int, number: int) -> ServingError:
    message = f"rows[{place}]: the model has no column of field number {number}: make the stub anew (argosy stub)"
    return invalid_input(message, f"rows[{place}]", "UNKNOWN_COLUMN")
