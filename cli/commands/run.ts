import { type Execution, exitStatusOf, memberText } from "../client/execution.ts";
import { Following } from "../client/following.ts";
import { readMemoryFile, saveMemoryFile } from "../client/memory-file.ts";
import { createRestClient } from "../client/rest-client.ts";
import { executeBody, parseRunArguments, type RunArguments } from "../client/run-arguments.ts";
import { readScript } from "../client/script-file.ts";
import { watchForInterruption } from "../terminal/interruption.ts";
import { forOutput, quoted } from "../terminal/terminal.ts";

/** `./airlock run` sends a script and follows it until it ends. Resolves to the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseRunArguments(args);
  const { json, saveMemory } = parsed;
  const code = await readScript(parsed.file);
  const memory = await readMemory(parsed);
  const client = createRestClient(process.env);
  // Signals are caught before the script is sent, because an interrupt before the answer arrives would leave
  // the script running.
  const interruption = watchForInterruption();
  const accepted: Execution = JSON.parse(await client.post("/execute", executeBody(parsed, code, memory)));
  const { execution_id: id } = accepted;
  if (!json) process.stderr.write(`(execution ${id})\n`);
  const following = new Following(client, id, !json, parsed.file === "-");
  const body = await following.toTheEnd(interruption.signal);
  const execution: Execution = JSON.parse(body);
  if (json) process.stdout.write(`${forOutput(body.trimEnd())}\n`);
  else report(execution, body, following.endsWithinLine);
  const updates = memberText(body, "memory_updates") ?? "{}";
  if (Object.keys(JSON.parse(updates)).length > 0) {
    if (saveMemory !== undefined) await saveMemoryFile(saveMemory, memory ?? "{}", updates);
    else if (!json) process.stderr.write(`(memory updates: ${quoted(updates)})\n`);
  }
  return interruption.exitStatus() ?? exitStatusOf(execution);
}

/**
 * Reads the memory file; undefined without one. A file that also receives the updates may be missing, because
 * the first run creates it.
 */
async function readMemory({ memoryFile, saveMemory }: RunArguments): Promise<string | undefined> {
  if (memoryFile === undefined) return undefined;
  return await readMemoryFile(memoryFile, { mayBeMissing: memoryFile === saveMemory });
}

function report(execution: Execution, body: string, isWithinLine: boolean): void {
  const { error, truncated, end_reason: endReason } = execution;
  for (const stream of ["stdout", "stderr"] as const) {
    const bytes = truncated?.[stream] ?? 0;
    if (bytes > 0) process.stderr.write(`(${stream} was cut: ${bytes} bytes more)\n`);
  }
  if (execution.status !== "completed") {
    process.stderr.write(`${quoted(error ?? "It did not complete.")}\n(${execution.status}: ${endReason})\n`);
  }
  const result = memberText(body, "result");
  if (result === undefined) return;
  // A line end separates the result from output that does not end with one.
  process.stdout.write(`${isWithinLine ? "\n" : ""}${forOutput(result)}\n`);
}
