import { markerFor, PLAIN_MARKER } from "./markers.ts";
import { SPELLINGS } from "./spellings/all.ts";

/** A run of bytes that must not leave, and what leaves in its place. */
export type Needle = {
  readonly bytes: Uint8Array;
  /** The marker as plain text. */
  readonly marker: string;
  /** The marker as it is written where the needle stood. */
  readonly replacement: Uint8Array;
  /** The same inside a JSON string. */
  readonly inJson: string;
  /** Which of the values it was made of. */
  readonly source: number;
};

/** A value that is a number. */
export type NumberNeedle = { readonly marker: string; readonly source: number };

/** Shorter lines, such as a brace, turn up in innocent output. */
const MIN_LINE_BYTES = 8;

/** Four characters are at most this many UTF-16 units: a secret of so few could stand in another's marker. */
const MAX_SHOWN_UNITS = 8;

/** Equal numbers are looked for when they are written with at least this many characters; `1` is everywhere. */
const MIN_NUMBER_CHARACTERS = 4;

/** All needles of these secret values, each run of bytes once; of equal ones the first counts. */
export function needlesOf(values: readonly string[]): Needle[] {
  const sources = new Map<string, number>();
  values.forEach((value, index) => {
    for (const text of [value, ...longLinesOf(value)]) if (!sources.has(text)) sources.set(text, index);
  });
  const tiny = [...sources.keys()]
    .filter((text) => text.length <= MAX_SHOWN_UNITS)
    .flatMap((text) => SPELLINGS.map(({ write }) => write(text)))
    .filter((spelled) => spelled !== "");
  const needles = new Map<string, Needle>();
  for (const [text, source] of sources) {
    const ownMarker = markerFor(text);
    const showsAnother =
      tiny.length > 0 && writtenForms(ownMarker).some((form) => tiny.some((other) => form.includes(other)));
    const marker = showsAnother ? PLAIN_MARKER : ownMarker;
    for (const { write, marksToo } of SPELLINGS) {
      const spelled = write(text);
      if (spelled === "" || needles.has(spelled)) continue;
      const replacement = marksToo ? write(marker) : marker;
      needles.set(spelled, {
        bytes: Buffer.from(spelled),
        marker,
        replacement: Buffer.from(replacement),
        inJson: escaped(replacement),
        source,
      });
    }
  }
  return [...needles.values()];
}

/** Every form in which a marker may leave. */
function writtenForms(marker: string): string[] {
  const forms = SPELLINGS.map(({ write, marksToo }) => (marksToo ? write(marker) : marker));
  return [...forms, ...forms.map(escaped)];
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** The values that are numbers, without their sign. */
export function numbersOf(values: readonly string[]): ReadonlyMap<number, NumberNeedle> {
  const numbers = new Map<number, NumberNeedle>();
  for (const [source, value] of values.entries()) {
    if (!/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/.test(value)) continue;
    const number = Math.abs(Number(value));
    const isTelling = Number.isFinite(number) && String(number).length >= MIN_NUMBER_CHARACTERS;
    if (isTelling && !numbers.has(number)) numbers.set(number, { marker: markerFor(value), source });
  }
  return numbers;
}

function longLinesOf(value: string): string[] {
  const lines = value.split(/\r\n|\r|\n/);
  return lines.length === 1 ? [] : lines.filter((line) => Buffer.byteLength(line) >= MIN_LINE_BYTES);
}
