import { createHash, randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { markerFor } from "#common/redaction/markers.ts";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { FORMATS, TRIGGERS } from "../../../services/sanitizer/credentials/formats.ts";
import { loadRules } from "../../../services/sanitizer/credentials/rules.ts";
import { CredentialPass } from "../../../services/sanitizer/credentials/text-pass.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";
import { chunksOf } from "./samples/arbitraries.ts";
import { body, SAMPLES, type Sample, textOf } from "./samples/credential-samples.ts";

const judge = await loadRules();
const noSecrets = compileNeedles([], [], TRIGGERS);
const never = new AbortController().signal;

function redactorFor(needles = noSecrets) {
  const counts = new RedactionCounts();
  return { redactor: new TextRedactor(needles, counts, new CredentialPass(judge, counts)), counts };
}

function redact(chunks: readonly Uint8Array[], { cut = false, needles = noSecrets } = {}) {
  const { redactor, counts } = redactorFor(needles);
  const pieces = chunks.flatMap((chunk) => redactor.push(chunk).map((piece) => Buffer.from(piece)));
  const last = redactor.end(cut);
  const text = Buffer.concat([...pieces, ...last.pieces]).toString();
  return { text, droppedBytes: last.droppedBytes, counts: counts.toMessages() };
}

function redacted(text: string): string {
  return redact([Buffer.from(text)]).text;
}

function bytewise(text: string): Buffer[] {
  return Array.from(Buffer.from(text), (byte) => Buffer.of(byte));
}

async function redactedJson(json: string): Promise<string> {
  const edits = await redactJson(Buffer.from(json), noSecrets, judge, never);
  return Buffer.concat([...edits.pieces()]).toString();
}

function marked({ before, secret, after }: Sample): string {
  return before + markerFor(secret) + after;
}

describe("unknown credentials", () => {
  it.each(SAMPLES.map((sample) => [sample.rule, sample.secret.slice(0, 12), sample] as const))(
    "unknown credentials of %s (%s…) are marked and counted, however the text is cut",
    async (rule, _, sample) => {
      const text = `x = ${textOf(sample)} end`;
      const expected = {
        text: `x = ${marked(sample)} end`,
        droppedBytes: 0,
        counts: [{ secret: `unknown:${rule}`, count: 1 }],
      };
      expect(redact([Buffer.from(text)])).toEqual(expected);
      expect(redact(bytewise(text))).toEqual(expected);
      expect(redacted(textOf(sample))).toBe(marked(sample));
      const json = JSON.stringify({ [text]: ["ü\n", text, 1.0, { deep: text }] });
      expect(JSON.parse(await redactedJson(json))).toEqual({
        [expected.text]: ["ü\n", expected.text, 1.0, { deep: expected.text }],
      });
    },
  );

  it("unknown credentials are sought by every rule that is in use", () => {
    expect(new Set(SAMPLES.map(({ rule }) => rule))).toEqual(new Set(FORMATS.map(({ rule }) => rule)));
  });

  it("unknown credentials begin with triggers that do not hide each other", () => {
    const texts = FORMATS.flatMap(({ triggers }) => triggers);
    for (const text of texts) {
      expect(text.length).toBeLessThan(48);
      for (const other of texts) {
        if (other !== text) expect(text.lastIndexOf(other)).toBeLessThanOrEqual(0);
        if (other !== text) expect(text.endsWith(other)).toBe(false);
      }
    }
    // In a token that begins in the middle of a word no other begins that does not.
    const tokens = FORMATS.filter(({ isToken }) => isToken).flatMap(({ triggers }) => triggers);
    expect(tokens.filter((text) => !/^[\w-]+[\w.-]$/.test(text))).toEqual([]);
  });

  const word = fc.constantFrom(
    "total 12.50",
    "é",
    "日本",
    "a@b.example",
    "https://example.com/x?y=1",
    "-----",
    "=",
  );
  const separator = fc.constantFrom(" ", "\n", "\t", ", ", " | ");
  const pieces = fc.array(fc.tuple(fc.oneof(word, fc.constantFrom(...SAMPLES)), separator), {
    maxLength: 12,
  });

  it(
    "unknown credentials are marked wherever they stand, and no other text is",
    () => {
      const cases = pieces.chain((parts) => {
        const text = parts
          .map(([part, end]) => (typeof part === "string" ? part : textOf(part)) + end)
          .join("");
        return fc.tuple(fc.constant(parts), fc.constant(text), chunksOf(Buffer.from(text)));
      });
      fc.assert(
        fc.property(cases, ([parts, text, chunks]) => {
          const expected = parts.map(([part, end]) => (typeof part === "string" ? part : marked(part)) + end);
          expect(redact(chunks).text).toBe(expected.join(""));
          expect(redacted(text)).toBe(expected.join(""));
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it(
    "unknown credentials are found the same way however a text of half credentials is cut, and in every encoding",
    async () => {
      const fragment = fc.oneof(
        fc.constantFrom(...TRIGGERS),
        fc.constantFrom(...SAMPLES).chain((sample) => fc.nat(60).map((end) => textOf(sample).slice(0, end))),
        fc.constantFrom(...SAMPLES).chain((sample) => fc.nat(60).map((end) => textOf(sample).slice(end))),
        fc.constantFrom(...SAMPLES).map(textOf),
        fc.constantFrom(" ", ".", "_", "-", ":", "@", "/", "é", "x", "0"),
      );
      const cases = fc
        .array(fragment, { maxLength: 8 })
        .map((parts) => parts.join(""))
        .chain((text) => fc.tuple(fc.constant(text), chunksOf(Buffer.from(text))));
      await fc.assert(
        fc.asyncProperty(cases, async ([text, chunks]) => {
          const whole = redact([Buffer.from(text)]);
          expect(redact(chunks)).toEqual(whole);
          expect(redact(bytewise(text))).toEqual(whole);
          expect(JSON.parse(await redactedJson(JSON.stringify(text)))).toBe(whole.text);
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );
});

describe("text without credentials", () => {
  const digest = fc.constantFrom("md5", "sha1", "sha256", "sha512").chain((algorithm) =>
    fc.tuple(
      fc.nat().map((seed) => createHash(algorithm).update(String(seed))),
      fc.constantFrom("hex" as const, "base64" as const, "base64url" as const),
    ),
  );
  const ordinary = fc.oneof(
    fc.double().map(String),
    fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }).map(String),
    digest.map(([hash, encoding]) => hash.digest(encoding)),
    fc.uuid(),
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes).toString("base64")),
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("hex").toUpperCase()),
    fc.array(fc.oneof(fc.integer(), fc.double(), fc.lorem()), { maxLength: 20 }).map((row) => row.join(",")),
    fc.json(),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc.emailAddress(),
    fc.ipV6(),
    fc.lorem({ mode: "sentences" }),
    fc.string({ unit: "binary" }),
    fc.stringMatching(/^[a-z]+(_[a-z0-9]+){0,4}-[a-z]{1,8}$/),
  );

  it(
    "text without credentials stays unchanged, byte for byte",
    async () => {
      const cases = fc
        .array(fc.tuple(ordinary, fc.constantFrom(" ", "\n", ",", "\t", "=", ": ", '"', "")), {
          maxLength: 10,
        })
        .map((parts) => parts.flat().join("").toWellFormed())
        .chain((text) => fc.tuple(fc.constant(text), chunksOf(Buffer.from(text))));
      await fc.assert(
        fc.asyncProperty(cases, async ([text, chunks]) => {
          expect(redact(chunks)).toEqual({ text, droppedBytes: 0, counts: [] });
          const json = JSON.stringify({ [text]: [text] });
          expect(await redactedJson(json)).toBe(json);
        }),
        propertyRuns(2_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it.each([
    ["an example of Amazon's", "AKIAIOSFODNN7EXAMPLE is in Amazon's own examples"],
    ["what is nearly a key of AWS", "XAKIAQWERTYUIOP234567 AKIAQWERTYUIOP2345678 AKIAqwertyuiop234567"],
    ["numbers of AWS accounts", "account: 1234-5678-9012, aws_account_id = 123456789012"],
    [
      "URLs without a password",
      "https://example.com:8443/a@b.example http://user@example.com https://a.example/x:y1234@z.example",
    ],
    [
      "database URLs without a secret password",
      "postgres://db.example:5432/main mysql://root:root@db.example postgres://app:${DB_PASSWORD}@db.example",
    ],
    [
      "what begins as a token of Slack",
      "xoxo-gossip-girl-again-and-again xapp-symbolic-icons-and-themes xoxb-your-token",
    ],
    ["names as long as a token of npm", `npm_config_${"a".repeat(29)} npm_package_${"a".repeat(28)}`],
    [
      "what begins as tokens of others",
      "sk-learn risk-proj-2024 hf_model task-admin-view glpat-short SG.x.y hvs.x dapi-docs vcr_cassettes",
    ],
    [
      "what is nearly a token of GitHub",
      `a_ghp_${body(36)} ghp_${body(35)} ghp_${body(37)} Äghp_${body(36)}`,
    ],
    ["a private key without its text", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"],
    ["a public key", `-----BEGIN PUBLIC KEY-----\nMIIB${body(300)}\n-----END PUBLIC KEY-----`],
    ["a certificate", `-----BEGIN CERTIFICATE-----\nMIIB${body(300)}\n-----END CERTIFICATE-----`],
    ["hashes and ids", `git commit ${createHash("sha1").update("x").digest("hex")} request ${randomUUID()}`],
  ])("text without credentials stays unchanged: %s", (_what, text) => {
    expect(redacted(text)).toBe(text);
    expect(redact(bytewise(text)).text).toBe(text);
  });
});

describe("the search for unknown credentials", () => {
  const github = `ghp_${body(36)}`;
  const shown = markerFor(github);

  it("the search for unknown credentials cannot be switched off by the text itself", () => {
    const text = `# secretlint-disable\n${github} # secretlint-disable-line\n`;
    expect(redacted(text)).toBe(text.replace(github, shown));
  });

  it("the search for unknown credentials covers the text that the project's own secrets leave", () => {
    const other = `gho_${[...github.slice(4)].reverse().join("")}`;
    const needles = compileNeedles([github, "s3cr3t-pw-1", "known-value"], ["A", "B", "C"], TRIGGERS);
    const text = `${github} known-value${other} https://user:s3cr3t-pw-1@host.example`;
    const expected = {
      text: `${shown} [REDACTED][REDACTED...${other.slice(-4)}] https://user:[REDACTED]@host.example`,
      droppedBytes: 0,
      counts: [
        { secret: "A", count: 1 },
        { secret: "C", count: 1 },
        { secret: "unknown:github", count: 1 },
        { secret: "B", count: 1 },
      ],
    };
    expect(redact([Buffer.from(text)], { needles })).toEqual(expected);
    expect(redact(bytewise(text), { needles })).toEqual(expected);
  });

  it("the search for unknown credentials holds nothing back but a possible beginning of one", () => {
    const { redactor } = redactorFor();
    const pushed = (text: string) => Buffer.concat(redactor.push(Buffer.from(text))).toString();
    expect(pushed("progress 10 %")).toBe("progress 10 %");
    expect(pushed(` ${github.slice(0, 30)}`)).toBe(" ");
    expect(pushed("! done")).toBe(`${github.slice(0, 30)}! done`);
    expect(pushed(" nothing that is glued")).toBe(" nothing that is glued");
    expect(pushed(" see https://host.example, http://user")).toBe(" see https://host.example, http://user");
    expect(pushed(":8080")).toBe(":");
    expect(pushed("/path")).toBe("8080/path");
    expect(pushed("\n-----BEGIN PRIVATE KEY-----\nMII")).toBe("\n-----BEGIN PRIVATE KEY-----");
    expect(pushed("E")).toBe("");
    expect(pushed(", no g")).toBe("\nMIIE, no ");
    expect(pushed("hz")).toBe("ghz");
  });

  it("the search for unknown credentials holds back no more than the longest credential that it knows", () => {
    const { redactor } = redactorFor();
    let held = 0;
    let most = 0;
    for (const byte of bytewise(`-----BEGIN PRIVATE KEY-----${body(30_000)}`)) {
      held += 1 - Buffer.concat(redactor.push(byte)).length;
      most = Math.max(most, held);
    }
    expect(most).toBeLessThan(10_100);
  });

  it("the search for unknown credentials masks a key that is too long to be judged as far as it looked", () => {
    const text = `-----BEGIN PRIVATE KEY-----${body(20_000)}-----END PRIVATE KEY-----`;
    const masked = 10_002;
    const expected = `-----BEGIN PRIVATE KEY-----${markerFor(body(masked))}${text.slice(27 + masked)}`;
    expect(redacted(text)).toBe(expected);
    expect(redact(bytewise(text)).text).toBe(expected);
  });

  it("the search for unknown credentials drops at a cut a possible beginning of one, and counts it", () => {
    const text = `text ${github} ${github.slice(0, 30)}`;
    expect(redact([Buffer.from(text)], { cut: true })).toMatchObject({
      text: `text ${shown} `,
      droppedBytes: 30,
    });
    expect(redact(bytewise(`text ${github}`), { cut: true })).toMatchObject({
      text: "text ",
      droppedBytes: 40,
    });
    expect(redact([Buffer.from(text)]).text).toBe(`text ${shown} ${github.slice(0, 30)}`);
  });

  it("the search for unknown credentials works in text that is not valid UTF-8, and keeps the rest of it", () => {
    const noise = Buffer.from([0xff, 0xc3, 0x20]);
    const text = Buffer.concat([noise, Buffer.from(github), noise]);
    const { redactor } = redactorFor();
    const output = Buffer.concat([...redactor.push(text), ...redactor.end(false).pieces]);
    expect(output).toEqual(Buffer.concat([noise, Buffer.from(shown), noise]));
  });

  it("the search for unknown credentials keeps JSON valid when a marker shows quotes, and keeps keys distinct", async () => {
    const url = 'postgres://app:more-than-enough-"\\é@db.example';
    const output = await redactedJson(
      JSON.stringify({ [url]: 1, [`ghp_${body(36)}`]: 2, [`gho_${body(36)}`]: 3 }),
    );
    expect(JSON.parse(output)).toEqual({
      'postgres://app:[REDACTED...-"\\é]@db.example': 1,
      [shown]: 2,
      [`${shown} (2)`]: 3,
    });
  });

  it("the search for unknown credentials changes no number and no literal of a JSON document", async () => {
    const json = `[1.0, -0.0, 9223372036854775809, 5e-324, true, null, "${github}"]`;
    expect(await redactedJson(json)).toBe(json.replace(github, shown));
  });

  it("the search for unknown credentials asks the rules about a bounded number of candidates, and masks further ones", () => {
    // The rule lets this one pass, as its password is its user's name.
    const example = "mysql://root:root@db\n";
    const text = example.repeat(1_200);
    const lines = redacted(text).split(/(?<=\n)/);
    const asked = 1_000 + Math.ceil(text.length / 1_024);
    expect(lines.slice(0, 1_000)).toEqual(Array(1_000).fill(example));
    expect(lines.filter((line) => line === example)).toHaveLength(asked);
    expect(lines.filter((line) => line === "mysql://root:[REDACTED]@db\n")).toHaveLength(1_200 - asked);
    expect(redact(chunked(text, 7)).text).toBe(lines.join(""));
  });

  it.each([
    ["GitHub's prefix", "ghs_"],
    ["GitHub's prefix with a number", "ghs_1_"],
    [
      "prefixes within a token of GitHub",
      `ghs_1_${"-ghs_1_".repeat(140)}.${"-ghs_1_".repeat(1_400)}.${body(900)} `,
    ],
    ["a token of GitHub that is too long", `ghs_1_${body(990)}.${body(9_990)}!`],
    ["the beginnings of URLs", "://"],
    ["short passwords in URLs", "https://ab:cdef1@h.io "],
    ["passwords of databases", "mysql://root:root@h "],
    ["long private keys", `-----BEGIN PRIVATE KEY-----${body(9_000)}-----END PRIVATE KEY-----`],
    ["private keys without an end", "-----BEGIN PRIVATE KEY-----A A"],
    ["tokens of GitLab", `glpat-${body(20)} `],
    ["names of AWS keys", "AccessKey="],
    ["SendGrid's prefix", "SG."],
    ["keys of SendGrid without letters", `SG.${"_".repeat(22)}.${"_".repeat(43)} `],
    ["tokens of Slack", `xoxb-${"a-".repeat(600)} `],
    ["tokens of 1Password", `ops_ey${body(1_200)}fQ `],
  ])(
    "the search for unknown credentials stays fast in the output of a hostile script with %s",
    (_what, pattern) => {
      const size = 2 * 1024 * 1024;
      const chunks = chunked(pattern.repeat(Math.ceil(size / pattern.length)), 65_536);
      const before = process.cpuUsage();
      redact(chunks);
      const { user, system } = process.cpuUsage(before);
      // It takes up to 0.2 s; a rule that met this text as a whole would take minutes for some of these.
      expect((user + system) / 1e6).toBeLessThan(2);
    },
  );
});

function chunked(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}
