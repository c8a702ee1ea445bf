import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readExtraAuthorities } from "../../../services/egress/extra-authorities.ts";
import { createTestCertificates } from "../../harness/echo-server.ts";

let directory: string;
let authority: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-authorities-"));
  authority = (await createTestCertificates()).authority.trim();
});
afterAll(() => rm(directory, { recursive: true }));

async function read(text: string): Promise<string> {
  const path = join(directory, "authorities.pem");
  await writeFile(path, text);
  return await readExtraAuthorities(path);
}

it("AIRLOCK_EGRESS_EXTRA_CA gives the certificates of its file without the text between them", async () => {
  expect(await read(`# ours\n${authority}\nsubject=x\n${authority}\n`)).toBe(`${authority}\n${authority}\n`);
});

it("AIRLOCK_EGRESS_EXTRA_CA gives no certificates when it is not set", async () => {
  expect(await readExtraAuthorities(undefined)).toBe("");
});

it.each([
  ["no certificate at all", "hello", /AIRLOCK_EGRESS_EXTRA_CA: .* contains no certificate in PEM form/],
  [
    "a damaged one",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    /contains a certificate that cannot be read, number 1\./,
  ],
])("AIRLOCK_EGRESS_EXTRA_CA refuses a file with %s", async (_, text, message) => {
  await expect(read(text)).rejects.toThrow(message);
});

it("AIRLOCK_EGRESS_EXTRA_CA refuses a file that does not exist", async () => {
  await expect(readExtraAuthorities(join(directory, "none"))).rejects.toThrow("none does not exist.");
});
