import type { DatabaseSync } from "node:sqlite";
import type { Reserve } from "#common/database/sqlite/reserve.ts";
import { Turn } from "#common/event-loop/turn.ts";
import { piecesOf } from "#common/text-pieces.ts";

/**
 * The most characters that the texts of an execution may have in its row. Longer texts are stored apart from
 * the row.
 */
const ROW_CHARACTERS = 64 * 1024;
/** The length of a piece, in characters. SQLite needs about 2 ms to write one. */
const PIECE_CHARACTERS = 256 * 1024;

type RowWithTexts = { readonly execution_id: string; readonly apart_bytes: number };

/**
 * The texts as the row holds them: complete with `apartBytes` 0, or empty with `apartBytes` the bytes stored
 * apart.
 */
export type InRow<Field extends string> = Readonly<Record<Field, string>> & { readonly apartBytes: number };

/**
 * Stores the long texts of executions in pieces, in a table beside their rows. SQLite writes the whole row
 * for each change of it, and reads past its long columns to the columns behind them. A text of 15 MB in one
 * statement would block the process for 100 ms. The pieces are written before the row that refers to them, in
 * turns with other work.
 */
export function createLongTexts(db: DatabaseSync, reserve: Reserve) {
  // Deletes the pieces of executions that were never accepted, and of endings that were not recorded. A row
  // whose result is stored apart has an empty `result`.
  const sweep = () =>
    db.exec(
      `DELETE FROM long_texts WHERE NOT EXISTS (SELECT 1 FROM executions WHERE executions.execution_id = long_texts.execution_id
     AND (long_texts.field NOT IN ('result', 'memory_updates') OR executions.result = ''))`,
    );
  reserve.use(sweep);
  const insert = db.prepare(
    "INSERT INTO long_texts (execution_id, field, position, piece) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET piece = ?4",
  );
  const select = db.prepare(
    "SELECT piece FROM long_texts WHERE execution_id = ? AND field = ? AND position = ?",
  );
  const remove = db.prepare("DELETE FROM long_texts WHERE execution_id = ? AND field = ?");

  const read = async (executionId: string, field: string): Promise<string> => {
    const turn = new Turn();
    let text = "";
    for (let position = 0; ; position++) {
      const row = select.get(executionId, field, position) as { piece: string } | undefined;
      if (!row) return text;
      text += row.piece;
      if (turn.isOver) await turn.next();
    }
  };

  // Deletions that failed because the disk was full and the reserve used up, by execution and field.
  const left = new Map<string, () => void>();
  const removeLeft = () => {
    for (const [name, removeOne] of left) {
      try {
        reserve.use(removeOne);
        left.delete(name);
      } catch {
        return;
      }
    }
  };

  return {
    /**
     * Stores long texts in pieces, apart from the row. Resolves to the values for the row: short texts, or
     * empty ones.
     */
    async write<Field extends string>(
      executionId: string,
      texts: Readonly<Record<Field, string>>,
    ): Promise<InRow<Field>> {
      const fields = Object.entries(texts) as [Field, string][];
      if (fields.reduce((sum, [, text]) => sum + text.length, 0) <= ROW_CHARACTERS)
        return { ...texts, apartBytes: 0 };
      const turn = new Turn();
      let apartBytes = 0;
      for (const [field, text] of fields) {
        left.delete(`${executionId} ${field}`);
        let position = 0;
        for (const piece of piecesOf(text, PIECE_CHARACTERS)) {
          insert.run(executionId, field, position++, piece);
          apartBytes += Buffer.byteLength(piece);
          if (turn.isOver) await turn.next();
        }
      }
      const empty = Object.fromEntries(fields.map(([field]) => [field, ""])) as Record<Field, string>;
      return { ...empty, apartBytes };
    },

    /** The row with its texts: a field that is empty in the row is read from the pieces stored apart. */
    async restore<Row extends RowWithTexts>(row: Row, fields: readonly (keyof Row & string)[]): Promise<Row> {
      if (row.apart_bytes === 0) return row;
      const restored = { ...row };
      for (const field of fields.filter((field) => row[field] === "")) {
        restored[field] = (await read(row.execution_id, field)) as Row[typeof field];
      }
      return restored;
    },

    /** Deletes texts that no row refers to, as soon as the disk allows it. */
    forget(executionId: string, fields: readonly string[]): void {
      for (const field of fields) left.set(`${executionId} ${field}`, () => remove.run(executionId, field));
      removeLeft();
    },

    /** Repeats the deletions that failed on a full disk. */
    removeLeft,
  };
}
