/**
 * A parsed reference to a secret's value: the kind of source that holds the value, and its location there.
 */
export type Reference = {
  readonly kind: "env" | "file" | "vault" | "plain";
  /**
   * The name of an environment variable, the path of a file, `mount/path#field` of a vault, or, for plain
   * text, the value itself.
   */
  readonly location: string;
};

/**
 * Parses a secret's text in a project file. Text without a reference is the value itself ("plain"). Undefined
 * for a malformed reference, and for a reference with other text around it.
 */
export function parseReference(text: string): Reference | undefined {
  if (!text.startsWith("${") && !/\$\{(env|file|vault):/.test(text)) return { kind: "plain", location: text };
  const match = /^\$\{(env|file|vault):([^}\0]+)\}$/.exec(text);
  if (!match) return undefined;
  const [, kind, location] = match as unknown as [string, "env" | "file" | "vault", string];
  if (kind === "vault" && !parseVaultLocation(location)) return undefined;
  return { kind, location };
}

/** The location of one field of a secret in a KV v2 engine of a vault. */
export type VaultLocation = {
  readonly mount: string;
  readonly path: readonly string[];
  readonly field: string;
};

/** Parses `mount/path#field`; the mount is the first part of the path. Undefined for any other text. */
export function parseVaultLocation(location: string): VaultLocation | undefined {
  const [, where = "", field = ""] = /^([^#]+)#([^#]+)$/.exec(location) ?? [];
  const [mount = "", ...path] = where.split("/");
  const parts = [mount, ...path];
  if (path.length === 0 || parts.some((part) => ["", ".", ".."].includes(part.trim()))) return undefined;
  return { mount, path, field };
}
