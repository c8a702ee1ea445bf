import { expect, it } from "vitest";
import { type Ending, failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { readWhole } from "../../../services/router/store/reading.ts";
import type { ExecutionStore, Reading, TextPiece } from "../../../services/router/store/store.ts";

const MIB = 1024 * 1024;
/** A text of 3 MB whose characters have three bytes each, so that slices of bytes cut characters. */
const LONG = "日".repeat(MIB);
const ENDING: Ending = {
  ...failure("killed", ""),
  reason: "completed",
  error: null,
  resultJson: `"${LONG}"`,
  memoryUpdatesJson: `{"a":{"b":"${LONG}"}}`,
  executionTimeMs: 12,
};

/** Defines the tests of reading executions piece by piece, for every adapter; `running` gives a started execution. */
export function itReadsInPieces(store: () => ExecutionStore, running: () => Promise<string>): void {
  const readingOf = async (id: string): Promise<Reading> => {
    const reading = await store().read(id);
    if (!reading) throw new Error("it is unknown");
    return reading;
  };
  const piecesOf = async (reading: Reading): Promise<TextPiece[]> => {
    const pieces: TextPiece[] = [];
    for await (const piece of reading.pieces()) pieces.push(piece);
    return pieces;
  };
  const write = async (id: string) => {
    for (let position = 0; position < 40; position++) {
      const text = position === 20 ? LONG : `${position}é\0\n`;
      await store().appendOutput(id, { position, stdout: text, stderr: position % 2 === 0 ? text : "" });
    }
  };

  it("the store reads a long execution in pieces of bounded size, and short output in one piece", async () => {
    const id = await running();
    await write(id);
    expect(await store().finish(id, ENDING, { position: 40, stdout: "last", stderr: "" }, 9)).toBe(true);
    const reading = await readingOf(id);
    const { resultJson, memoryUpdatesJson, ...ending } = ENDING;
    expect(reading.execution).toMatchObject({
      executionId: id,
      stdout: "",
      stderr: "",
      state: { ending: { ...ending, resultJson: "", memoryUpdatesJson: "" } },
    });
    const pieces = await piecesOf(reading);
    expect(Math.max(...pieces.map(({ piece }) => piece.length))).toBeLessThanOrEqual(MIB);
    expect(pieces.filter(({ piece }) => piece.length < 1_000).length).toBeLessThan(8);
    expect(await readWhole(reading)).toEqual(await store().get(id));
  });

  it("the store reads an execution as it was when the read began, and nothing of a later ending", async () => {
    const id = await running();
    await write(id);
    const before = await store().get(id);
    const reading = await readingOf(id);
    await store().finish(id, ENDING, { position: 40, stdout: "last", stderr: "" }, 9);
    expect(await readWhole(reading)).toEqual(before);
  });

  it.each([
    ["nothing more than there is", { stdout: 10 ** 9, stderr: 10 ** 9 }],
    ["one output alone", { stdout: 0, stderr: 10 ** 9 }],
    ["what begins within a piece", { stdout: 7, stderr: 0 }],
    ["what begins within a long piece", { stdout: 3 * MIB, stderr: 5 }],
    ["what begins at a piece", { stdout: 20 * "10é\0\n".length + 30, stderr: 40 }],
    ["what begins within a character", { stdout: MIB + 1, stderr: 2 }],
  ])("the store leaves out of a read what the caller has: %s", async (_name, from) => {
    const id = await running();
    await write(id);
    const whole = await readWhole(await readingOf(id));
    const rest = (text: string, bytes: number) => {
      const left = Buffer.from(text).subarray(bytes);
      return left.subarray(left.findIndex((byte) => byte >> 6 !== 0b10)).toString();
    };
    const reading = await store().read(id, from);
    const read = await readWhole(reading as Reading);
    expect(read.stdout === rest(whole.stdout, from.stdout)).toBe(true);
    expect(read.stderr === rest(whole.stderr, from.stderr)).toBe(true);
    const skipped = (text: string, bytes: number) => Math.min(bytes, Buffer.byteLength(text));
    expect(reading?.skippedBytes).toBe(
      skipped(whole.stdout, from.stdout) + skipped(whole.stderr, from.stderr),
    );
  });

  it("the store leaves nothing out of an execution that has printed nothing", async () => {
    const reading = await store().read(await running(), { stdout: 5, stderr: 5 });
    expect(reading?.skippedBytes).toBe(0);
    expect(await piecesOf(reading as Reading)).toEqual([]);
  });

  it("the store reads less of an execution that is forgotten meanwhile, and nothing of an unknown one", async () => {
    const id = await running();
    await store().finish(id, ENDING, NO_OUTPUT, 9);
    const reading = await readingOf(id);
    await store().deleteEndedBefore(10, 10);
    expect(await piecesOf(reading)).toEqual([]);
    expect(await store().read(id)).toBeUndefined();
  });
}
