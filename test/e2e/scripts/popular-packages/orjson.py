# packages: orjson, numpy
# result: ["{\"type\":\"job\",\"created_at\":\"1970-01-01T00:00:00+00:00\",\"payload\":[[1,2],[3,4]]}",[[1,2],[3,4]]]
import datetime, orjson, numpy
data = {"type": "job", "created_at": datetime.datetime(1970, 1, 1), "payload": numpy.array([[1, 2], [3, 4]])}
text = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC)
set_result([text.decode(), orjson.loads(text)["payload"]])
