import type { DatabaseSync } from "node:sqlite";
import type { Reserve } from "#common/database/sqlite/reserve.ts";
import { Turn } from "#common/event-loop/turn.ts";
import { piecesOf } from "#common/text-pieces.ts";

/**
 * The most characters that the long texts of an execution may have together to be stored in its row of
 * `executions`. Longer texts are stored in the table `long_texts`.
 */
const ROW_CHARACTERS = 64 * 1024;
/**
 * The length of a piece in `long_texts`, in characters. SQLite needs about 2 ms to write a piece, and blocks
 * the process meanwhile.
 */
const PIECE_CHARACTERS = 256 * 1024;

type RowWithTexts = { readonly execution_id: string; readonly apart_bytes: number };

/**
 * The texts as the execution's row holds them: complete, with `apartBytes` 0, or empty, with `apartBytes` the
 * bytes of the texts in the table `long_texts`.
 */
export type InRow<Field extends string> = Readonly<Record<Field, string>> & { readonly apartBytes: number };

/**
 * Stores the long texts of executions in pieces in the table `long_texts`, because SQLite writes the whole
 * row for each change of a row, and reads past long columns to the columns behind them. A text of 15 MB in
 * one statement would block the process for 100 ms. The pieces are written before the row that refers to
 * them, and the router does other work between the pieces.
 */
export function createLongTexts(db: DatabaseSync, reserve: Reserve) {
  // Deletes pieces without a row that refers to them: those of executions that were never accepted, and those
  // of endings that were not recorded. A row whose result is stored apart has an empty `result`.
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

  // Deletions of texts that failed because the disk was full and the reserve used up, by execution and field.
  // `removeLeft` repeats them.
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
     * Stores the texts in pieces apart from the row, if they are too long for it. Resolves to the values for
     * the row: the texts themselves, or empty texts.
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

    /**
     * Returns the row with its texts. A field that is empty in the row is read from the pieces in
     * `long_texts`.
     */
    async restore<Row extends RowWithTexts>(row: Row, fields: readonly (keyof Row & string)[]): Promise<Row> {
      if (row.apart_bytes === 0) return row;
      const restored = { ...row };
      for (const field of fields.filter((field) => row[field] === "")) {
        restored[field] = (await read(row.execution_id, field)) as Row[typeof field];
      }
      return restored;
    },

    /**
     * Deletes texts from `long_texts` that no row refers to. When the disk is too full for that, `removeLeft`
     * repeats the deletion.
     */
    forget(executionId: string, fields: readonly string[]): void {
      for (const field of fields) left.set(`${executionId} ${field}`, () => remove.run(executionId, field));
      removeLeft();
    },

    /** Repeats the deletions of texts that failed because the disk was full. */
    removeLeft,
  };
}
