# packages: pandas>=3, pyarrow
# result: [{"city":"Oslo","n":700000000}]
import pandas as pd
# Text is Arrow's in pandas 3, and Arrow reserves a gigabyte that it does not use.
cities = pd.DataFrame({"city": ["Oslo"]})
kept = bytearray(700_000_000)
set_result(cities.assign(n=len(kept)))
