"""`digits-functional`: what Sequential cannot say, in Keras' functional API: two branches and a residual, on MNIST."""

import keras
from keras import KerasTensor, layers

from training import mnist
from training.reference import Exported, Workspace

EPOCHS = 2
SEED = 11


def export(workspace: Workspace) -> Exported:
    """Train on 60,000 digits, test on 10,000."""
    keras.utils.set_random_seed(SEED)
    data = mnist.load(workspace)
    model = network()
    mnist.fit(model, data, EPOCHS, workspace)
    description = "Which digit a handwritten one is: two branches and a residual (Keras functional API), on MNIST."
    return mnist.export_classifier("digits-functional", description, model, data, workspace)


def network() -> keras.Model:
    """[N, 28, 28, 1] -> [N, 10]: fine and coarse strokes side by side, a residual block, global pooling."""
    image = keras.Input((mnist.SIDE, mnist.SIDE, 1))
    fine = layers.MaxPooling2D()(_convolution(image, 8, 3))
    coarse = _convolution(image, 8, 5, strides=2)
    joined = layers.Concatenate()([fine, coarse])
    residual = layers.Add()([joined, _convolution(_convolution(joined, 16, 3), 16, 3)])
    deep = _convolution(layers.MaxPooling2D()(residual), 48, 3)
    pooled = layers.Dropout(0.2)(layers.Flatten()(layers.MaxPooling2D()(deep)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(pooled))


def _convolution(values: KerasTensor, filters: int, size: int, strides: int = 1) -> KerasTensor:
    """Convolution without bias, normalised, rectified: He et al. 2015, §3.4."""
    convolved = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(values)
    return layers.ReLU()(layers.BatchNormalization()(convolved))
