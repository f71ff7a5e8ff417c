"""A table model's own Predict, with a field a column: the same rows and the same answers as TabularService/Predict.

A field that the model does not have is refused, as a column by a wrong name is: the stub is of another version.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.unknown_fields import UnknownFieldSet

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.tabular_pb2 import RowPrediction
from services.runtime.errors import ServingError, invalid_input
from services.runtime.messages import parse
from services.runtime.own_method import Fields, OwnMethod, OwnService, ranked
from services.tabular.predict import Predict
from services.tabular.rows import TableReader, TableRequest
from stubs.messages import message_name
from stubs.names import StubError
from stubs.table import METHOD, TableStub, table_stub


@dataclass(frozen=True, slots=True)
class OwnRows:
    """Rows and results of one model by its own messages."""

    stub: TableStub
    reader: TableReader
    request: type[Message]

    def read(self, message: bytes) -> TableRequest:
        """Raises ServingError (INVALID_INPUT) that names row and column of the first bad cell."""
        parsed = parse(self.request, message)
        rows: Sequence[Message] = getattr(parsed, "rows")  # noqa: B009 - made at run time: no type has its fields
        return self.reader.read([self._struct(row, place) for place, row in enumerate(rows)])

    def fields(self, result: RowPrediction) -> Fields:
        values = {self.stub.values[quantity.name]: quantity.value for quantity in result.quantities}
        classes = ranked(self.stub.classes, result.categories) if self.stub.classes and result.categories else {}
        return {"imputed_columns": result.imputed_columns, **classes, **values}

    def _struct(self, row: Message, place: int) -> Struct:
        unknown = UnknownFieldSet(row)
        if len(unknown):
            raise _unknown_field(place, unknown[0].field_number)
        struct = Struct()
        given = (name for name in self.stub.columns.items() if row.HasField(name[1]))
        struct.update({column: getattr(row, field) for column, field in given})
        return struct


def own_predict(manifest: ModelManifest, predict: Predict) -> tuple[OwnMethod[TableRequest, RowPrediction], ...]:
    """The model's own Predict; none where no stub can be made of its manifest."""
    try:
        stub = table_stub(manifest)
    except StubError:
        return ()
    service = OwnService(manifest.name, stub.declaration())
    rows = OwnRows(stub, predict.reader, service.message(message_name(manifest.name, METHOD, "Request")))
    return (service.method(predict, rows.fields, rows.read),)


def _unknown_field(place: int, number: int) -> ServingError:
    message = f"rows[{place}]: the model has no column of field number {number}: make the stub anew (argosy stub)"
    return invalid_input(message, f"rows[{place}]", "UNKNOWN_COLUMN")
