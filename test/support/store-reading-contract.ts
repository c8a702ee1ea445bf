import { expect, it } from "vitest";
import { type Ending, failure, NO_OUTPUT } from "../../services/router/execution.ts";
import { readWhole } from "../../services/router/store/reading.ts";
import type { ExecutionStore, Reading, TextPiece } from "../../services/router/store/store.ts";

const MIB = 1024 * 1024;
/** Three bytes to a character, so that slices of bytes end within one. */
const LONG = "日".repeat(MIB);
const ENDING: Ending = {
  ...failure("killed", ""),
  reason: "completed",
  error: null,
  resultJson: `"${LONG}"`,
  memoryUpdatesJson: `{"a":{"b":"${LONG}"}}`,
  executionTimeMs: 12,
};

/** What every adapter must do with executions that are read piece by piece; `running` gives one that has started. */
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

  it("reads a long execution in pieces, of which none is large, and short output in one", async () => {
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

  it("reads what was there when it began, and nothing of an ending that came later", async () => {
    const id = await running();
    await write(id);
    const before = await store().get(id);
    const reading = await readingOf(id);
    await store().finish(id, ENDING, { position: 40, stdout: "last", stderr: "" }, 9);
    expect(await readWhole(reading)).toEqual(before);
  });

  it("reads less of one that is forgotten meanwhile, and nothing of an unknown one", async () => {
    const id = await running();
    await store().finish(id, ENDING, NO_OUTPUT, 9);
    const reading = await readingOf(id);
    await store().deleteEndedBefore(10, 10);
    expect(await piecesOf(reading)).toEqual([]);
    expect(await store().read(id)).toBeUndefined();
  });
}
