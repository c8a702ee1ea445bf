# packages: pyarrow
# result: [2,true,5]
import io
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
table = pa.table({"days": [1, 12, 17, 23, 28], "months": [1, 3, 5, 7, 1], "years": [1990, 2000, 1995, 2000, 1995]})
pq.write_table(table, file := io.BytesIO())
again = pq.read_table(io.BytesIO(file.getvalue()))
set_result([pc.value_counts(table["years"]).to_pylist()[1]["counts"], again.equals(table), again.num_rows])
