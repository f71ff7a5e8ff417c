"""Files that a service is not to fall over."""

from collections.abc import Callable
from pathlib import Path

import pytest

# What PyYAML's constructors and its recursion do not tell of by a YAMLError.
ODD_YAML = (
    "instances: 2024-02-30",
    "instances: 0b_",
    "instances: !!int ''",
    "instances: !!bool maybe",
    "instances: !!timestamp noon",
    "[" * 1000,
)


def not_allowed(monkeypatch: pytest.MonkeyPatch, method: str, path: Path) -> None:
    """Have a method of pathlib.Path raise PermissionError for `path`; root, as who tests may run, is never refused."""
    real: Callable[..., object] = getattr(Path, method)

    def refused(self: Path, *arguments: object, **options: object) -> object:
        if self == path:
            raise PermissionError
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, method, refused)
