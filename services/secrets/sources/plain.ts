import type { SecretSource } from "./source.ts";

/** Values that stand in the project file itself. */
export const plainSource: SecretSource = { read: async (value) => value };
