# packages: xarray
# result: [[0.0,1.0,2.0],2.5,[3.0,12.0]]
import numpy as np, pandas as pd, xarray as xr
data = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("x", "y"), coords={"x": [10, 20]})
print(data)
set_result([data.sel(x=10).values, float(data.mean()), data.groupby("x").sum(...).values])
