# packages: scipy
# result: [1.0,[1.0,2.5],0.975002]
import numpy as np
from scipy import integrate, optimize, stats
area, error = integrate.quad(lambda x: np.exp(-x), 0, np.inf)
found = optimize.minimize(lambda x: (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2, (2, 0))
set_result([round(area, 9), found.x.round(4), round(stats.norm.cdf(1.96), 6)])
