# packages: tqdm
# result: [4950,10]
import sys
from tqdm import tqdm, trange
total = sum(i for i in tqdm(range(100), file=sys.stderr))
with tqdm(total=10) as bar:
    for i in trange(5): bar.update(2)
set_result([total, bar.n])
