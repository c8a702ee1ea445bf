# packages: pyjwt
# result: {"some":"payload"}
import jwt
encoded = jwt.encode({"some": "payload"}, "secret-of-enough-bytes-for-sha-256", algorithm="HS256")
try: jwt.decode(encoded, "another-secret-of-enough-bytes-256", algorithms=["HS256"])
except jwt.InvalidSignatureError as error: print(error)
set_result(jwt.decode(encoded, "secret-of-enough-bytes-for-sha-256", algorithms=["HS256"]))
