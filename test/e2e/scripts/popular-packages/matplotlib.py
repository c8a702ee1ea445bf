# packages: matplotlib
# result: ["89504e47",[6.4,4.8]]
import io
import matplotlib.pyplot as plt, numpy as np
fig, ax = plt.subplots()
ax.plot(np.linspace(0, 2, 50), np.linspace(0, 2, 50) ** 2, label="quadratic")
ax.set(xlabel="x", title="Simple plot")
fig.savefig(file := io.BytesIO(), format="png")
set_result([file.getvalue()[:4].hex(), fig.get_size_inches()])
