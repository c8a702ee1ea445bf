# packages: flask
# result: [{"hello":"World"},404]
from flask import Flask, jsonify
app = Flask(__name__)
@app.route("/<name>")
def hello(name): return jsonify(hello=name)
client = app.test_client()
set_result([client.get("/World").json, client.get("/a/b").status_code])
