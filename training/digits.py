"""`digits`: a small convolutional network on MNIST, written as a Keras Sequential."""

import keras
from keras import layers

from training import mnist
from training.reference import Exported, Workspace

EPOCHS = 4
SEED = 7


def export(workspace: Workspace) -> Exported:
    """Train on 60,000 digits, test on 10,000. At least 98.5 % of them are right, or the training is not as it was."""
    keras.utils.set_random_seed(SEED)
    data = mnist.load(workspace)
    model = network()
    mnist.fit(model, data, EPOCHS, workspace)
    description = "Which digit a handwritten one is: a convolutional network (Keras Sequential) trained on MNIST."
    return mnist.export_classifier("digits", description, model, data, workspace)


def network() -> keras.Model:
    """[N, 28, 28, 1] -> [N, 10]: two convolutions with batch normalisation and pooling, dropout, a dense softmax."""
    return keras.Sequential(
        [
            keras.Input((mnist.SIDE, mnist.SIDE, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
