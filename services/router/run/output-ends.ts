import type { Clock } from "#common/resilience/clock.ts";
import { EndReason } from "#proto/execution.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import type { RunFinished } from "#proto/worker.ts";
import type { Truncated } from "../execution.ts";
import type { OutputChannel, SanitizeCall } from "../peers/sanitizer.ts";
import type { OutputLog } from "./output-log.ts";

export const NOTHING_CUT: Truncated = { stdout: 0, stderr: 0 };

const KILLED: ReadonlySet<EndReason> = new Set([
  EndReason.KILLED,
  EndReason.TIMEOUT,
  EndReason.OUT_OF_MEMORY,
  EndReason.WORKER_LOST,
]);

/** Ends the stdout and stderr channels of a run at the sanitizer. */
export type OutputEnds = {
  /** Notes that the script wrote to the channel. A channel without output is not ended at the sanitizer. */
  wrote(channel: OutputChannel): void;
  /**
   * Ends both channels; a second call returns the result of the first. `isCut`: whether the output of a
   * channel was cut off at its end. Resolves to the bytes of each channel that the sanitizer dropped, because
   * they could begin a secret.
   */
  end(isCut: (channel: OutputChannel) => boolean): Promise<Truncated>;
};

export function createOutputEnds(sanitizer: SanitizeCall): OutputEnds {
  const written = new Set<OutputChannel>();
  let ended: Promise<Truncated> | undefined;
  return {
    wrote(channel) {
      written.add(channel);
    },
    end(isCut) {
      const end = async (channel: OutputChannel) =>
        written.has(channel) ? await sanitizer.endOutput(channel, isCut(channel)) : 0;
      ended ??= Promise.all([end(SanitizeChannel.STDOUT), end(SanitizeChannel.STDERR)]).then(
        ([stdout, stderr]) => ({ stdout, stderr }),
      );
      return ended;
    },
  };
}

/**
 * Whether a channel's output may end in the middle of a secret, because the worker cut the output at the size
 * limit, or killed the script while it wrote.
 */
export function isCut({ truncated, endReason }: RunFinished, channel: OutputChannel): boolean {
  const cutBytes = channel === SanitizeChannel.STDOUT ? truncated?.stdoutBytes : truncated?.stderrBytes;
  return (cutBytes ?? 0) > 0 || KILLED.has(endReason);
}

/**
 * Notes in the output log how many bytes are missing from the output of a run that broke off. `truncated`:
 * how many the worker has cut; undefined when the worker could not report it. `dropped`: how many the
 * sanitizer has dropped.
 */
export function noteCut(output: OutputLog, truncated: RunFinished["truncated"], dropped: Truncated): void {
  const known = output.cut();
  output.noteCut(
    SanitizeChannel.STDOUT,
    Math.max(known.stdout, truncated?.stdoutBytes ?? 0) + dropped.stdout,
  );
  output.noteCut(
    SanitizeChannel.STDERR,
    Math.max(known.stderr, truncated?.stderrBytes ?? 0) + dropped.stderr,
  );
}

/**
 * Resolves to the result of `work`, or to undefined when `work` rejects or takes longer than `ms`
 * milliseconds.
 */
export async function within<T>(ms: number, work: Promise<T>, clock: Clock): Promise<T | undefined> {
  const over = Promise.withResolvers<undefined>();
  const stopTimer = clock.after(ms, () => over.resolve(undefined));
  return await Promise.race([work.catch(() => undefined), over.promise]).finally(stopTimer);
}
