import { type ParseError, parse } from "jsonc-parser";
import { AirlockError } from "../services/common/errors.ts";
import { type JsonMember, outlineJson } from "./json-text.ts";
import { InvalidFields } from "./problems.ts";

export const MAX_DEPTH = 200;
const MAX_MEMBERS = 100;
const MAX_LOCATED_CHARACTERS = 64 * 1024;
const EXAMPLE = '{"project": "demo", "code": "print(1)"}';

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The object that a request carries, and beside it the text of each of its members. */
export type JsonBody = {
  readonly value: Readonly<Record<string, unknown>>;
  /** Each member's value exactly as the client wrote it. */
  readonly texts: ReadonlyMap<string, string>;
};

export const EMPTY_BODY: JsonBody = { value: {}, texts: new Map() };

/** Parses the bytes of a body that must be one JSON object. Throws an AirlockError that says what to send instead. */
export function parseJsonBody(bytes: Uint8Array): JsonBody {
  const text = decode(bytes);
  // Before JSON.parse: nesting by the million would cost it hundreds of megabytes.
  const { tooDeep, members } = outlineJson(text, MAX_DEPTH);
  if (tooDeep) {
    throw new AirlockError(
      "invalid_request",
      `The body is nested deeper than ${MAX_DEPTH} levels. Send flatter data, or pass it as a string and parse it in the script.`,
    );
  }
  const value = parseText(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AirlockError(
      "invalid_request",
      `The body must be a JSON object, such as ${EXAMPLE}, not ${describe(value)}.`,
    );
  }
  return { value: value as Record<string, unknown>, texts: uniqueTexts(members) };
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new AirlockError(
      "invalid_json",
      "The body is not valid UTF-8. Send JSON encoded as UTF-8; put other bytes into a string as base64.",
    );
  }
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    if (text.trim() === "") throw emptyBody();
    throw new AirlockError(
      "invalid_json",
      `The body is not valid JSON${locate(text)}. Send one JSON object, such as ${EXAMPLE}.`,
    );
  }
}

export function emptyBody(): AirlockError {
  return new AirlockError("invalid_json", `The body is empty. Send a JSON object, such as ${EXAMPLE}.`);
}

// JSON.parse quotes the body in its messages and does not always say where; a large body is not parsed twice.
function locate(text: string): string {
  if (text.length > MAX_LOCATED_CHARACTERS) return "";
  const errors: ParseError[] = [];
  parse(text, errors, { disallowComments: true });
  const offset = errors[0]?.offset;
  if (offset === undefined) return "";
  const before = text.slice(0, offset).split("\n");
  return `: line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "boolean" ? "true or false" : `a ${typeof value}`;
}

// Which of two equal keys counts differs from parser to parser, so neither may.
function uniqueTexts(members: readonly JsonMember[]): Map<string, string> {
  if (members.length > MAX_MEMBERS) {
    throw new AirlockError("invalid_request", `The body has more than ${MAX_MEMBERS} fields.`);
  }
  const texts = new Map<string, string>();
  const twice = new Set<string>();
  for (const { key, text } of members) {
    if (texts.has(key)) twice.add(key);
    texts.set(key, text);
  }
  if (twice.size > 0) {
    throw new InvalidFields([...twice].map((field) => ({ field, message: "is given more than once" })));
  }
  return texts;
}
