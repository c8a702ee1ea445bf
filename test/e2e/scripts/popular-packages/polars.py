# packages: polars
# result: [{"fruits":"apple","A":7},{"fruits":"banana","A":8}]
import polars as pl
df = pl.DataFrame({"A": [1, 2, 3, 4, 5], "fruits": ["banana", "banana", "apple", "apple", "banana"]})
print(df.sort("fruits"))
found = df.lazy().group_by("fruits").agg(pl.col("A").sum()).sort("fruits").collect()
set_result(found.to_dicts())
