# packages: duckdb
# result: [["jeans","20.00"],["hammer","84.40"]]
import duckdb
con = duckdb.connect()
con.execute("CREATE TABLE items (item VARCHAR, value DECIMAL(10, 2), count INTEGER)")
con.execute("INSERT INTO items VALUES ('jeans', 20.0, 1), ('hammer', 42.2, 2)")
set_result(con.sql("SELECT item, value * count AS total FROM items ORDER BY total").fetchall())
