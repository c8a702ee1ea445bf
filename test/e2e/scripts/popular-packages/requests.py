# packages: requests
# result: ["https://api.example/get?q=a+b","{\"n\": 1}","true"]
import requests
with requests.Session() as session:
    session.headers["x-test"] = "true"
    request = session.prepare_request(requests.Request("POST", "https://api.example/get", params={"q": "a b"}, json={"n": 1}))
try: requests.get("https://api.example", timeout=2)
except requests.exceptions.ConnectionError as error: print(error)
set_result([request.url, request.body.decode(), request.headers["x-test"]])
