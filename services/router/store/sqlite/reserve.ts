import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AirlockError } from "#common/errors.ts";

const MIB = 1024 * 1024;
const RESERVE_BYTES = 32 * MIB;
/** What is given back for one statement: whatever else fills the disk could take the rest. */
const STEP_BYTES = MIB;
const SQLITE_FULL = 13;
/** The index of the log has no room. */
const SQLITE_IOERR_SHMSIZE = 4_874;

/** Room on the disk of the database that nothing else can take. */
export type Reserve = {
  /** What it holds now. */
  readonly bytes: number;
  /** Takes what is missing, as far as the disk has it. */
  refill(): Promise<void>;
  /**
   * Does `work`, a small statement; on a full disk the reserve gives back as much as that needs. Throws `unavailable`
   * when nothing is left.
   */
  use<T>(work: () => T): T;
  close(): void;
};

/** The reserve in the file at `path`, which there is once it is filled for the first time. */
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
      // There is no more room now; the next refill tries again.
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

/** What a caller is told where `error` says that the disk is full; any other error as it is. */
export function refusalOfFull(error: unknown): unknown {
  return isFull(error) ? diskFull(error) : error;
}

function isFull(error: unknown): boolean {
  const code = error instanceof Error ? (error as { errcode?: number }).errcode : undefined;
  return code === SQLITE_FULL || code === SQLITE_IOERR_SHMSIZE;
}

function diskFull(cause: unknown): AirlockError {
  return new AirlockError(
    "unavailable",
    "The disk of Airlock's database is full. Try again in a while; the operator has to make room.",
    { cause },
  );
}
