import type { SecretSource } from "./source.ts";

/** Values that stand in the project file itself. */
export const plainSource: SecretSource = { isRemote: false, read: async (value) => value };
