"""exporter.yaml: the environments that conversions run in.

```yaml
environments:
  keras: keras-2/.venv              # a virtual environment, or an interpreter; relative to this file
  pytorch: /opt/torch/bin/python3
```
Frameworks that cannot be installed beside each other, or beside Argosy, get a virtual environment each. What is not
named converts in the environment that exports. Whether there is such an interpreter is asked when it is needed.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from exporter.errors import SettingsError
from exporter.sniff import FRAMEWORKS

DEFAULT_FILE = Path("exporter.yaml")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    environments: Mapping[str, Path] = {}


def read_environments(path: Path | None) -> Mapping[str, str]:
    """Framework -> the interpreter that converts its models, by `path`; without one, by exporter.yaml, if it is where
    the command was given. Raises SettingsError.
    """
    if path is None and not DEFAULT_FILE.is_file():
        return {}
    path = path or DEFAULT_FILE
    try:
        read = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no YAML: {' '.join(str(error).split())[:200]}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{path}: {f'{where}: ' if where else ''}{first['msg']}") from None
    for name in read.environments:
        if name not in FRAMEWORKS:
            raise SettingsError(f"{path}: environments.{name}: expected a framework, one of {', '.join(FRAMEWORKS)}")
    return {name: _interpreter(path.parent / place) for name, place in read.environments.items()}


def _interpreter(place: Path) -> str:
    """Of a virtual environment's folder, its python."""
    return str((place / "bin" / "python" if place.is_dir() else place).absolute())
