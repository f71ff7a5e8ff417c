"""Each framework once, with the traps that its converter is known for. A process a framework: they do not mix well."""

import subprocess
import sys

import pytest

KERAS = """
import keras, numpy as np
from exporter import keras as export
from exporter.graph import parse
from exporter.table_lookups import table_entries
from exporter.verify import compare
keras.utils.set_random_seed(1)
model = keras.Sequential([
    keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.Flatten(),
    keras.layers.Dropout(0.5), keras.layers.Dense(3, activation="softmax"),
])
rows = np.random.default_rng(0).normal(size=(40, 8, 8, 1)).astype(np.float32)
graph = export.convert(model, ["image"], ["probabilities"])
assert compare(graph, {"image": rows}, {"probabilities": export.predict(model, [rows])[0]}, described="keras").passed

left, right = keras.Input((2,)), keras.Input((5,))
both = keras.layers.Concatenate()([left, right])
model = keras.Model([left, right], [keras.layers.Dense(1)(both), keras.layers.Dense(4)(left)])
rows = {"few": np.ones((9, 2), np.float32), "many": np.arange(45, dtype=np.float32).reshape(9, 5)}
graph = export.convert(model, list(rows), ["one", "four"])
answers = dict(zip(["one", "four"], export.predict(model, list(rows.values()))))
assert compare(graph, rows, answers, described="keras").passed

words = keras.Sequential([
    keras.Input((6,), dtype="int32"), keras.layers.Embedding(20, 4, mask_zero=True), keras.layers.LSTM(3),
])
assert table_entries(parse(export.convert(words, ["ids"], ["vector"]))) == {"ids": 20}
"""

PYTORCH = """
import numpy as np, torch
from exporter import pytorch as export
from exporter.errors import SourceError
from exporter.graph import parse
from exporter.table_lookups import table_entries
from exporter.verify import compare
torch.manual_seed(1)
class Reader(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 8)
        self.lstm = torch.nn.LSTM(8, 8, batch_first=True)
    def forward(self, ids):
        return self.lstm(self.embedding(ids))[0].mean(1)
model = Reader()
for _ in range(2):  # the second export in a process is the one that freezes lengths
    graph = export.convert(model, {"ids": np.ones((2, 5), np.int64)}, ["vector"], {"ids": {1: "tokens"}})
    assert table_entries(parse(graph)) == {"ids": 20}
for length in (1, 5, 11):
    ids = np.random.default_rng(0).integers(0, 20, (40, length))
    assert compare(graph, {"ids": ids}, {"vector": export.predict(model, [ids])[0]}, described="torch").passed
try:
    export.convert(model, {"ids": np.ones((1, 5), np.int64)}, ["vector"])
except SourceError:
    pass
else:
    raise AssertionError("an example of one row freezes the batch")
"""

SKLEARN = """
import numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from exporter import sklearn as export
from exporter.verify import compare
random = np.random.default_rng(0)
hours, kinds = random.normal(size=200).astype(np.float32), random.choice(["a", "b"], 200)
table = pd.DataFrame({"hours-per-week": hours, "kind": kinds})
table["kind"] = table["kind"].astype(object)
classes = np.where((table["hours-per-week"] > 0) & (table["kind"] == "a"), "yes", "no")
columns = ColumnTransformer([
    ("n", SimpleImputer(), ["hours-per-week"]),
    ("t", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
])
model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5)).fit(table, classes)
table.loc[0, "hours-per-week"] = np.nan
table.loc[1, "kind"] = "never seen"
arrays = {name: table[name].to_numpy()[:, None] for name in table}
rows = {export.graph_name(name): values for name, values in arrays.items()}
assert list(rows) == ["hours_per_week", "kind"]
graph = export.convert(model, arrays, ["label", "probabilities"])
answers = {"label": model.predict(table)[:], "probabilities": model.predict_proba(table)}
assert compare(graph, rows, answers, described="scikit-learn", class_outputs=["probabilities"]).passed
graph = export.convert(model, arrays, [None, "probabilities"])
assert compare(graph, rows, {"probabilities": answers["probabilities"]}, described="scikit-learn").passed
"""


@pytest.mark.parametrize("program", [KERAS, PYTORCH, SKLEARN], ids=["keras", "pytorch", "scikit-learn"])
def test_a_converted_model_answers_as_its_source_in_every_batch_size(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
