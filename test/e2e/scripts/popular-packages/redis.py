# packages: redis
# result: [2,3]
import redis
r = redis.Redis(host="nowhere.example", port=6379, decode_responses=True, socket_connect_timeout=2)
try: r.set("foo", "bar")
except redis.exceptions.ConnectionError as error: print(error)
pipe = r.pipeline().set("foo", 5).incr("foo")
set_result([len(pipe), redis.Redis.from_url("redis://h:7000/3").connection_pool.connection_kwargs["db"]])
