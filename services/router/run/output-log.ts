import type { Clock } from "#common/resilience/clock.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { NO_OUTPUT, type OutputPiece, type Truncated } from "../execution.ts";
import type { OutputChannel } from "../peers/sanitizer.ts";
import type { ExecutionStore } from "../store/store.ts";

// Whoever watches a long script sees its output this soon; a short one costs no write of its own.
const FLUSH_AFTER_MS = 100;

/** The clean output of one execution on its way into the store. */
export type OutputLog = {
  add(channel: OutputChannel, text: string): void;
  /** Writes what is there; what could not be written is kept. */
  flush(): Promise<void>;
  /** What is added from now on begins again with what was there already, which is passed over. */
  rewind(): void;
  /** So many bytes of this output are missing by now. */
  noteCut(channel: OutputChannel, bytes: number): void;
  /** How many bytes are missing, as far as is known. */
  cut(): Truncated;
  /** Stops writing and hands out what is not written, for the ending's own commit. */
  close(): Promise<OutputPiece>;
};

/** `before`: what is stored already, with the position of the next piece. */
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
  // In characters, by channel: how many there have been, and how many of the next ones have been there before.
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
      // It is tried again with what comes after it, at the latest with the ending. Under the same position, since it
      // may be there: a connection can break between a commit and its answer.
      stdout = piece.stdout + stdout;
      stderr = piece.stderr + stderr;
      onError(error);
    }
  };
  const flush = async () => {
    cancelTimer?.();
    cancelTimer = undefined;
    // One at a time, so that a piece that failed is not overtaken.
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
      // A worker that repeats what the script said counts anew.
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
