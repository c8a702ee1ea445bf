# packages: asyncpg
# result: 5
import asyncio, asyncpg
async def main():
    try: await asyncpg.connect("postgresql://user@nowhere.example/test", timeout=2)
    except OSError as error: print(type(error).__name__)
    return asyncpg.Range(1, 5).upper
set_result(asyncio.run(main()))
