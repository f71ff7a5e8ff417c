"""Which of Triton's extensions of the Open Inference Protocol the fleet has, by the names that Triton gives them.

Not there: `classification` (labels and the likeliest classes are the typed methods'), `schedule_policy` (of its two
parameters `priority` is read, and `timeout` is gRPC's own deadline), shared memory, `parameters`, `trace`, `logging`.
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

EXTENSIONS = ("sequence", "model_repository", "model_configuration", "binary_tensor_data", "statistics")
