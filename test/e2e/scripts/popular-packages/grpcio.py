# packages: grpcio
# result: ["UNAVAILABLE",[0,"ok"]]
import grpc
channel = grpc.insecure_channel("unix:nowhere.sock")
call = channel.unary_unary("/package.Service/Method", request_serializer=bytes, response_deserializer=bytes)
try: call(b"x", timeout=5)
except grpc.RpcError as error: set_result([error.code().name, grpc.StatusCode.OK.value])
channel.close()
