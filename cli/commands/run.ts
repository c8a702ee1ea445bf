import type { Execution } from "#sdk/execution.ts";
import { connect } from "../client/connect.ts";
import { exitStatusOf } from "../client/execution.ts";
import { Following } from "../client/following.ts";
import { readMemoryFile, saveMemoryFile } from "../client/memory-file.ts";
import { parseRunArguments, type RunArguments } from "../client/run-arguments.ts";
import { readScript } from "../client/script-file.ts";
import { watchForInterruption } from "../terminal/interruption.ts";
import { forOutput, quoted } from "../terminal/terminal.ts";

/** `./airlock run` sends a script and follows it until it ends. Resolves to the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseRunArguments(args);
  const { project, settings, timeoutSeconds: timeout, json, saveMemory } = parsed;
  const code = await readScript(parsed.file);
  const memory = await readMemory(parsed);
  const airlock = connect(process.env);
  // Signals are caught before the script is sent, because an interrupt before the answer arrives would leave
  // the script running.
  const interruption = watchForInterruption();
  const submission = { project, code, settings, memoryJson: memory };
  const { execution_id: id } = await airlock.submit(
    timeout === undefined ? submission : { ...submission, timeout },
  );
  if (!json) process.stderr.write(`(execution ${id})\n`);
  const following = new Following(airlock, id, !json, parsed.file === "-");
  const execution = await following.toTheEnd(interruption.signal);
  if (json) process.stdout.write(`${forOutput(execution.json.trimEnd())}\n`);
  else report(execution, following.endsWithinLine);
  const { memory_updates: updates, memoryUpdatesJson } = execution;
  const hasUpdates = Object.keys(updates).length > 0;
  // When --save-memory names another file than --memory, that file is written even if the script changed
  // nothing, because the next run reads its memory from there.
  const isCopy = saveMemory !== parsed.memoryFile && execution.status === "completed";
  if (saveMemory !== undefined && (hasUpdates || isCopy)) {
    await saveMemoryFile(saveMemory, memory ?? "{}", memoryUpdatesJson);
  } else if (hasUpdates && !json) {
    process.stderr.write(`(memory updates: ${quoted(memoryUpdatesJson)})\n`);
  }
  return interruption.exitStatus() ?? exitStatusOf(execution);
}

/**
 * Reads the file of --memory; undefined without that flag. The file may be missing when --save-memory names
 * it too, because then the first run creates it.
 */
async function readMemory({ memoryFile, saveMemory }: RunArguments): Promise<string | undefined> {
  if (memoryFile === undefined) return undefined;
  return await readMemoryFile(memoryFile, { mayBeMissing: memoryFile === saveMemory });
}

function report(execution: Execution, isWithinLine: boolean): void {
  const { error, truncated, end_reason: endReason, resultJson } = execution;
  for (const stream of ["stdout", "stderr"] as const) {
    const bytes = truncated[stream];
    if (bytes > 0) process.stderr.write(`(${stream} was cut: ${bytes} bytes more)\n`);
  }
  if (execution.status !== "completed") {
    process.stderr.write(`${quoted(error ?? "It did not complete.")}\n(${execution.status}: ${endReason})\n`);
  }
  if (resultJson === "null") return;
  // A line end separates the result from output that does not end with one.
  process.stdout.write(`${isWithinLine ? "\n" : ""}${forOutput(resultJson)}\n`);
}
