"""What the front is told of a version, and when others hear of it."""

from argosy.v1.model_pb2 import ModelState
from services.runtime.entries import LOADING, READY, REFUSED, Entry
from services.runtime.errors import ServingError
from services.runtime.model_table import ModelTable


class Told:
    """A front that only notes, in order, what it is told, and which state of version 1 could be heard by then."""

    def __init__(self) -> None:
        self.table = ModelTable(self, self.others)  # type: ignore[arg-type]  # as much of a front as a table needs
        self.notes: list[tuple[str, object, str]] = []

    def set_unready(self, model: str, version: str, error: ServingError | None) -> None:
        self._note(f"error of '{version}'", error and error.reason)

    def set_default_version(self, model: str, version: str | None) -> None:
        self._note("default", version)

    def set_serving(self, name: str, serving: bool) -> None:
        self._note("serving", serving)

    def others(self) -> None:
        self._note("others", None)

    def _note(self, what: str, value: object) -> None:
        state = next((status.state for status in self.table.statuses() if status.version == "1"), 0)
        self.notes.append((what, value, ModelState.Name(state).removeprefix("MODEL_STATE_")))


def test_the_front_answers_before_anybody_can_hear_that_a_version_is_ready() -> None:
    told = Told()
    told.table.put("tiny", "1", Entry(LOADING))
    told.notes.clear()
    told.table.put("tiny", "1", Entry(READY))
    assert told.notes == [
        ("error of '1'", None, "LOADING"),
        ("error of ''", None, "LOADING"),
        ("default", "1", "LOADING"),
        ("serving", True, "LOADING"),
        ("others", None, "READY"),
    ]


def test_the_first_version_that_is_ready_answers_by_default_until_another_is_to() -> None:
    table = Told().table
    table.put("tiny", "1", Entry(READY))
    table.put("tiny", "2", Entry(READY))
    assert [s.version for s in table.statuses() if s.default_version] == ["1"]
    table.make_default("tiny", "2")
    assert [s.version for s in table.statuses() if s.default_version] == ["2"]
    table.put("tiny", "2", Entry(REFUSED))
    assert [s.version for s in table.statuses() if s.default_version] == ["1"]
