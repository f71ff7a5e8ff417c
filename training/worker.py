"""Trains and publishes one reference model, in a process of its own: `python -m training.worker NAME MODELS CACHE`.

TensorFlow and PyTorch do not share a process well, and a crash of one must not take the others along. What happens is
told on standard output, one line each, beginning with a word of `Says`; whatever the frameworks print is passed over.
An error ends the process in the ordinary way: its last line on standard error says what was wrong.
"""

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import cast

from exporter.publish import next_version, publish
from training.catalog import REFERENCE_MODELS
from training.reference import ReferenceModel, Workspace


class Says(StrEnum):
    """The first word of a line that means something."""

    DOING = "@doing"
    PUBLISHED = "@published"


def train(name: str, models_dir: Path, cache_dir: Path) -> Path:
    """Make the model and publish it under the next free version. Returns the version's folder."""
    module = cast(ReferenceModel, importlib.import_module(REFERENCE_MODELS[name]))
    exported = module.export(Workspace(cache_dir, report=lambda doing: say(Says.DOING, doing)))
    say(Says.DOING, "publishing")
    exported.manifest.version = next_version(models_dir, name)
    return publish(exported.manifest, exported.graph, exported.files, models_dir)


def say(word: Says, text: str) -> None:
    sys.stdout.write(f"{word} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(Says.PUBLISHED, str(train(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
