# packages: joblib
# result: [[0.0,1.0,2.0,3.0,4.0],2]
from math import sqrt
from joblib import Memory, Parallel, delayed
cube = Memory("cache", verbose=0).cache(lambda x: x**3)
with Parallel(n_jobs=2) as parallel:
    roots = parallel(delayed(sqrt)(i**2) for i in range(5))
    set_result([roots, parallel._effective_n_jobs()])
