# packages: numpy
# result: [[3,5],[15,18,21,24,27],-2.0,[[7.0,10.0],[15.0,22.0]]]
import numpy as np
a = np.arange(15).reshape(3, 5)
print(a.ndim, a.dtype.name, a.itemsize)
b = np.array([[1.0, 2.0], [3.0, 4.0]])
set_result([a.shape, a.sum(axis=0), np.linalg.det(b).round(9), b @ b])
