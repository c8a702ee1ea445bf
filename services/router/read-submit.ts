import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { AirlockError } from "#common/errors.ts";
import { MAX_SETTINGS } from "#common/submission/limits.ts";
import { SubmitRequest, SubmitRequest_SettingsEntry } from "#proto/router.ts";

const SETTINGS_FIELD = 4;
const LOST_NAME = "__proto__";

const refusals = new WeakMap<SubmitRequest, AirlockError>();

/**
 * Reads the bytes of a SubmitRequest. When it has too many settings, they are counted and not read, because
 * reading them would block the router. The setting `__proto__` is kept, although a plain object would lose
 * it. Errors are reported later by `refuseUnread`, because an error in a deserializer would reach the caller
 * as an internal one.
 */
export function readSubmit(bytes: Buffer): SubmitRequest {
  const reader = new BinaryReader(bytes);
  const hasLostName = bytes.includes(LOST_NAME);
  const lost: string[] = [];
  for (let settings = 0; reader.pos < reader.len; ) {
    const [field, wireType] = reader.tag();
    if (field !== SETTINGS_FIELD || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, field);
      continue;
    }
    settings += 1;
    if (settings > MAX_SETTINGS) return refused(tooMany());
    const end = reader.uint32() + reader.pos;
    if (hasLostName) {
      const { key, value } = SubmitRequest_SettingsEntry.decode(bytes.subarray(reader.pos, end));
      if (key === LOST_NAME) lost.push(value);
    }
    reader.pos = end;
  }
  const request = SubmitRequest.decode(bytes);
  for (const value of lost) {
    Object.defineProperty(request.settings, LOST_NAME, { value, enumerable: true, configurable: true });
  }
  return request;
}

/** Throws the error for a request that `readSubmit` refused to read. */
export function refuseUnread(request: SubmitRequest): void {
  const refusal = refusals.get(request);
  if (refusal) throw refusal;
}

function refused(error: AirlockError): SubmitRequest {
  const request = SubmitRequest.create();
  refusals.set(request, error);
  return request;
}

function tooMany(): AirlockError {
  return new AirlockError("invalid_request", `settings may have at most ${MAX_SETTINGS} names.`, {
    field: "settings",
  });
}
