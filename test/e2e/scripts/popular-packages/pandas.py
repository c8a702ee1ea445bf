# packages: pandas
# result: {"cat":7.5,"dog":3.5,"snake":3.0}
import pandas as pd
df = pd.DataFrame({"animal": ["cat", "snake", "dog", "cat"], "age": [2.5, 3, None, 5]})
print(df.describe())
df["age"] = df["age"].fillna(df["age"].mean())
set_result(df.groupby("animal")["age"].sum())
