# packages: psycopg2-binary
# result: ["postgres","'it''s'",["a"]]
import psycopg2
from psycopg2 import extras, sql
from psycopg2.extensions import adapt, parse_dsn
try: psycopg2.connect("host=nowhere.example dbname=test connect_timeout=2")
except psycopg2.OperationalError as error: print(error)
set_result([parse_dsn("dbname=test user=postgres")["user"], adapt("it's").getquoted().decode()[-7:], sql.Identifier("a").strings])
