"""What a case leaves on disk: the source model, its rows and answers, the exporter's order, what was published.

One folder a case. The maker's process writes it; the exporter's process is started in it; the judge reads it. So no
process but the maker's needs the framework, and whatever went wrong can be looked at afterwards.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from google.protobuf import json_format

from tests.matrix.case import Made, Rows

_GROUP_END = "|"


@dataclass(frozen=True, slots=True)
class CaseFolder:
    """The paths of one case."""

    path: Path

    @property
    def is_made(self) -> bool:
        return self._order.is_file()

    @property
    def models(self) -> Path:
        return self.path / "models"

    def write(self, made: Made, name: str) -> None:
        """Everything that the exporter and the judge need. The order comes last: with it the folder is complete."""
        mapping = json_format.MessageToDict(made.description, preserving_proto_field_name=True)
        (self.path / "describe.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False))
        _save(self.path / "fresh.npz", made.fresh.items())
        _save(self.path / "answers.npz", ((group, made.answer(rows)) for group, rows in made.fresh.items()))
        arguments = [made.given, "--name", name, "--describe", "describe.yaml", *made.flags]
        if made.samples:
            np.savez(self.path / "samples.npz", **{name: _plain(values) for name, values in made.samples.items()})
            arguments += ["--samples", "samples.npz"]
        self._order.write_text(json.dumps(arguments))

    def order(self) -> list[str]:
        """The arguments of `argosy export`, to be run in this folder."""
        return [str(argument) for argument in json.loads(self._order.read_text())]

    def fresh(self) -> dict[str, dict[str, np.ndarray]]:
        """group -> input -> rows that the exporter has not seen."""
        return _load(self.path / "fresh.npz")

    def answers(self) -> dict[str, dict[str, np.ndarray]]:
        """group -> output -> the source's own answers to them."""
        return _load(self.path / "answers.npz")

    def published(self) -> list[Path]:
        """Every version that the exporter left, whole or not."""
        return sorted(path for path in self.models.glob("*/*") if path.is_dir())

    def mended(self, version: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the manifest of a version says that was mended, and what was guarded against."""
        source = yaml.safe_load((version / "model.yaml").read_text(encoding="utf-8"))["source"]
        return tuple(source.get("remedies", ())), tuple(source.get("guards", ()))

    @property
    def _order(self) -> Path:
        return self.path / "order.json"


def _save(path: Path, groups: Iterable[tuple[str, Rows]]) -> None:
    arrays = {
        f"{group}{_GROUP_END}{name}": _plain(np.asarray(values))
        for group, rows in groups
        for name, values in rows.items()
    }
    np.savez(path, **arrays)


def _load(path: Path) -> dict[str, dict[str, np.ndarray]]:
    groups: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            group, _, name = key.partition(_GROUP_END)
            values = archive[key]
            groups.setdefault(group, {})[name] = values.astype(object) if values.dtype.kind == "U" else values
    return groups


def _plain(values: np.ndarray) -> np.ndarray:
    """Texts as numpy keeps them without a pickle."""
    return values.astype(str) if values.dtype.kind == "O" else values
