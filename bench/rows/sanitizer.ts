import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { TRIGGERS } from "../../services/sanitizer/credentials/formats.ts";
import { type Judge, loadRules } from "../../services/sanitizer/credentials/rules.ts";
import { SanitizerSession } from "../../services/sanitizer/session.ts";
import type { Row } from "../bench.ts";
import { type Figure, figureOf } from "../figure.ts";
import { interleave, type Rounds, type Subject } from "../rounds.ts";

const COUNTS = [1, 10, 100, 1_000] as const;
const FLOOR = "reading every byte";
// The size of chunks that a worker sends.
const CHUNK_BYTES = 64 * 1_024;
const MB = 1_000_000;
const ROUNDS = 5;

/**
 * Measures a session of the sanitizer, which the service has for each execution, with its second pass for
 * unknown credentials, but without gRPC.
 */
export const sanitizer: Row = {
  name: "sanitizer",
  title: "sanitizer, MB per CPU second; ratio to a loop that adds up the bytes",
  async measure(bench) {
    bench.say("sanitizer");
    const judge = await loadRules();
    const bytes = bench.plan.sanitizerMb * MB;
    const subjects: Subject<"rate">[] = [
      { name: FLOOR, round: async () => ({ rate: await rateOf(bytes, async (text) => void sum(text)) }) },
      ...COUNTS.map((count) => sessionOf(count, judge, bytes)),
    ];
    // A first round is not counted, because V8 has to compile the code.
    await interleave(subjects, 1);
    const rounds = await interleave(subjects, ROUNDS);
    return [...rounds.figures(this.name, "MB/s"), flatness(this.name, rounds)];
  },
};

function subjectName(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "secret" : "secrets"}`;
}

function sessionOf(count: number, judge: Judge, bytes: number): Subject<"rate"> {
  const secrets = Array.from({ length: count }, (_, index) => digest(`secret ${index}`).slice(0, 40));
  const needles = compileNeedles(
    secrets,
    secrets.map((_, index) => `S${index}`),
    TRIGGERS,
  );
  const channel = SanitizeChannel.STDOUT;
  return {
    name: subjectName(count),
    floor: FLOOR,
    async round() {
      const session = new SanitizerSession(needles, judge, new AbortController().signal);
      const push = async (data: Buffer, end: boolean) => {
        for await (const piece of session.take({ channel, data, end, cut: false })) void piece;
      };
      const secret = Buffer.from(secrets[0] as string);
      return {
        rate: await rateOf(bytes, async (text) => {
          secret.copy(text, 100);
          for (let at = 0; at < text.length; at += CHUNK_BYTES)
            await push(text.subarray(at, at + CHUNK_BYTES), false);
          await push(Buffer.alloc(0), true);
        }),
      };
    },
  };
}

/** The ratio of the fastest rate to the slowest, over all numbers of secrets. */
function flatness(row: string, rounds: Rounds<"rate">): Figure {
  const rates = COUNTS.map((count) => rounds.samples(subjectName(count)).map(({ rate }) => rate));
  const factors = (rates[0] ?? []).map((_, round) => {
    const ofRound = rates.map((each) => each[round] ?? Number.NaN);
    return Math.max(...ofRound) / Math.min(...ofRound);
  });
  return figureOf(
    { row, subject: "fastest ÷ slowest, 1 to 1,000 secrets", metric: "rate", unit: "×" },
    factors,
  );
}

setFlagsFromString("--expose-gc");
// Without this flag a garbage collection would drop compiled code, too.
setFlagsFromString("--no-flush-bytecode");
const collectGarbage = runInNewContext("gc") as () => void;

/** Megabytes of text per second of this process's CPU time. */
async function rateOf(bytes: number, work: (text: Buffer) => Promise<void>): Promise<number> {
  const text = Buffer.from(lines(bytes));
  // Garbage is collected first, because V8 would otherwise collect these megabytes later on other threads,
  // and that CPU time would count for the next measurement.
  collectGarbage();
  const before = process.cpuUsage();
  await work(text);
  const { user, system } = process.cpuUsage(before);
  return text.length / (user + system);
}

/** Text as scripts print it: numbers, names, paths, digests. */
function lines(bytes: number): string {
  const page = Array.from({ length: 500 }, (_, index) => {
    const id = digest(`line ${index}`);
    return `2026-11-21T10:${index % 60}:07Z row ${index} customer=${id.slice(0, 12)} total=${index * 17.25} /data/${id.slice(12, 20)}.parquet ok`;
  }).join("\n");
  return page.repeat(Math.ceil(bytes / page.length)).slice(0, bytes);
}

function sum(text: Buffer): number {
  let total = 0;
  for (let at = 0; at < text.length; at++) total = (total + (text[at] as number)) | 0;
  return total;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
