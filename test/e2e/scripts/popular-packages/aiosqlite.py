# packages: aiosqlite
# result: [[1,"x"],[2,"y"]]
import asyncio, aiosqlite
async def main():
    async with aiosqlite.connect(":memory:") as db:
        await db.execute("CREATE TABLE t (a, b)"); await db.executemany("INSERT INTO t VALUES (?, ?)", [(1, "x"), (2, "y")])
        async with db.execute("SELECT * FROM t") as cursor: return [row async for row in cursor]
set_result(asyncio.run(main()))
