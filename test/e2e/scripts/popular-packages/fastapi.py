# packages: fastapi, httpx
# result: [{"item_id":5,"q":"x"},422,"3."]
from fastapi import FastAPI
from fastapi.testclient import TestClient
app = FastAPI()
@app.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None): return {"item_id": item_id, "q": q}
client = TestClient(app)
set_result([client.get("/items/5?q=x").json(), client.get("/items/x").status_code, app.openapi()["openapi"][:2]])
