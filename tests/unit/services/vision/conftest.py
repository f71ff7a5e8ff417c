"""What Pillow's decoders were asked for."""

import pytest
from PIL import ImageFile


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes of the pictures whose pixels were decoded, in that order."""
    sizes: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def noted(file: ImageFile.ImageFile) -> object:
        sizes.append(file.size)
        return load(file)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    return sizes
