"""The text service: UTF-8 texts in; classes, vectors or tagged tokens out."""
