import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { AirlockError } from "../services/common/errors.ts";
import { EMPTY_BODY, emptyBody, type JsonBody, parseJsonBody } from "./json-body.ts";

export const MAX_BODY_BYTES = 16 * 1024 * 1024;

declare module "fastify" {
  interface FastifyRequest {
    /** The members of the body as the client wrote them. */
    bodyTexts: JsonBody["texts"];
  }
  interface FastifyContextConfig {
    /** The route takes a body but does without one. */
    bodyOptional?: boolean;
  }
}

/** What came over the wire, before anybody looked at it. A refusal is kept, since fastify closes on a failing parser. */
type Received = Uint8Array | AirlockError;

/** Replaces fastify's parsers: JSON objects only, size-limited, with the text of every member kept. */
export function acceptJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", (request: FastifyRequest, payload: Readable) =>
    receive(request, payload),
  );
  app.addContentTypeParser("*", async (request: FastifyRequest, payload: Readable) => {
    const received = await receive(request, payload);
    return received instanceof Uint8Array && received.length > 0 ? unsupportedType(request) : received;
  });
  app.decorateRequest("bodyTexts");
  app.addHook("preValidation", async (request) => {
    const { schema, config } = request.routeOptions;
    if (!schema?.body) return;
    const received = (request.body ?? new Uint8Array()) as Received;
    if (received instanceof AirlockError) throw received;
    if (received.length === 0 && !config.bodyOptional) throw emptyBody();
    const { value, texts } = received.length === 0 ? EMPTY_BODY : parseJsonBody(received);
    request.body = value;
    request.bodyTexts = texts;
  });
}

/** Reads a body of at most MAX_BODY_BYTES; the rest of a larger one is left to `discardRest`. */
async function receive(request: FastifyRequest, payload: Readable): Promise<Received> {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    return new AirlockError("unsupported_media_type", "Send the body as it is, without Content-Encoding.");
  }
  if (Number(request.headers["content-length"]) > MAX_BODY_BYTES) return tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= MAX_BODY_BYTES) return;
      payload.off("data", take);
      chunks.length = 0;
      resolve(tooLarge());
    };
    payload.on("data", take);
    payload.once("end", () => resolve(Buffer.concat(chunks)));
    payload.once("error", reject);
    payload.once("close", () => reject(new AirlockError("cancelled", "The client went away.")));
  });
}

function tooLarge(): AirlockError {
  return new AirlockError(
    "payload_too_large",
    `The body is larger than ${MAX_BODY_BYTES} bytes (16 MiB). Send less, or let the script fetch the data itself.`,
  );
}

function unsupportedType(request: FastifyRequest): AirlockError {
  const given = request.headers["content-type"];
  const said = given && /^[\w.+-]+\/[\w.+-]+$/.test(given) && given.length <= 100 ? `, not ${given}` : "";
  return new AirlockError(
    "unsupported_media_type",
    `Send JSON with the header "Content-Type: application/json"${said}. With curl add -H 'content-type: application/json' (curl -d alone says application/x-www-form-urlencoded), or use --json.`,
  );
}
