# packages: statsmodels
# result: [1.5,-2.0]
import numpy as np
import statsmodels.api as sm
x = sm.add_constant(np.linspace(0, 10, 50))
model = sm.OLS(x @ [1.5, -2.0], x).fit()
print(model.summary())
set_result(model.params.round(6))
