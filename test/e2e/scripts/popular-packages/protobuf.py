# packages: protobuf
# result: [1704164645,[["a",1.0],["b",[true,null]]]]
from google.protobuf import json_format, struct_pb2, timestamp_pb2
stamp = timestamp_pb2.Timestamp(); stamp.FromJsonString("2024-01-02T03:04:05Z")
message = struct_pb2.Struct(); message.update({"a": 1, "b": [True, None]})
again = struct_pb2.Struct.FromString(message.SerializeToString(deterministic=True))
set_result([stamp.seconds, sorted(json_format.MessageToDict(again).items())])
