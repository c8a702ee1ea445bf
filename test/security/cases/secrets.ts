import { expect } from "vitest";
import { keeps, nothingLeaks, TOKEN_MARKER } from "../harness/no-leak.ts";
import { type HostileCase, hostile } from "./cases.ts";
import { BRIEF_BYTES, PLANTED } from "./planted.ts";

const FILLER = "!";
const SPELLINGS = `
import base64, html, json, os, time, urllib.parse
def spellings(text):
    raw = text.encode()
    yield from (raw, json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode())
    yield from (repr(text)[1:-1].encode(), repr(raw)[2:-1].encode(), ascii(text)[1:-1].encode())
    yield from (urllib.parse.quote(text, safe=safe).encode() for safe in ('', '/', '/:@'))
    yield urllib.parse.quote_plus(text).encode()
    yield from (html.escape(text, quote).encode() for quote in (True, False))
    yield from (raw.hex().encode(), raw.hex().upper().encode())
    for before in (b'', b'a', b'ab'):
        for after in (b'', b'z', b'yz'):
            yield from (base64.b64encode(before + raw + after), base64.urlsafe_b64encode(before + raw + after))
`;

/** Scripts that print secrets in well-known encodings, and in pieces. */
export const SPELLED: readonly HostileCase[] = [
  ...Object.keys(PLANTED).map((name) =>
    keeps(
      `${name} in every spelling at every offset`,
      `${SPELLINGS}
for spelled in spellings(settings.get('${name}')):
    for offset in range(9):
        os.write(1, b'.' * offset + spelled + b'\\n')
        os.write(2, b'\\xff' * offset + spelled + b'\\xff\\n')`,
    ),
  ),
  keeps(
    "a secret split in two at every place",
    `${SPELLINGS}
token = settings.get('TOKEN').encode()
for at in range(1, len(token)):
    os.write(1, token[:at]); time.sleep(0.01); os.write(1, token[at:] + b'\\n')`,
    { stdout: `${TOKEN_MARKER}\n`.repeat(PLANTED.TOKEN.length - 1) },
  ),
  keeps(
    "a secret byte by byte",
    `import os, time
for byte in settings.get('TOKEN').encode(): os.write(1, bytes([byte])); time.sleep(0.005)
os.write(1, b'!')`,
    { stdout: `${TOKEN_MARKER}!` },
  ),
  keeps(
    "every spelling of every secret byte by byte, on both ways out",
    `${SPELLINGS}
for name in ${JSON.stringify(Object.keys(PLANTED))}:
    for spelled in spellings(settings.get(name)):
        for byte in spelled + b'\\n': os.write(1, bytes([byte])); os.write(2, bytes([byte]))`,
  ),
  keeps(
    "a secret that begins again and again",
    `import os
token = settings.get('TOKEN').encode()
os.write(1, b''.join(token[:at] + token for at in range(8)) + b'!')`,
    {
      stdout: `${Array.from({ length: 8 }, (_, at) => PLANTED.TOKEN.slice(0, at) + TOKEN_MARKER).join("")}!`,
    },
  ),
  keeps(
    "a periodic secret, longer and shorter than itself",
    `import os
p = settings.get('PERIODIC').encode()
for length in (15, 16, 17, 18, 29, 30, 31, 100): os.write(1, (p * 10)[:length] + b'\\n')
for shift in (1, 2): os.write(1, (p * 10)[shift:shift + 60] + b'\\n')`,
  ),
  keeps(
    "secrets that overlap",
    `import os
first, second = settings.get('FIRST').encode(), settings.get('SECOND').encode()
shared = len(b'here-QQ')
os.write(1, first + second[shared:] + b'\\n' + first + second + b'\\n' + first[:-shared] + second + b'\\n')`,
  ),
  keeps(
    "a secret within another",
    `import os
outer, inner = settings.get('OUTER').encode(), settings.get('INNER').encode()
os.write(1, outer + b'\\n' + inner + b'\\n' + outer[:-1] + inner + b'\\n' + inner + outer + b'\\n')`,
  ),
  keeps(
    "secrets without anything between them, in every order",
    `import itertools, os
values = [settings.get(name).encode() for name in ('TOKEN', 'NUMBER', 'FIRST', 'PERIODIC')]
for order in itertools.permutations(values): os.write(1, b''.join(order) + b'\\n')`,
  ),
  keeps(
    "lines of a secret of many lines",
    `key = settings.get('KEY')
for text in (key, key.replace('\\n', '\\r\\n'), key.replace('\\n', ' '), ' | '.join(key.splitlines()), key.splitlines()[1]): print(text)`,
  ),
];

/** A script whose output has a secret that begins this many bytes before the output limit. */
function cut(before: number): HostileCase {
  const size = PLANTED.TOKEN.length;
  const isWhole = before >= size;
  // No spelling of a secret begins with FILLER, because redaction also cuts a possible beginning of a secret.
  const head = FILLER.repeat(BRIEF_BYTES - before);
  const output = isWhole ? head + TOKEN_MARKER + FILLER.repeat(before - size) : head;
  const lost = isWhole ? 30 - (before - size) : size + 30;
  return keeps(
    `a secret that begins ${before} bytes before the output is cut`,
    `import os
for fd in (1, 2): os.write(fd, b'${FILLER}' * ${BRIEF_BYTES - before} + settings.get('TOKEN').encode() + b'${FILLER}' * 30)`,
    { stdout: output, stderr: output, truncated: { stdout: lost, stderr: lost } },
    { project: "brief" },
  );
}

// A long error keeps this many bytes at its beginning, and as many at its end.
const KEPT_OF_ERRORS = 32_704;
const BEFORE_EXIT_MESSAGE = "The script ended with exit status 1: ".length;

/**
 * A script with a long error that keeps this many bytes of a secret, at the end of its beginning or the beginning of
 * its end.
 */
const inError = (where: "beginning" | "end", bytes: number): HostileCase => {
  const near = `'${FILLER}' * ${KEPT_OF_ERRORS - bytes - (where === "beginning" ? BEFORE_EXIT_MESSAGE : 0)}`;
  const far = `'${FILLER}' * 100_000`;
  const [before, after] = where === "beginning" ? [near, far] : [far, near];
  return hostile(
    `${bytes} bytes of a secret at the ${where} of what is kept of a long error`,
    "exit_nonzero",
    `raise SystemExit(${before} + settings.get('TOKEN') + ${after})`,
    {
      project: "secrets",
      shows: { error: expect.stringMatching(/^The script ended with exit status 1: !+\n… \d+ bytes cut …/) },
      afterwards: nothingLeaks,
    },
  );
};

/** Scripts whose output is cut within a secret. */
export const CUT: readonly HostileCase[] = [
  ...[0, 1, 7, 8, 20, 21, 22, 30].map(cut),
  ...[1, 8, 20].flatMap((bytes) => [inError("beginning", bytes), inError("end", bytes)]),
  hostile(
    "a long error of many lines, with secrets in all of them",
    "script_error",
    "raise ValueError((settings.get('TOKEN') + '!' * 70 + chr(10)) * 3000 + 'the end')",
    {
      project: "secrets",
      shows: {
        error: expect.stringMatching(
          /^Traceback[\s\S]+\n… \d+ bytes cut …\n\[REDACTED\.\.\.wxyz\]!+\n[\s\S]+the end$/,
        ),
      },
      afterwards: nothingLeaks,
    },
  ),
  ...["hex", "base64"].map((spelling) =>
    keeps(
      `a secret in ${spelling} where the output is cut`,
      `${SPELLINGS}
raw = settings.get('TOKEN').encode()
os.write(1, b'${FILLER}' * ${BRIEF_BYTES - 20} + (raw.hex().encode() if '${spelling}' == 'hex' else base64.b64encode(raw)))`,
      { stdout: FILLER.repeat(BRIEF_BYTES - 20) },
      { project: "brief" },
    ),
  ),
  ...[
    { end: "killed", how: "os.kill(os.getpid(), 11)" },
    { end: "timeout", how: "import time; time.sleep(99)", timeout: 5 },
  ].map(({ end, how, ...more }) =>
    hostile(
      `most of a secret, and then the end by ${end}`,
      end,
      `import os\nos.write(1, b'${FILLER}' + settings.get('TOKEN')[:-1].encode())\n${how}`,
      { project: "secrets", shows: { stdout: FILLER }, ...more },
    ),
  ),
];
