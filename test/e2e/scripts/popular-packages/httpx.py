# packages: httpx
# result: [{"path":"/a"},{"path":"/b"},true]
import asyncio, httpx
transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"path": request.url.path}))
with httpx.Client(transport=transport, base_url="https://www.example.org") as client: first = client.get("/a").json()
async def main():
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get("https://www.example.org/b", params={"x": 1})).json()
set_result([first, asyncio.run(main()), httpx.Client().trust_env])
