import { AirlockError } from "#common/errors.ts";
import { jsonErrorPlace } from "#common/json/json-error-place.ts";
import { InvalidFields } from "../problems.ts";
import { type OutlineProblem, outlineBytes } from "./json-outline.ts";
import { type JsonMember, objectOf } from "./json-text.ts";

/** Levels of nesting that a body may have. */
export const MAX_DEPTH = 200;
const MAX_MEMBERS = 100;
/**
 * Members of a nested object that are all added to the outline: as many as `settings` may have. Of further
 * ones, as in a large `memory`, only the first of each type is added, which suffices to find a wrong type.
 */
const MAX_INNER_MEMBERS = 1_000;
/** Bytes of the largest body for which a refusal says where the JSON is wrong. */
const MAX_LOCATED_BYTES = 64 * 1024;
const EXAMPLE = '{"project": "demo", "code": "print(1)"}';

/** The JSON object in a request's body, and the original text of each of its members. */
export type JsonBody = {
  /** The parsed object, to its second level. Deeper objects and arrays are empty here. */
  readonly value: Readonly<Record<string, unknown>>;
  /** The text of a member's value exactly as the client wrote it; undefined when there is no such member. */
  textOf(member: string): string | undefined;
};

export const EMPTY_BODY: JsonBody = { value: {}, textOf: () => undefined };

/**
 * Parses a body that must be one JSON object. A large buffer is transferred to another thread, so the caller
 * must not use `bytes` afterwards. Rejects with an AirlockError that says what to send instead, or with
 * `cancelled` when `signal` aborts.
 */
export async function parseJsonBody(bytes: Buffer, signal?: AbortSignal): Promise<JsonBody> {
  const limits = { depth: MAX_DEPTH, outer: MAX_MEMBERS, inner: MAX_INNER_MEMBERS };
  const { bytes: text, outline } = await outlineBytes(bytes, limits, signal);
  if (typeof outline === "string") throw refusalOf(outline, text);
  if (outline.kind !== "object") {
    throw new AirlockError(
      "invalid_request",
      `The body must be a JSON object, such as ${EXAMPLE}, not ${DESCRIPTIONS[outline.kind]}.`,
    );
  }
  refuseAmbiguity(outline);
  const members = new Map(outline.members.map((member) => [member.key, member]));
  return {
    value: objectOf(outline.members),
    textOf(name) {
      const member = members.get(name);
      return member && text.toString("utf8", member.start, member.end);
    },
  };
}

function refusalOf(problem: OutlineProblem, text: Buffer): AirlockError {
  switch (problem) {
    case "not_utf8":
      return new AirlockError(
        "invalid_json",
        "The body is not valid UTF-8. Send JSON encoded as UTF-8; put other bytes into a string as base64.",
      );
    case "empty":
      return emptyBody();
    case "syntax":
      return notJson(text);
    case "too_deep":
      return new AirlockError(
        "invalid_request",
        `The body is nested deeper than ${MAX_DEPTH} levels. Send flatter data, or pass it as a string and parse it in the script.`,
      );
  }
}

function notJson(bytes: Buffer): AirlockError {
  const text = bytes.length > MAX_LOCATED_BYTES ? "" : bytes.toString();
  return new AirlockError(
    "invalid_json",
    `The body is not valid JSON${locate(text)}. Send one JSON object, such as ${EXAMPLE}.`,
  );
}

export function emptyBody(): AirlockError {
  return new AirlockError("invalid_json", `The body is empty. Send a JSON object, such as ${EXAMPLE}.`);
}

// Says where the JSON is wrong. The text is empty for a large body, because parsing it a second time would
// take too long.
function locate(text: string): string {
  const place = text === "" ? undefined : jsonErrorPlace(text);
  return place === undefined ? "" : `: ${place}`;
}

const DESCRIPTIONS = {
  array: "an array",
  string: "a string",
  number: "a number",
  boolean: "true or false",
  null: "null",
} as const;

// Refuses a key that is given twice, because JSON parsers differ in which of the two values they take.
function refuseAmbiguity({
  members,
  twice,
}: {
  readonly members: readonly JsonMember[];
  readonly twice: ReadonlySet<string>;
}): void {
  if (members.length > MAX_MEMBERS) {
    throw new AirlockError("invalid_request", `The body has more than ${MAX_MEMBERS} fields.`);
  }
  const inner = members.flatMap((member) => [...member.twice].map((key) => `${member.key}.${key}`));
  const fields = [...twice, ...inner];
  if (fields.length > 0) {
    throw new InvalidFields(fields.map((field) => ({ field, message: "is given more than once" })));
  }
}
