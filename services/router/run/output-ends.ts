import type { Clock } from "#common/resilience/clock.ts";
import { EndReason } from "#proto/execution.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import type { RunFinished } from "#proto/worker.ts";
import type { Truncated } from "../execution.ts";
import type { OutputChannel, SanitizeCall } from "../peers/sanitizer.ts";
import type { OutputLog } from "./output-log.ts";
import type { ResponseTimer } from "./response-timer.ts";

export const NOTHING_CUT: Truncated = { stdout: 0, stderr: 0 };

const KILLED: ReadonlySet<EndReason> = new Set([
  EndReason.KILLED,
  EndReason.TIMEOUT,
  EndReason.OUT_OF_MEMORY,
  EndReason.WORKER_LOST,
]);

/** Ends a run's two output channels at the sanitizer. */
export type OutputEnds = {
  /** Notes that the channel has output. A channel without output is not ended. */
  wrote(channel: OutputChannel): void;
  /**
   * Ends both channels, once. Resolves to the bytes that were dropped because they may begin a secret that
   * was cut.
   */
  end(isCut: (channel: OutputChannel) => boolean): Promise<Truncated>;
};

export function createOutputEnds(sanitizer: SanitizeCall, responseTimer: ResponseTimer): OutputEnds {
  const written = new Set<OutputChannel>();
  let ended: Promise<Truncated> | undefined;
  return {
    wrote(channel) {
      written.add(channel);
    },
    end(isCut) {
      const end = async (channel: OutputChannel) =>
        written.has(channel) ? await sanitizer.endOutput(channel, isCut(channel)) : 0;
      ended ??= responseTimer.whileBusy(async () => {
        const [stdout, stderr] = await Promise.all([
          end(SanitizeChannel.STDOUT),
          end(SanitizeChannel.STDERR),
        ]);
        return { stdout, stderr };
      });
      return ended;
    },
  };
}

/**
 * Whether the output may end in the middle of a secret, because it was too long or the script was killed
 * while it wrote.
 */
export function isCut({ truncated, endReason }: RunFinished, channel: OutputChannel): boolean {
  const cutBytes = channel === SanitizeChannel.STDOUT ? truncated?.stdoutBytes : truncated?.stderrBytes;
  return (cutBytes ?? 0) > 0 || KILLED.has(endReason);
}

/**
 * Notes the bytes that are missing of a run that broke off. `truncated` is the worker's count; undefined when
 * the worker could not report it.
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

/** Resolves to the result of `work`; undefined when `work` rejects, or after `ms`. */
export async function within<T>(ms: number, work: Promise<T>, clock: Clock): Promise<T | undefined> {
  const over = Promise.withResolvers<undefined>();
  const stopTimer = clock.after(ms, () => over.resolve(undefined));
  return await Promise.race([work.catch(() => undefined), over.promise]).finally(stopTimer);
}
