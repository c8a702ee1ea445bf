"""Scripts whose results are the same bytes in every run of every worker, also of those in containers.

What they give follows addresses in the first ones and nothing of the kind in the others. The tests are
`test_addresses.py` and `test/e2e/scripts/same-numbers.test.ts`.
"""

from __future__ import annotations

FOLLOWING_ADDRESSES = {
    "a sum over a set of objects": """
class Item:
    def __init__(self, amount): self.amount = amount
items = {Item(1.1 * i + .01) for i in range(1, 60)}
set_result(sum(item.amount for item in items))
""",
    "a sum over a set of classes": """
class Tax: pass
kinds = {type(f"Tax{k}", (Tax,), {"rate": 1 / (k + 3)}) for k in range(12)}
total = 0.0
for kind in kinds: total += kind.rate
set_result(total)
""",
    "sets of 50 and of 300 objects": """
made = [[object() for _ in range(n)] for n in (50, 300)]
numbers = {id(each): n for few in made for n, each in enumerate(few)}
set_result([[numbers[id(each)] for each in set(few)] for few in made])
""",
    "functions, a class, a method and what is built in": """
def make(n):
    def f(): return n
    return f
class C:
    def m(self): pass
set_result([str(each) for each in {*(make(n) for n in range(40)), C, C(), C.m, print, len, int, None, ...}])
""",
    "a set of NaN": """
numbers = [float("nan") for _ in range(24)]
set_result([[n for n, each in enumerate(numbers) if each is one][0] for one in set(numbers)])
""",
    "id, hash and repr": """
class A: pass
set_result([id(object()), hash(A), repr(A()), id([1]), id({}), hash(lambda: 1), id("x" * 100), id(A)])
""",
    "objects of all sizes": """
kept = [(bytearray(n), bytes(n), [0] * n, {i: i for i in range(n)}) for n in (1, 20, 100, 1000, 5000, 200_000)]
set_result([[id(each) for each in few] for few in kept])
""",
    "after imports": """
import asyncio, csv, decimal, email.message, pdb, sqlite3, tarfile, unittest, xml.dom.minidom
set_result([hash(each) for each in {*(type(f"K{n}", (), {}) for n in range(20)), *(object() for _ in range(20))}])
""",
    "after many imports": """
import json, re, decimal, fractions, datetime, statistics, collections, itertools, csv, io, sqlite3, logging, asyncio
import subprocess, concurrent.futures, tempfile, uuid, email, http.client, urllib.request, xml.etree.ElementTree
class Row:
    __slots__ = ("name", "amount", "month")
    def __init__(self, name, amount, month): self.name, self.amount, self.month = name, amount, month
rows = {Row(f"r{n}", 0.1 * n, n % 12) for n in range(300)}
set_result([sum(row.amount for row in rows), [id(row) for row in rows]])
""",
    "abstract classes that get new members": """
import collections.abc, numbers
class Other: pass
kinds = [getattr(collections.abc, name) for name in collections.abc.__all__] + [numbers.Number, numbers.Real]
found = [isinstance(each, kind) for each in (Other(), 5, "text", [], {}, {1}) for kind in kinds]
for kind in kinds: kind.register(type("Member", (), {}))
found += [isinstance(each, kind) for each in (Other(), 5, "text", [], {}, {1}) for kind in kinds]
more = [{Other() for _ in range(300)}, {float("nan") for _ in range(60)}]
set_result([found, [[id(each) for each in some] for some in more]])
""",
    "what was there before, taken away": """
import dataclasses, enum, linecache, re, sys, warnings
re.purge(); linecache.clearcache(); warnings.resetwarnings()
class E(enum.Enum): A = 1
@dataclasses.dataclass(eq=False)
class D: x: int
del sys.modules["json"]
import json
set_result([hash(each) for each in {*(D(n) for n in range(40)), *(type(f"K{n}", (D,), {}) for n in range(80)), E,
    json.dumps, json.JSONEncoder}])
""",
    "in processes that are forked": """
import multiprocessing
def order(n):
    return [hash(each) for each in {*(type(f"K{i}", (), {}) for i in range(n)), *(object() for _ in range(n))}]
with multiprocessing.get_context("fork").Pool(1) as pool:
    set_result(pool.map(order, [20, 50]))
""",
    "in another interpreter": """
import subprocess, sys
code = "print([hash(each) for each in {*(object() for _ in range(50)), *(type(f'K{n}', (), {}) for n in range(20))}])"
set_result(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
""",
    "after an answer": """
llm.complete("q")
set_result([hash(each) for each in {*(type(f"K{n}", (), {}) for n in range(20)), *(object() for _ in range(50))}])
""",
    "with settings and memory": """
memory.set("a", "b", [1, 2, 3])
set_result([settings.get("A"), memory.get("x", "y"), [hash(object), id(object()), id(type("K", (), {}))]])
""",
}
FOLLOWING_NONE = {
    "sets of words, numbers and tuples": """
words = {"pear", "apple", "fig", None, 3, 2.5, ("a", None), b"b", frozenset("xyz")}
set_result([[str(each) for each in words], hash("airlock"), hash(("a", 1.5)), [*{f"w{n}": n for n in {*"abcdefgh"}}]])
""",
    "random numbers": """
import random, statistics
draws = [random.gauss(0, 1) for _ in range(500)]
set_result([draws[:5], statistics.stdev(draws), random.sample(range(10**6), 9), random.choices("abc", k=9)])
""",
    "sums of many floats": """
import math, statistics
from decimal import Decimal
from fractions import Fraction
values = [math.sin(n) * 10 ** (n % 17 - 8) for n in range(5000)]
set_result([sum(values), math.fsum(values), sum({*values}), statistics.fmean(values), math.prod(values[1:40]),
    sum(Decimal(value) for value in values[:50]), str(sum(Fraction(value) for value in values[:50]))])
""",
    "a table in SQLite": """
import math, sqlite3
base = sqlite3.connect(":memory:")
base.execute("create table sales (shop text, price real)")
base.executemany("insert into sales values (?, ?)", [(f"s{n % 7}", math.exp(n % 13) / 3) for n in range(3000)])
set_result(base.execute("select shop, sum(price), avg(price), count(*) from sales group by shop").fetchall())
""",
    "threads that each have a part": """
import concurrent.futures, math
def part(n): return sum(math.sqrt(k + n) for k in range(3000))
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    set_result([sum(pool.map(part, range(24))), sum({*pool.map(part, range(24))})])
""",
    "a set of futures": """
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
found = []
for Pool in (ThreadPoolExecutor, ProcessPoolExecutor):
    with Pool(4 if Pool is ThreadPoolExecutor else 2) as pool:
        done = wait([pool.submit(round, 0.1 * n, 10) for n in range(100)]).done
    found += [sum(each.result() for each in done), [each.result() for each in done]]
set_result(found)
""",
    "tasks of asyncio": """
import asyncio, math
async def part(n):
    await asyncio.sleep(0)
    return math.log(n + 2) / 7
async def main(): return sum(await asyncio.gather(*(part(n) for n in range(200))))
set_result(asyncio.run(main()))
""",
    "what prints and what is compressed": """
import hashlib, json, pickle, zlib
data = {name: [n / 7 for n in range(40)] for name in {"b", "a", "c", "dd"}}
print(data)
set_result([hashlib.sha256(each).hexdigest() for each in (json.dumps(data).encode(), pickle.dumps(data),
    zlib.compress(repr(data).encode()))])
""",
}
SCRIPTS = {**FOLLOWING_ADDRESSES, **FOLLOWING_NONE}
