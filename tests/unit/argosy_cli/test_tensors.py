"""A row as ModelInfer carries it."""

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as manifests
from argosy_cli.errors import CliError
from argosy_cli.tensors import first_number, infer_request
from inference import grpc_service_pb2 as oip


def manifest(data_type=manifests.DATA_TYPE_FP32):
    return manifests.ModelManifest(
        name="diabetes",
        version="2",
        inputs=[manifests.TensorSpec(name="features", data_type=data_type, shape=[-1, 2])],
        table=manifests.TablePreprocessing(
            columns=[
                manifests.TableColumn(name="bmi", input="features", index=1),
                manifests.TableColumn(name="age", input="features", index=0),
            ]
        ),
    )


def test_the_columns_of_a_row_stand_where_the_manifest_places_them():
    request = infer_request(manifest(), {"bmi": 31.5, "age": 40.0})
    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("features", "FP32", [1, 2])
    assert np.frombuffer(request.raw_input_contents[0], "<f4").tolist() == [40.0, 31.5]
    assert (request.model_name, request.model_version) == ("diabetes", "2")


def test_a_model_that_reads_texts_is_refused():
    with pytest.raises(CliError, match="input 'features' of model 'diabetes' is no tensor of floating-point numbers"):
        infer_request(manifest(manifests.DATA_TYPE_BYTES), {"bmi": 31.5, "age": 40.0})


def test_the_first_number_of_a_reply_is_read_in_its_own_precision():
    response = oip.ModelInferResponse(raw_output_contents=[np.array([0.1, 2], "<f8").tobytes()])
    response.outputs.add(name="progression", datatype="FP64", shape=[1, 2])
    assert first_number(response) == 0.1
