# packages: seaborn
# result: [1.5,3.5]
import io
import pandas as pd, seaborn as sns
sns.set_theme(style="whitegrid")
ax = sns.barplot(pd.DataFrame({"day": ["Thu", "Fri", "Thu"], "tip": [1.0, 3.5, 2.0]}), x="day", y="tip", errorbar=None)
ax.figure.savefig(file := io.BytesIO(), format="png")
set_result([bar.get_height() for bar in ax.patches])
