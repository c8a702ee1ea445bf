import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { needlesOf } from "#common/redaction/needles/needles.ts";

/** The most bytes of a file that a secret may be read from. */
const MAX_FILE_BYTES = 64 * 1024;

const key = (index: number) =>
  createHash("sha256").update(`key ${index}`).digest().subarray(0, 20).toString("base64");

/** As many of these lines as fit into a file. */
function file(head: string, line: (index: number) => string, end = ""): string {
  let text = head;
  for (let index = 0; text.length + line(index).length + end.length <= MAX_FILE_BYTES; index++)
    text += line(index);
  return text + end;
}

it.each([
  ["an environment", file("", (index) => `KEY_${index}=${key(index)}\n`)],
  ["YAML", file("services:\n", (index) => `  - name: svc${index}\n    token: ${key(index)}\n`)],
  ["short passwords", file("", (index) => `PASSWORD_${index}=${key(index).slice(0, 8)}\n`)],
  ["a list", file('["x"', (index) => `,"${key(index)}"`, "]")],
  ["a table", file("user,password\n", (index) => `u${index},${key(index)}\n`)],
  ["lines", file("", (index) => `${key(index)}\n`)],
])(
  "a secret file of 64 KB is small enough to be looked for, with each of its parts: %s",
  {
    timeout: 60_000,
  },
  (_what, value) => {
    const looked = new Set(needlesOf([value], ["CONFIG"]).map(({ bytes }) => Buffer.from(bytes).toString()));
    for (const index of [0, 7, 500]) {
      const secret = value.includes(key(index)) ? key(index) : key(index).slice(0, 8);
      expect(value).toContain(secret);
      const core = secret.replace(/=+$/, "");
      expect(looked).toContain(core);
      expect(looked).toContain(Buffer.from(core).toString("hex"));
    }
  },
);
