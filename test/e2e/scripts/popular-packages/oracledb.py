# packages: oracledb
# result: [true,"named"]
import oracledb
try: oracledb.connect(user="user", password="pw", dsn="nowhere.example/service", tcp_connect_timeout=2)
except (oracledb.Error, OSError) as error: print(error)
set_result([oracledb.is_thin_mode(), oracledb.paramstyle])
