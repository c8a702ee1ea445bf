# packages: sympy
# result: ["-sqrt(2)","sqrt(2)"]
from sympy import Eq, Symbol, cos, integrate, limit, sin, solve
x = Symbol("x")
print(limit(sin(x) / x, x, 0), integrate(cos(x) ** 2, (x, 0, 1)))
set_result([str(root) for root in solve(Eq(x**2, 2), x)])
