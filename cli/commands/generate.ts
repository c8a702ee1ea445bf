import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { restTypes } from "../generated/rest-types.ts";
import { workerCallers } from "../generated/worker-callers.ts";
import { ROOT, runQuietly, type ToolResult } from "../tools.ts";

/** Paths of generated files and directories, relative to the repository. */
export const GENERATED = [
  join("proto", "gen"),
  join("proto", "airlock.binpb"),
  join("proto", "health.binpb"),
  join("worker", "airlock_worker", "supervisor", "callers.py"),
  join("sdk", "typescript", "gen", "openapi.ts"),
] as const;

// The proto of gRPC's standard health service, which our reflection service describes too.
const HEALTH_PROTO = join("node_modules", "grpc-health-check", "proto");

/**
 * Writes all generated files below `directory`: code from .proto files, the worker's table of allowed callers,
 * and the types of the REST API.
 */
export async function generateInto(directory: string): Promise<ToolResult> {
  const [, airlock, health, callers, rest] = GENERATED;
  const commands = [
    ["generate", "-o", directory],
    ["build", "-o", join(directory, airlock)],
    ["build", HEALTH_PROTO, "-o", join(directory, health)],
  ];
  let output = "";
  for (const command of commands) {
    const result = await runQuietly(["buf", ...command]);
    if (!result.ok) return result;
    output += result.output;
  }
  await mkdir(dirname(join(directory, callers)), { recursive: true });
  await writeFile(join(directory, callers), workerCallers());
  await mkdir(dirname(join(directory, rest)), { recursive: true });
  const types = await restTypes(join(directory, rest));
  return types.ok ? { ok: true, output } : types;
}

/** `./airlock generate` writes all generated files of this repository. */
export async function generate(): Promise<number> {
  const { ok, output } = await generateInto(ROOT);
  process.stdout.write(ok ? `Generated ${GENERATED.join(", ")}.\n` : output);
  return ok ? 0 : 1;
}
