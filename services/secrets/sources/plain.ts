import type { SecretSource } from "./source.ts";

/** A source whose values stand in the project file itself. */
export const plainSource: SecretSource = { isRemote: false, read: async (value) => value };
