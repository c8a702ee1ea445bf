# packages: psycopg[binary]
# result: ["host=h dbname='a b'","\"n\" = 5","binary"]
import psycopg
from psycopg import conninfo, sql
from psycopg.types.json import Jsonb
try: psycopg.connect("host=nowhere.example dbname=test connect_timeout=2")
except psycopg.OperationalError as error: print(error)
set_result([conninfo.make_conninfo(host="h", dbname="a b"), sql.SQL("{} = {}").format(sql.Identifier("n"), 5).as_string(None), psycopg.pq.__impl__])
