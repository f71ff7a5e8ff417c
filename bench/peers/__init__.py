"""The servers that Argosy is compared with: set up from packages, given the same graph on the same ONNX Runtime.

`triton_model.py`, `mlserver_model.py` and `grpcio_server.py` run inside the peers; the other modules set them up and
start them.
"""
