"""TabularService.Predict: rows in; the classes of each with their probabilities, or its predicted numbers, out.

Where a classifier answers both probabilities and a label, the label is not read: it is the likeliest class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from argosy.v1.tabular_pb2 import Quantity, RowPrediction, TabularServicePredictRequest, TabularServicePredictResponse
from services.runtime.categories import ClassOutput
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.tabular.rows import TableReader, TableRequest

ROUTE = TypedRoute("/argosy.v1.TabularService/Predict", rows_field=3, rows_name="rows")


@dataclass(frozen=True, slots=True)
class ValueOutput:
    """A predicted number, [N] or [N, 1], and its unit."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Predict:
    """Predict of one model-version: classes where there is a class output, numbers where there are value outputs."""

    model: str
    version: str
    reader: TableReader
    classes: ClassOutput | None
    values: tuple[ValueOutput, ...]
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> TableRequest:
        """Raises ServingError (INVALID_INPUT) that names row and column of the first bad cell."""
        return self.reader.read(parse(TabularServicePredictRequest, message).rows)

    def collate(self, requests: Sequence[TableRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[TableRequest]) -> tuple[int, ...]:  # noqa: ARG002  no row is padded
        return ()

    def encode(self, request: TableRequest, outputs: Mapping[str, Array]) -> bytes:
        """Scores [rows, classes] or numbers to a TabularServicePredictResponse."""
        return TabularServicePredictResponse(
            model=self.model, version=self.version, results=self.results(request, outputs)
        ).SerializeToString()

    def results(self, request: TableRequest, outputs: Mapping[str, Array]) -> list[RowPrediction]:
        """One a row."""
        rows = self.classes.every(outputs) if self.classes else [[] for _ in request.imputed]
        return [
            RowPrediction(categories=categories, quantities=self._quantities(row, outputs), imputed_columns=imputed)
            for row, (categories, imputed) in enumerate(zip(rows, request.imputed, strict=True))
        ]

    def _quantities(self, row: int, outputs: Mapping[str, Array]) -> Iterator[Quantity]:
        for output in self.values:
            yield Quantity(name=output.name, value=float(outputs[output.name][row].item()), unit=output.unit)
