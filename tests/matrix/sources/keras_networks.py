"""Keras classes of a user's own: what a saved file names and cannot bring along."""

import keras
from keras import layers


@keras.saving.register_keras_serializable("matrix")
class TwoPaths(keras.Model):
    """A subclassed model: a wide path and a deep one, added."""

    def __init__(self, classes: int, **options: object) -> None:
        super().__init__(**options)
        self.classes = classes
        self.wide = layers.Dense(classes)
        self.deep = layers.Dense(8, "relu")
        self.last = layers.Dense(classes)

    def call(self, rows: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.softmax(self.wide(rows) + self.last(self.deep(rows)))

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "classes": self.classes}


class Scaled(layers.Layer):
    """A layer that no file can be read back with unless its class is known."""

    def call(self, rows: keras.KerasTensor) -> keras.KerasTensor:
        return rows * 0.5
