import type { Clock } from "#common/resilience/clock.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { NO_OUTPUT, type OutputPiece, type Truncated } from "../execution.ts";
import type { OutputChannel } from "../peers/sanitizer.ts";
import type { ExecutionStore } from "../store/store.ts";

// Pollers see output of a long script after this time. A short script ends before, so that its output needs no write
// of its own.
const FLUSH_AFTER_MS = 100;

/** Writes the redacted output of one execution to the store, in pieces. */
export type OutputLog = {
  add(channel: OutputChannel, text: string): void;
  /** Writes the pending output. Output that could not be written is kept for the next attempt. */
  flush(): Promise<void>;
  /** The worker replays its output from the start: as much as was added before is skipped. */
  rewind(): void;
  /** The worker has cut so many bytes of this output in all. */
  noteCut(channel: OutputChannel, bytes: number): void;
  /** How many bytes of each output were cut, as last reported. */
  cut(): Truncated;
  /** Stops writing. Resolves to the output that is not written yet, which is stored in the commit of the ending. */
  close(): Promise<OutputPiece>;
};

/** `before`: the output that is stored already, with the position of the next piece. */
export function openOutputLog(
  store: ExecutionStore,
  executionId: string,
  clock: Clock,
  onError: (error: unknown) => void,
  before: OutputPiece = NO_OUTPUT,
): OutputLog {
  let stdout = "";
  let stderr = "";
  let position = before.position;
  // Characters by channel: `added` were added in all, and the next `skip` of them are replays.
  const added = { stdout: before.stdout.length, stderr: before.stderr.length };
  const repeated = { stdout: 0, stderr: 0 };
  const cut = { stdout: 0, stderr: 0 };
  let cancelTimer: (() => void) | undefined;
  let writing: Promise<void> = Promise.resolve();
  const take = (): OutputPiece => {
    const piece = { position, stdout, stderr };
    stdout = "";
    stderr = "";
    return piece;
  };
  const write = async () => {
    const piece = take();
    if (piece.stdout === "" && piece.stderr === "") return;
    try {
      await store.appendOutput(executionId, piece);
      position += 1;
    } catch (error) {
      // The piece is written again together with later output, at the latest with the ending. It keeps its
      // position, because it may be stored already: a connection can break between a commit and its answer.
      stdout = piece.stdout + stdout;
      stderr = piece.stderr + stderr;
      onError(error);
    }
  };
  const flush = async () => {
    cancelTimer?.();
    cancelTimer = undefined;
    // Writes go one at a time, so that no later piece overtakes one that failed.
    writing = writing.then(write);
    await writing;
  };
  return {
    add(channel, text) {
      const name = nameOf(channel);
      const fresh = text.slice(repeated[name]);
      repeated[name] -= text.length - fresh.length;
      if (fresh === "") return;
      added[name] += fresh.length;
      if (name === "stdout") stdout += fresh;
      else stderr += fresh;
      cancelTimer ??= clock.after(FLUSH_AFTER_MS, () => {
        void flush();
      });
    },
    flush,
    rewind() {
      Object.assign(repeated, added);
    },
    noteCut(channel, bytes) {
      const name = nameOf(channel);
      // The larger count stays, because a worker that replays the output counts the cut bytes from 0 again.
      cut[name] = Math.max(cut[name], bytes);
    },
    cut: () => ({ ...cut }),
    async close() {
      cancelTimer?.();
      cancelTimer = () => undefined;
      await writing;
      return take();
    },
  };
}

function nameOf(channel: OutputChannel): "stdout" | "stderr" {
  return channel === SanitizeChannel.STDOUT ? "stdout" : "stderr";
}
