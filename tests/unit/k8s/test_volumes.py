"""Kubernetes' quantities as the pods' volumes and limits read them."""

import pytest

from k8s.testing.volumes import quantity


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256Mi", 256 << 20),
        ("0.5Gi", 512 << 20),
        (".5k", 500),
        ("1Ti", 1 << 40),
        ("2Pi", 2 << 50),
        ("1E", 10**18),
        ("1500m", 2),
        ("7", 7),
    ],
)
def test_a_quantity_is_bytes(text: str, size: int) -> None:
    assert quantity(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "1Zi", "1.5.0Gi", "-1Mi"])
def test_what_is_no_quantity_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"no quantity: '{text}'"):
        quantity(text)
