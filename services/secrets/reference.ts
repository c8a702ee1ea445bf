/** What the project file says a secret is: which source holds it and where in that source. */
export type Reference = {
  readonly kind: "env" | "file" | "vault" | "plain";
  /** A variable's name, a path, `mount/path#field` of a vault, or for plain text the value itself. */
  readonly location: string;
};

/** Parses a reference; undefined when it starts like one, or has one in it, and is none of the known forms. */
export function parseReference(text: string): Reference | undefined {
  if (!text.startsWith("${") && !/\$\{(env|file|vault):/.test(text)) return { kind: "plain", location: text };
  const match = /^\$\{(env|file|vault):([^}\0]+)\}$/.exec(text);
  if (!match) return undefined;
  const [, kind, location] = match as unknown as [string, "env" | "file" | "vault", string];
  if (kind === "vault" && !parseVaultLocation(location)) return undefined;
  return { kind, location };
}

/** A field of one secret in a KV v2 engine. */
export type VaultLocation = {
  readonly mount: string;
  readonly path: readonly string[];
  readonly field: string;
};

/** Parses `mount/path#field`; the mount is the first part. */
export function parseVaultLocation(location: string): VaultLocation | undefined {
  const [, where = "", field = ""] = /^([^#]+)#([^#]+)$/.exec(location) ?? [];
  const [mount = "", ...path] = where.split("/");
  const parts = [mount, ...path];
  if (path.length === 0 || parts.some((part) => ["", ".", ".."].includes(part.trim()))) return undefined;
  return { mount, path, field };
}
