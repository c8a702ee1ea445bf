import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ByteCollector } from "#common/byte-collector.ts";
import { AirlockError, callCancelled } from "#common/errors.ts";
import { onceClosed } from "#common/http/response-closed.ts";
import { MAX_BODY_BYTES } from "#common/submission/limits.ts";
import { clientSignal } from "../request/client-signal.ts";
import { BodyBudget, type BodyHold } from "./body-budget.ts";
import { EMPTY_BODY, emptyBody, type JsonBody, parseJsonBody } from "./json-body.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** A member of the body as the client wrote it. */
    bodyText: JsonBody["textOf"];
    /** What this request's body takes up of what all bodies may have. */
    bodyHold: BodyHold | undefined;
  }
  interface FastifyContextConfig {
    /** The route takes a body but does without one. */
    bodyOptional?: boolean;
  }
}

/** What came over the wire, before anybody looked at it. A refusal is kept, since fastify closes on a failing parser. */
type Received = Buffer | AirlockError;

/** Replaces fastify's parsers: JSON objects only, limited in size and all together, with the text of every member kept. */
export function acceptJsonBodies(app: FastifyInstance): void {
  const budget = new BodyBudget();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", (request: FastifyRequest, payload: Readable) =>
    receive(request, payload, budget),
  );
  app.addContentTypeParser("*", async (request: FastifyRequest, payload: Readable) => {
    const received = await receive(request, payload, budget);
    return received instanceof Buffer && received.length > 0 ? unsupportedType(request) : received;
  });
  app.decorateRequest("bodyText");
  app.decorateRequest("bodyHold");
  app.addHook("onRequest", async (request, reply) => {
    onceClosed(reply.raw, () => request.bodyHold?.release());
  });
  app.addHook("preValidation", async (request, reply) => {
    const { schema, config } = request.routeOptions;
    if (!schema?.body) return;
    const received = (request.body ?? Buffer.alloc(0)) as Received;
    if (received instanceof AirlockError) throw received;
    if (received.length === 0 && !config.bodyOptional) throw emptyBody();
    const { value, textOf } =
      received.length === 0 ? EMPTY_BODY : await parseJsonBody(received, clientSignal(reply));
    const given = withoutNulls(value, schema.body as BodySchema);
    request.body = given;
    request.bodyText = (member) => (Object.hasOwn(given, member) ? textOf(member) : undefined);
  });
}

type BodySchema = { readonly properties?: Readonly<Record<string, { readonly type?: unknown }>> };

/** A member that may be null is as good as left out when it is: so every default stands in one place. */
function withoutNulls(value: JsonBody["value"], { properties = {} }: BodySchema): JsonBody["value"] {
  const mayBeNull = (name: string) => {
    const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined;
    return Array.isArray(type) && type.includes("null");
  };
  const given = Object.entries(value).filter(([name, member]) => member !== null || !mayBeNull(name));
  return given.length === Object.keys(value).length ? value : Object.fromEntries(given);
}

/**
 * Gives up the body, and its room, once the services behind the gateway have what they need of it: an answer may be held
 * for a minute, and take its client long to read.
 */
export function dropBody(request: FastifyRequest): void {
  request.body = undefined;
  request.bodyText = EMPTY_BODY.textOf;
  request.bodyHold?.release();
}

/** Reads a body of at most MAX_BODY_BYTES; the rest of a larger one is left to `discardRest`. */
async function receive(request: FastifyRequest, payload: Readable, budget: BodyBudget): Promise<Received> {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    return new AirlockError("unsupported_media_type", "Send the body as it is, without Content-Encoding.");
  }
  if (Number(request.headers["content-length"]) > MAX_BODY_BYTES) return tooLarge();
  return new Promise((resolve, reject) => {
    // Not a list of the chunks: a client may send each byte as one.
    let collected: ByteCollector | undefined = new ByteCollector();
    const refuse = (error: AirlockError) => {
      payload.off("data", take);
      collected = undefined;
      hold.release();
      resolve(error);
    };
    const take = (chunk: Buffer) => {
      if (!collected) return;
      if (collected.length + chunk.length > MAX_BODY_BYTES) return refuse(tooLarge());
      try {
        hold.add(chunk.length);
      } catch (error) {
        return refuse(error as AirlockError);
      }
      collected.append(chunk);
    };
    const hold = budget.open(refuse);
    request.bodyHold = hold;
    payload.on("data", take);
    payload.once("end", () => {
      hold.complete();
      if (collected) resolve(collected.bytes);
      // The listeners live as long as the request; the bytes need not.
      collected = undefined;
    });
    payload.once("error", reject);
    payload.once("close", () => reject(callCancelled()));
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
