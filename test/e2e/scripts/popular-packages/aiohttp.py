# packages: aiohttp
# result: [2]
import asyncio, aiohttp
from aiohttp import web
async def hello(request): return web.json_response({"name": request.match_info["name"]})
async def main():
    app = web.Application(); app.add_routes([web.get("/{name}", hello)])
    async with aiohttp.ClientSession() as session: print(session.headers)
    return [app.router["x"] if "x" in app.router else len(app.router.routes())]
set_result(asyncio.run(main()))
