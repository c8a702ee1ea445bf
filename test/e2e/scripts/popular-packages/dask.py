# packages: dask
# result: [15,[2,3]]
import dask
@dask.delayed
def inc(x): return x + 1
total = dask.delayed(sum)([inc(i) for i in range(5)])
set_result([total.compute(), dask.compute(inc(1), inc(2), scheduler="threads")])
