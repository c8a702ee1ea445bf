# packages: snowflake-connector-python
# result: ["pyformat","2.0"]
import snowflake.connector
from snowflake.connector.errors import Error
try: snowflake.connector.connect(user="u", password="p", account="a.b", login_timeout=1, host="nowhere.example")
except Error as error: print(type(error).__name__)
set_result([snowflake.connector.paramstyle, snowflake.connector.apilevel])
