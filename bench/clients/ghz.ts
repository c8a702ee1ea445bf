import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../cli/tools.ts";
import type { Percentiles } from "../statistics.ts";

export type GhzReport = Percentiles & { readonly perSecond: number };

export type GhzCall = {
  readonly address: string;
  readonly rpc: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly clients: number;
  readonly count: number;
};

/**
 * The path of ghz, a gRPC load generator: on PATH, or in the directory AIRLOCK_CI_TOOLS where
 * `.ci/tools/build DIR ghz` puts it. Undefined when there is none.
 */
export async function findGhz(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const directory of [...(env.PATH ?? "").split(delimiter), env.AIRLOCK_CI_TOOLS ?? ""]) {
    const path = join(directory, "ghz");
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (directory !== "" && found) return path;
  }
  return undefined;
}

/** Repeats one gRPC call with ghz. Rejects when any of the calls fails. */
export async function runGhz(ghz: string, call: GhzCall): Promise<GhzReport> {
  const { stdout } = await promisify(execFile)(
    ghz,
    [
      ...["--insecure", "--protoset", join(ROOT, "proto", "airlock.binpb")],
      ...["--call", `airlock.v1.RouterService/${call.rpc}`, "--data", JSON.stringify(call.request)],
      ...["--concurrency", String(call.clients), "--total", String(call.count), "--format", "json"],
      call.address,
    ],
    { maxBuffer: 64 * 1_024 * 1_024 },
  );
  const report = JSON.parse(stdout) as {
    rps: number;
    latencyDistribution: { percentage: number; latency: number }[];
    errorDistribution?: Record<string, number>;
  };
  const [error] = Object.keys(report.errorDistribution ?? {});
  if (error !== undefined) throw new Error(`ghz: ${error}`);
  const ms = (percentage: number) =>
    (report.latencyDistribution.find((each) => each.percentage === percentage)?.latency ?? Number.NaN) / 1e6;
  return { p50: ms(50), p95: ms(95), p99: ms(99), perSecond: report.rps };
}
