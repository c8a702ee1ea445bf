import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { AirlockError } from "#common/errors.ts";
import { MAX_SETTINGS } from "#common/submission/limits.ts";
import { SubmitRequest, SubmitRequest_SettingsEntry } from "#proto/router.ts";

const SETTINGS_FIELD = 4;
const LOST_NAME = "__proto__";

const refusals = new WeakMap<SubmitRequest, AirlockError>();

/**
 * Decodes the bytes of a SubmitRequest. Settings are counted first. A request with too many of them is not
 * decoded, because decoding would block the router's event loop. An empty request is returned instead, and
 * `refuseUnread` throws the error later, because gRPC reports an error thrown in a deserializer as an
 * internal one. The setting `__proto__` is kept, although decoding into a plain object would lose it.
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

/**
 * Throws `invalid_request` for a request that `readSubmit` did not decode because it has too many settings.
 * The submit handler calls this function first.
 */
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
