import type { Spelling } from "./spelling.ts";

const lower = (text: string) => Buffer.from(text).toString("hex");

export const HEX_SPELLINGS: readonly Spelling[] = [
  { write: lower, marksToo: false },
  { write: (text) => lower(text).toUpperCase(), marksToo: false },
];
