"""The volumes of a pod as a kubelet lays them out: what is mounted where, and whether it can be written."""

import base64
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from k8s.testing.api import Api, ApiError, Object

_UNITS = {"": Decimal(1), "m": Decimal("0.001")}
_UNITS |= {f"{letter}i": Decimal(1 << 10 * power) for power, letter in enumerate("KMGTPE", 1)}
_UNITS |= {letter: Decimal(10 ** (3 * power)) for power, letter in enumerate("kMGTPE", 1)}


@dataclass(frozen=True, slots=True)
class Mount:
    """`source` is a folder, or None for a new one in memory of `size` bytes."""

    source: Path | None
    size: int


class Volumes:
    """The volumes of one pod; what is written for them lies in `folder`. Claims and model images are `models`."""

    def __init__(self, api: Api, namespace: str, folder: Path, models: Path) -> None:
        self._maps = f"/api/v1/namespaces/{namespace}/configmaps"
        self._api = api
        self._folder = folder
        self._models = models

    def make(self, volume: Object) -> Mount:
        """Raises ApiError for a ConfigMap that is missing and not optional, ValueError for a kind not known here."""
        folder = self._folder / volume["name"]
        if "emptyDir" in volume:
            # On disk, so that an init container's work is there for the container after it.
            folder.mkdir(mode=0o777)
            folder.chmod(0o777)
            return Mount(folder, quantity(volume["emptyDir"]["sizeLimit"]))
        if "configMap" in volume:
            return Mount(_written(folder, self._files(volume["configMap"])), 0)
        if "projected" in volume:
            files = [self._files(source["configMap"]) for source in volume["projected"]["sources"]]
            return Mount(_written(folder, {path: data for part in files for path, data in part.items()}), 0)
        if "persistentVolumeClaim" in volume:
            return Mount(self._models, 0)
        raise ValueError(f"no volume of this kind here: {volume}")

    def _files(self, source: Object) -> dict[str, bytes]:
        """Path in the volume -> content."""
        try:
            found = self._api.get(f"{self._maps}/{source['name']}")
        except ApiError as error:
            if error.code == 404 and source.get("optional"):
                return {}
            raise
        data = {name: text.encode() for name, text in found.get("data", {}).items()}
        data |= {name: base64.b64decode(text) for name, text in found.get("binaryData", {}).items()}
        items = source.get("items") or [{"key": name, "path": name} for name in data]
        return {item["path"]: data[item["key"]] for item in items if item["key"] in data}


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    """The files below a folder that one link names, as kubelets write them: all of a version are seen, or none."""
    version = folder / "..1"
    version.mkdir(parents=True)
    for path, data in files.items():
        (version / path).parent.mkdir(parents=True, exist_ok=True)
        (version / path).write_bytes(data)
    (folder / "..data").symlink_to(version.name)
    for entry in version.iterdir():
        (folder / entry.name).symlink_to(f"..data/{entry.name}")
    return folder


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity, such as 256Mi or 0.5Gi; a part of one is one. Raises ValueError."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)([A-Za-z]*)", text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"no quantity: '{text}'")
    return math.ceil(Decimal(found[1]) * _UNITS[found[2]])


def cpu_quota_us(text: str) -> int:
    """CPU time in 100 ms of a Kubernetes quantity, such as 500m or 2."""
    millis = int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)
    return millis * 100
