import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isFull, refusalOfFull } from "./errors.ts";

const MIB = 1024 * 1024;
const RESERVE_BYTES = 32 * MIB;
/**
 * The bytes by which the reserve shrinks at a time. Few, because another program that fills the disk could
 * take what the statement does not need.
 */
const STEP_BYTES = MIB;

/**
 * A file that occupies space on the disk of the database, so that small statements can use that space once
 * the disk is full.
 */
export type Reserve = {
  /** The bytes that the reserve holds now. */
  readonly bytes: number;
  /** Grows the reserve to its full size of 32 MiB, as far as the disk has free space. */
  refill(): Promise<void>;
  /**
   * Runs `work`, a small statement. On a full disk the reserve gives back space until `work` succeeds. Throws
   * `unavailable` when the reserve is used up.
   */
  use<T>(work: () => T): T;
  close(): void;
};

/** Opens the reserve in the file at `path`. The first `refill` creates the file. */
export function openReserve(path: string): Reserve {
  let file = existsSync(path) ? openSync(path, "r+") : undefined;
  let held = file === undefined ? 0 : fstatSync(file).size;
  let filling: Promise<void> | undefined;
  let isClosed = false;

  const fill = async () => {
    try {
      file ??= openSync(path, "w", 0o600);
      while (held < RESERVE_BYTES && !isClosed) {
        held += writeSync(file, Buffer.alloc(STEP_BYTES), 0, STEP_BYTES, held);
        await nextTurn();
      }
    } catch {
      // The disk has no more space now. The reserve keeps what it has, and the next refill tries again.
    }
  };

  return {
    get bytes() {
      return held;
    },
    async refill() {
      if (held >= RESERVE_BYTES) return;
      filling ??= fill().finally(() => {
        filling = undefined;
      });
      await filling;
    },
    use(work) {
      for (;;) {
        try {
          return work();
        } catch (error) {
          if (!isFull(error) || file === undefined || held === 0) throw refusalOfFull(error);
        }
        held = Math.max(0, held - STEP_BYTES);
        ftruncateSync(file, held);
      }
    },
    close() {
      isClosed = true;
      if (file !== undefined) closeSync(file);
      file = undefined;
      held = 0;
    },
  };
}
