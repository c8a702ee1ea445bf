import type { Clock } from "#common/resilience/clock.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { NO_OUTPUT, type OutputPiece, type Truncated } from "../execution.ts";
import type { OutputChannel } from "../peers/sanitizer.ts";
import type { ExecutionStore } from "../store/store.ts";

// New output is stored after this delay, so that callers that poll see the output of a long script. A shorter
// script ends before, and its output is stored together with its ending, without a write of its own.
const FLUSH_AFTER_MS = 100;

/** Writes the redacted output of one execution to the store, in numbered pieces. */
export type OutputLog = {
  /** Adds redacted text to the output. The text is stored within about 100 ms. */
  add(channel: OutputChannel, text: string): void;
  /**
   * Stores the output that is not stored yet. When the write fails, the output is kept and stored by the next
   * write.
   */
  flush(): Promise<void>;
  /**
   * Prepares for a worker that replays its output from the start: `add` then skips as many characters as it
   * was given before.
   */
  rewind(): void;
  /** Notes that the worker has cut this many bytes of the channel's output in all. */
  noteCut(channel: OutputChannel, bytes: number): void;
  /** How many bytes of stdout and of stderr were cut: the largest numbers noted so far, 0 when none. */
  cut(): Truncated;
  /**
   * Stops writing. Resolves to the output that is not stored yet, which the caller stores in the same
   * transaction as the ending.
   */
  close(): Promise<OutputPiece>;
};

/**
 * Opens the log of one execution's output. `before`: the output that an earlier router stored, with the
 * position of the next piece; empty for a new run. `onError` is called when a write fails.
 */
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
  // Characters by channel: `added` counts all characters so far, and `repeated` how many of the next ones are
  // replays, which `add` skips.
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
      // The output is kept and written again with later output, at the latest with the ending. The piece
      // keeps its position, so that the second write replaces the first. The first may have been stored,
      // because a connection can break between a commit and its answer.
      stdout = piece.stdout + stdout;
      stderr = piece.stderr + stderr;
      onError(error);
    }
  };
  const flush = async () => {
    cancelTimer?.();
    cancelTimer = undefined;
    // Writes run one at a time, so that no piece overtakes an earlier piece whose write failed.
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
