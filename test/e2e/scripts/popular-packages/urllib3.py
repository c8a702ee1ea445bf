# packages: urllib3
# result: ["urllib3.example",8443,"multipart/form-data; boundary=x"]
import urllib3
http = urllib3.PoolManager(retries=urllib3.Retry(1, backoff_factor=0), timeout=2)
url = urllib3.util.parse_url("https://urllib3.example:8443/en/latest?x=1")
try: http.request("GET", "https://urllib3.example/")
except urllib3.exceptions.MaxRetryError as error: print(type(error.reason).__name__)
set_result([url.host, url.port, urllib3.encode_multipart_formdata({"a": "b"}, boundary="x")[1]])
