"""One version of a models folder served here for as long as it is asked: what has no fleet can be asked all the same.

The service that fits the version's task runs as a child on a free port, over a folder that holds this version alone,
so that it is this one that answers, whatever else there is.
"""

import asyncio
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml
from google.protobuf import json_format

from argosy.v1.manifest_pb2 import ModelManifest
from argosy_cli.child import Child
from argosy_cli.errors import CliError, misuse
from argosy_cli.logs import plain_line
from argosy_cli.programs import LOOPBACK, Listening, service_command
from argosy_cli.questions import verb_for
from argosy_cli.signals import Ending

Result = TypeVar("Result")

_ANY_PORT = f"{LOOPBACK}:0"


def with_version(models_dir: Path, model: str, version: str, work: Callable[[str], Result]) -> Result:
    """What `work` makes of the service's address. '' is the newest version. Raises CliError, at a signal to end too."""
    folder = _version_folder(models_dir, model, version)
    kind = verb_for(_manifest(folder)).service
    with tempfile.TemporaryDirectory(prefix="argosy-") as alone:
        (Path(alone) / model).mkdir()
        (Path(alone) / model / folder.name).symlink_to(folder.resolve())
        try:
            return asyncio.run(_served(kind, Path(alone), model, work))
        except asyncio.CancelledError:
            raise CliError("interrupted; the service that was started has ended", exit_code=130) from None


def _version_folder(models_dir: Path, model: str, version: str) -> Path:
    found = [path for path in models_dir.glob("*/*") if path.parent.name == model and path.name.isdecimal()]
    chosen = [path for path in found if version in ("", path.name)]
    if not chosen:
        raise misuse(f"{models_dir} does not have '{model}'" + (f" version {version}" if version else ""))
    return max(chosen, key=lambda path: int(path.name))


def _manifest(folder: Path) -> ModelManifest:
    try:
        text = (folder / "model.yaml").read_text(encoding="utf-8")
        return json_format.ParseDict(yaml.safe_load(text) or {}, ModelManifest())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, json_format.ParseError, AttributeError, TypeError):
        raise CliError(f"{folder} has no model.yaml that can be read") from None


def manifest_on_disk(models_dir: Path, model: str, version: str) -> ModelManifest:
    """What a version of a folder is, without serving it. Raises CliError."""
    return _manifest(_version_folder(models_dir, model, version))


async def _served(kind: str, models_dir: Path, model: str, work: Callable[[str], Result]) -> Result:
    def command(at: Listening) -> list[str]:
        return service_command(
            kind,
            address=at.address,
            metrics_address=at.metrics_address,
            models_dir=models_dir,
            models=[model],
            config=None,
        )

    said: list[str] = []
    child = Child(
        kind, command, Listening(_ANY_PORT, _ANY_PORT), lambda _, line: said.append(line), lambda *_: said.clear()
    )
    ending = Ending(child.kill)
    try:
        listening = await child.start()
        await child.logged("loaded")
        if refusal := next((line for line in said if "version refused" in line), ""):
            raise CliError(f"the service does not load it: {plain_line(refusal)}")
        return await asyncio.to_thread(work, listening.address)
    finally:
        ending.begin()
        await child.drain()
        # Whatever `work` still does ends as any other program.
        signal.signal(signal.SIGINT, signal.default_int_handler)
