import type { Row } from "./bench.ts";
import type { RowName } from "./row-names.ts";
import { burst } from "./rows/burst.ts";
import { cpu } from "./rows/cpu.ts";
import { grpc } from "./rows/grpc.ts";
import { identity } from "./rows/identity.ts";
import { latency } from "./rows/latency.ts";
import { memory } from "./rows/memory.ts";
import { output } from "./rows/output.ts";
import { pause } from "./rows/pause.ts";
import { paused } from "./rows/paused.ts";
import { sanitizer } from "./rows/sanitizer.ts";
import { start } from "./rows/start.ts";
import { stored } from "./rows/stored.ts";
import { throughput } from "./rows/throughput.ts";

export const ROWS: Readonly<Record<RowName, Row>> = {
  latency,
  cpu,
  identity,
  burst,
  throughput,
  grpc,
  pause,
  output,
  start,
  stored,
  sanitizer,
  memory,
  paused,
};
