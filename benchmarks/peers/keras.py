"""Keras 3 `model.fit` with its bar, loss and accuracy, on torch or on JAX."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from peers.task import Array, Predict, Task

NOTE = "default bar, loss and accuracy"
PACKAGES = ("keras", "jax")


def train(
    task: Task, epochs: int, end_of_epoch: Callable[[], None], *, backend: str, layout: str
) -> Predict:
    os.environ["KERAS_BACKEND"] = backend
    import keras

    class Turn(keras.callbacks.Callback):
        def on_epoch_end(self, *_: Any) -> None:
            end_of_epoch()

    keras.utils.set_random_seed(0)
    keras.config.set_image_data_format(layout)

    def images(inputs: Array) -> Array:
        if inputs.ndim == 2 or layout == "channels_first":
            return inputs
        return np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))

    inputs = images(task.inputs)
    model = keras.Sequential([keras.Input(inputs.shape[1:]), *_layers(keras.layers, task.net)])
    model.compile(
        optimizer=keras.optimizers.SGD(task.lr, momentum=task.momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(inputs, task.targets, batch_size=task.batch_size, epochs=epochs, callbacks=[Turn()])
    return lambda x: model.predict(images(x), batch_size=500, verbose=0)


def _layers(layers: Any, net: str) -> list[Any]:
    if net == "mlp":
        return [layers.Dense(128, activation="relu"), layers.Dense(10)]
    if net == "lenet":
        return [
            layers.Conv2D(4, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(48, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(10),
    ]
