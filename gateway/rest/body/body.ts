import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ByteCollector } from "#common/byte-collector.ts";
import { AirlockError, callCancelled } from "#common/errors.ts";
import { onceClosed } from "#common/http/response-closed.ts";
import { MAX_BODY_BYTES } from "#common/submission/limits.ts";
import { streamOf } from "../https/http2.ts";
import { clientSignal } from "../request/client-signal.ts";
import { BodyBudget, type BodyHold } from "./body-budget.ts";
import { EMPTY_BODY, emptyBody, type JsonBody, parseJsonBody } from "./json-body.ts";

declare module "fastify" {
  interface FastifyRequest {
    /**
     * The text of a top-level member of the body exactly as the client wrote it; undefined when there is
     * none.
     */
    bodyText: JsonBody["textOf"];
    /** The memory that is counted for this request's body; undefined before the body arrives. */
    bodyHold: BodyHold | undefined;
  }
  interface FastifyContextConfig {
    /** Whether the route accepts a request without a body. */
    bodyOptional?: boolean;
  }
}

/**
 * A body before it is parsed, or the error that refuses it. The error is a value, because fastify closes the
 * connection when a body parser throws.
 */
type Received = Buffer | AirlockError;

/**
 * Replaces fastify's body parsers. Only JSON objects are accepted, each body and all bodies together are
 * limited in size, and the text of every member is kept.
 */
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

/**
 * Removes members that are null where the schema allows null, so that routes have one default for null and
 * absent.
 */
function withoutNulls(value: JsonBody["value"], { properties = {} }: BodySchema): JsonBody["value"] {
  const mayBeNull = (name: string) => {
    const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined;
    return Array.isArray(type) && type.includes("null");
  };
  const given = Object.entries(value).filter(([name, member]) => member !== null || !mayBeNull(name));
  return given.length === Object.keys(value).length ? value : Object.fromEntries(given);
}

/**
 * Frees the memory of the body. Called once the router has taken the request, because a long poll may hold
 * the request for a minute, and its client may read slowly.
 */
export function dropBody(request: FastifyRequest): void {
  request.body = undefined;
  request.bodyText = EMPTY_BODY.textOf;
  request.bodyHold?.release();
}

/** Reads a body of at most MAX_BODY_BYTES. The rest of a larger body is left to `discardRest`. */
async function receive(request: FastifyRequest, payload: Readable, budget: BodyBudget): Promise<Received> {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    return new AirlockError("unsupported_media_type", "Send the body as it is, without Content-Encoding.");
  }
  // A transfer coding besides chunked is refused, because a server must refuse codings that it does not know
  // (RFC 9112, section 6.1).
  const transfer = request.headers["transfer-encoding"] ?? "chunked";
  if (transfer.trim().toLowerCase() !== "chunked") {
    return new AirlockError(
      "unsupported_media_type",
      "Send the body as it is, with no Transfer-Encoding but chunked.",
    );
  }
  if (Number(request.headers["content-length"]) > MAX_BODY_BYTES) return tooLarge();
  if (payload.destroyed || streamOf(request.raw)?.destroyed) throw callCancelled();
  return new Promise((resolve, reject) => {
    // The bytes are copied into one buffer instead of a list of chunks, because a client may send each byte
    // as a chunk of its own.
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
      // With HTTP/2 a body that was broken off ends like a whole one.
      if (streamOf(request.raw)?.aborted) return reject(callCancelled());
      hold.complete();
      if (collected) resolve(collected.bytes);
      // The reference to the bytes is dropped, because these listeners live as long as the request, which may
      // be a long poll.
      collected = undefined;
    });
    payload.once("error", reject);
    payload.once("close", () => {
      collected = undefined;
      reject(callCancelled());
    });
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
