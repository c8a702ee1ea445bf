import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { document, type Harness, startHarness } from "./sanitizer-harness.ts";

const { STDOUT, STDERR, ERROR, LLM_PROMPT, LLM_MODEL, RESULT, MEMORY_UPDATES } = SanitizeChannel;
const KEY = "sk-live-0123456789";
const GITHUB_TOKEN = `ghp_${"a1B2".repeat(9)}`;
const MIB = 1024 * 1024;

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
  await harness.write("token", "file-token-number-one\n");
  await harness.project("demo", { KEY, TOKEN: "${file:token}", SHORT: "abcdef" });
  await harness.project("none", {});
});
afterAll(() => harness.stop());

describe("the sanitizer", () => {
  it.each([
    ["stdout", STDOUT],
    ["stderr", STDERR],
    ["error", ERROR],
    ["prompt", LLM_PROMPT],
    ["model", LLM_MODEL],
  ])("the sanitizer redacts %s, split anywhere", async (_, channel) => {
    const stream = await harness.open("demo");
    const text = `before ${KEY} between abcdef, file-token-number-one after`;
    const expected = "before [REDACTED...6789] between [REDACTED], [REDACTED...-one] after";
    expect((await document(stream, channel, [text])).text).toBe(expected);
    expect((await document(stream, channel, [...text])).text).toBe(expected);
    stream.close();
    expect(await stream.next()).toBeNull();
  });

  it.each([
    ["result", RESULT],
    ["memory updates", MEMORY_UPDATES],
  ])("the sanitizer redacts the JSON of %s and keeps its numbers", async (_, channel) => {
    const stream = await harness.open("demo");
    const json = `{"${KEY}": {"v": "x\\u002f${KEY}"}, "big": 9223372036854775809, "f": 1.0, "n": -0.0}`;
    const { text } = await document(stream, channel, [json.slice(0, 30), json.slice(30)]);
    expect(text).toBe(
      '{"[REDACTED...6789]": {"v": "x\\u002f[REDACTED...6789]"}, "big": 9223372036854775809, "f": 1.0, "n": -0.0}',
    );
    stream.cancel();
  });

  it.each([STDOUT, STDERR, ERROR, LLM_PROMPT, LLM_MODEL])(
    "the sanitizer marks credentials that are none of the project's on channel %s, split anywhere",
    async (channel) => {
      const stream = await harness.open("demo");
      const text = `# secretlint-disable\n${GITHUB_TOKEN} https://user:${KEY}@host.example`;
      const expected = "# secretlint-disable\n[REDACTED...a1B2] https://user:[REDACTED...6789]@host.example";
      expect((await document(stream, channel, [text])).text).toBe(expected);
      expect((await document(stream, channel, [...text])).text).toBe(expected);
      stream.cancel();
    },
  );

  it.each([RESULT, MEMORY_UPDATES])(
    "the sanitizer marks unknown credentials in the JSON on channel %s",
    async (channel) => {
      const stream = await harness.open("none");
      const json = `{"${GITHUB_TOKEN}": ["x\\n${GITHUB_TOKEN}", 1.0, -0.0, 9223372036854775809]}`;
      expect((await document(stream, channel, [json])).text).toBe(
        '{"[REDACTED...a1B2]": ["x\\n[REDACTED...a1B2]", 1.0, -0.0, 9223372036854775809]}',
      );
      stream.cancel();
    },
  );

  it("the sanitizer counts unknown credentials by their rule, apart from the project's secrets", async () => {
    const stream = await harness.open("demo");
    const data = Buffer.from(`${GITHUB_TOKEN} ${KEY} ${GITHUB_TOKEN}`);
    await stream.send({
      message: { $case: "chunk", value: { channel: STDOUT, data, end: true, cut: false } },
    });
    const answers = [await stream.next()];
    while (!answers.at(-1)?.end) answers.push(await stream.next());
    expect(answers.at(-1)?.redactions).toEqual([
      { secret: "unknown:github", count: 2 },
      { secret: "KEY", count: 1 },
    ]);
    stream.cancel();
  });

  it("the sanitizer keeps channels apart that take turns", async () => {
    const stream = await harness.open("demo");
    const send = (channel: SanitizeChannel, data: string, end = false) =>
      stream.send({
        message: { $case: "chunk", value: { channel, data: Buffer.from(data), end, cut: false } },
      });
    await send(STDOUT, KEY.slice(0, 5));
    await send(STDERR, "abc");
    await send(STDOUT, KEY.slice(5), true);
    await send(STDERR, "def", true);
    const texts: Record<number, string> = {};
    for (let ended = 0; ended < 2; ) {
      const answer = await stream.next();
      if (!answer) break;
      texts[answer.channel] = (texts[answer.channel] ?? "") + Buffer.from(answer.data).toString();
      if (answer.end) ended++;
    }
    expect(texts).toEqual({ [STDOUT]: "[REDACTED...6789]", [STDERR]: "[REDACTED]" });
    stream.cancel();
  });

  it("the sanitizer sends certain output before the document ends", async () => {
    const stream = await harness.open("demo");
    const value = { channel: STDOUT, data: Buffer.from("progress 10 %\n"), end: false, cut: false };
    await stream.send({ message: { $case: "chunk", value } });
    expect(Buffer.from((await stream.next())?.data ?? []).toString()).toBe("progress 10 %\n");
    stream.cancel();
  });

  it("the sanitizer drops the beginning of a secret at a cut and says how many bytes", async () => {
    const stream = await harness.open("demo");
    expect(await document(stream, STDOUT, ["text sk-live-01"], true)).toEqual({
      text: "text ",
      droppedBytes: 10,
    });
    expect(await document(stream, STDOUT, ["text sk-live-01"])).toEqual({
      text: "text sk-live-01",
      droppedBytes: 0,
    });
    stream.cancel();
  });

  it("the sanitizer redacts in each run the value that the run was given, and not the value before or after a rotation", async () => {
    const before = (await harness.resolve("demo")).version;
    const early = await harness.open("demo", before);
    expect((await document(early, STDOUT, ["file-token-number-one"])).text).toBe("[REDACTED...-one]");
    await harness.write("token", "file-token-number-two\n");
    const after = (await harness.resolve("demo")).version;
    expect(after).not.toBe(before);
    const late = await harness.open("demo", after);
    const again = await harness.open("demo", before);
    for (const [stream, text, json] of [
      [early, "[REDACTED...-one] file-token-number-two", '["[REDACTED...-one]","file-token-number-two"]'],
      [again, "[REDACTED...-one] file-token-number-two", '["[REDACTED...-one]","file-token-number-two"]'],
      [late, "file-token-number-one [REDACTED...-two]", '["file-token-number-one","[REDACTED...-two]"]'],
    ] as const) {
      expect((await document(stream, STDOUT, ["file-token-number-one file-token-number-two"])).text).toBe(
        text,
      );
      expect(
        (await document(stream, RESULT, ['["file-token-number-one","file-token-number-two"]'])).text,
      ).toBe(json);
      stream.cancel();
    }
  });

  it("the sanitizer does not redact another project's secret", async () => {
    const stream = await harness.open("none");
    expect((await document(stream, STDOUT, [KEY])).text).toBe(KEY);
    stream.cancel();
  });

  it.each([
    ["a project that does not exist", "missing", "v"],
    ["a version that never was", "demo", "never"],
    ["no version", "demo", ""],
  ])("the sanitizer withholds the output of %s", async (_, project, version) => {
    const stream = await harness.open(project, version);
    await expect(document(stream, STDOUT, ["text"])).rejects.toMatchObject({
      code: "output_withheld",
      message: expect.stringContaining("could not be read from the secrets service"),
    });
  });

  it("the sanitizer withholds a result that is not JSON", async () => {
    const stream = await harness.open("demo");
    await expect(document(stream, RESULT, ['{"a": NaN}'])).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("the sanitizer withholds JSON of more than 128 MiB", async () => {
    const stream = await harness.open("demo");
    const piece = Buffer.alloc(8 * MIB, 0x20);
    await expect(document(stream, RESULT, Array(17).fill(piece))).rejects.toMatchObject({
      code: "output_withheld",
    });
  });

  it("the sanitizer refuses messages out of order", async () => {
    const version = (await harness.resolve("demo")).version;
    const twice = await harness.open("demo", version);
    const value = { project: "demo", executionId: "execution", secretsVersion: version };
    await twice.send({ message: { $case: "open", value } });
    await expect(twice.next()).rejects.toMatchObject({ code: "invalid_request" });
    const unknown = await harness.open("demo", version);
    const chunk = { channel: 99 as SanitizeChannel, data: Buffer.from("x"), end: true, cut: false };
    await unknown.send({ message: { $case: "chunk", value: chunk } });
    await expect(unknown.next()).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("the sanitizer finds 1000 secrets", async () => {
    const values = Array.from(
      { length: 1_000 },
      (_, index) => `secret-value-${index}-${(index * 7919).toString(36)}-end`,
    );
    await harness.project("many", Object.fromEntries(values.map((value, index) => [`S${index}`, value])));
    const stream = await harness.open("many");
    const { text } = await document(stream, STDOUT, [values.join(" ")]);
    expect(text).toBe(values.map(() => "[REDACTED...-end]").join(" "));
    stream.cancel();
  });

  it("the sanitizer streams 200 MB without keeping them", async () => {
    const stream = await harness.open("demo");
    const line = Buffer.from(`${"x".repeat(1_000)} ${KEY} \n`.repeat(1_000));
    const chunks = 200;
    const before = process.memoryUsage().arrayBuffers;
    let highest = 0;
    let received = 0;
    const receive = async () => {
      for (;;) {
        const answer = await stream.next();
        received += answer?.data.length ?? 0;
        highest = Math.max(highest, process.memoryUsage().arrayBuffers - before);
        if (!answer || answer.end) return;
      }
    };
    const send = async () => {
      for (let sent = 1; sent <= chunks; sent++) {
        const value = { channel: STDOUT, data: line, end: sent === chunks, cut: false };
        await stream.send({ message: { $case: "chunk", value } });
      }
    };
    await Promise.all([receive(), send()]);
    expect(received).toBe(chunks * 1_000 * (1_001 + "[REDACTED...6789] \n".length));
    // Both ends live in this process, and garbage counts until it is collected: far less than the 400 MB that passed.
    expect(highest / MIB).toBeLessThan(200);
    stream.cancel();
  });

  it("the sanitizer reads no more input while its output is not read", async () => {
    const stream = await harness.open("demo");
    const data = Buffer.alloc(MIB, "x");
    let taken = 0;
    const flood = (async () => {
      for (; taken < 200; taken++) {
        await stream.send({
          message: { $case: "chunk", value: { channel: STDOUT, data, end: false, cut: false } },
        });
      }
    })();
    await Promise.race([flood.catch(() => undefined), sleep(1_500)]);
    // Each of four queues holds 16 messages.
    expect(taken).toBeLessThan(100);
    stream.cancel();
    await flood.catch(() => undefined);
  });

  it("the sanitizer ends quietly when the caller cancels in the middle of a document", async () => {
    const stream = await harness.open("demo");
    const value = { channel: RESULT, data: Buffer.from("[1, 2"), end: false, cut: false };
    await stream.send({ message: { $case: "chunk", value } });
    stream.cancel();
    await expect(stream.next()).rejects.toMatchObject({ code: "cancelled" });
    const other = await harness.open("demo");
    expect((await document(other, STDOUT, ["still here"])).text).toBe("still here");
    other.cancel();
  });

  it("the sanitizer writes no secret and no credential to its log", () => {
    expect(harness.logged.join("")).not.toMatch(/sk-live|file-token|abcdef|ghp_|a1B2/);
  });
});

describe("the sanitizer without the secrets service", () => {
  it("the sanitizer without the secrets service goes on for a version that it knows, and withholds every other", async () => {
    const own = await startHarness();
    try {
      await own.project("demo", { KEY });
      const { version } = await own.resolve("demo");
      (await own.open("demo", version)).cancel();
      const running = await own.open("demo", version);
      expect((await document(running, STDOUT, [KEY])).text).toBe("[REDACTED...6789]");
      await own.stopSecrets();
      expect((await document(running, STDOUT, [KEY])).text).toBe("[REDACTED...6789]");
      const known = await own.open("demo", version);
      expect((await document(known, STDOUT, [KEY])).text).toBe("[REDACTED...6789]");
      const started = Date.now();
      await expect(document(await own.open("demo", "newer"), STDOUT, [KEY])).rejects.toMatchObject({
        code: "output_withheld",
      });
      // It waits twelve seconds for a secrets service that restarts.
      expect(Date.now() - started).toBeLessThan(20_000);
      await own.restartSecrets();
      await expect
        .poll(
          async () =>
            document(await own.open("demo"), STDOUT, [KEY]).then(
              ({ text }) => text,
              () => "",
            ),
          {
            timeout: 10_000,
          },
        )
        .toBe("[REDACTED...6789]");
    } finally {
      await own.stop();
    }
  });

  it("the sanitizer withholds within the router's limit of twenty seconds when the secrets service hangs", async () => {
    const { createServer } = await import("node:net");
    const { startSanitizer } = await import("../../../services/sanitizer/main.ts");
    const { createLog } = await import("#common/service/log.ts");
    const directory = await mkdtemp(join(tmpdir(), "airlock-silent-"));
    const secretsAddress = `unix:${join(directory, "secrets.sock")}`;
    const silent = createServer(() => undefined).listen(secretsAddress.slice("unix:".length));
    await once(silent, "listening");
    const log = createLog("test", "silent");
    const listen = `unix:${join(directory, "sanitizer.sock")}`;
    const sanitizer = await startSanitizer({ listen, secretsAddress }, log);
    const { connectTo, clientDuplex } = await import("#common/grpc/client.ts");
    const { SanitizerServiceClient } = await import("#proto/sanitizer.ts");
    const client = connectTo(SanitizerServiceClient, sanitizer.address);
    const stream = clientDuplex(client.sanitize(), "sanitizer");
    const value = { project: "demo", executionId: "execution", secretsVersion: "v" };
    await stream.send({ message: { $case: "open", value } });
    const outcome = await Promise.race([
      stream.next().catch((error) => error.code),
      sleep(19_000, "too late"),
    ]);
    expect(outcome).toBe("output_withheld");
    client.close();
    await sanitizer.drain(0);
    silent.close();
    await rm(directory, { recursive: true });
  }, 60_000);
});
