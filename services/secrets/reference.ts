/** What the project file says a secret is: which source holds it and where in that source. */
export type Reference = {
  readonly kind: "env" | "file" | "plain";
  /** A variable's name, a path, or for plain text the value itself. */
  readonly location: string;
};

/** Parses a reference; undefined when it starts like one and is none of the known forms. */
export function parseReference(text: string): Reference | undefined {
  if (!text.startsWith("${")) return { kind: "plain", location: text };
  const match = /^\$\{(env|file):([^}\0]+)\}$/.exec(text);
  return match ? { kind: match[1] as "env" | "file", location: match[2] as string } : undefined;
}
