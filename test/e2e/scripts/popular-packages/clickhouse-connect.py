# packages: clickhouse-connect
# result: ["`a b`","'it\\'s'"]
import clickhouse_connect
from clickhouse_connect.driver.binding import format_query_value, quote_identifier
try: clickhouse_connect.get_client(host="nowhere.example", username="default", connect_timeout=2)
except clickhouse_connect.driver.exceptions.Error as error: print(type(error).__name__)
set_result([quote_identifier("a b"), format_query_value("it's")])
