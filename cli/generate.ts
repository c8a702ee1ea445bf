import { join } from "node:path";
import { ROOT, runQuietly, type ToolResult } from "./tools.ts";

/** Where generated code stands, relative to the top. */
export const GENERATED = [join("services", "common", "gen"), join("proto", "airlock.binpb")] as const;

/** Writes all that is generated from proto/ below `directory`. */
export async function generateInto(directory: string): Promise<ToolResult> {
  const code = await runQuietly(["buf", "generate", "-o", directory]);
  if (!code.ok) return code;
  return await runQuietly(["buf", "build", "-o", join(directory, "proto", "airlock.binpb")]);
}

/** `./airlock generate` */
export async function generate(): Promise<number> {
  const { ok, output } = await generateInto(ROOT);
  process.stdout.write(ok ? `Generated ${GENERATED.join(" and ")}.\n` : output);
  return ok ? 0 : 1;
}
