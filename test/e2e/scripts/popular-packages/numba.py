# packages: numba
# result: [9.0,10.0,11.0]
import numpy as np
from numba import njit
@njit
def go_fast(a):
    trace = 0.0
    for i in range(a.shape[0]): trace += np.tanh(a[i, i])
    return a + trace
set_result(go_fast(np.arange(100).reshape(10, 10))[0, :3].round(6))
