"""A warm Jupyter kernel: answers each line {"code": text, "count": n} with {"ms": [n times]}.

The kernel keeps its state between scripts: variables, imports and damage of one script are there for the next.
"""

from __future__ import annotations

import json
import sys
import time

from jupyter_client.manager import start_new_kernel


def main() -> None:
    manager, client = start_new_kernel()
    try:
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            times: list[float] = []
            for _ in range(order["count"]):
                start = time.perf_counter()
                reply = client.execute_interactive(order["code"], output_hook=lambda message: None, timeout=60)
                times.append((time.perf_counter() - start) * 1000)
                if reply["content"]["status"] != "ok":
                    raise SystemExit(f"the script failed: {reply['content'].get('evalue')}")
            print(json.dumps({"ms": times}), flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
