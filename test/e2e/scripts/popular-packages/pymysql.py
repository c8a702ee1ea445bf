# packages: pymysql
# result: ["'it\\'s'","pyformat",true]
import pymysql
from pymysql.converters import escape_item
try: pymysql.connect(host="nowhere.example", user="user", password="pw", database="db", connect_timeout=2)
except pymysql.err.OperationalError as error: print(error)
set_result([escape_item("it's", "utf8mb4"), pymysql.paramstyle, issubclass(pymysql.err.DataError, pymysql.MySQLError)])
