import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Metadata,
  type MethodDefinition,
  makeGenericClientConstructor,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import type { ClientConstructor } from "#common/grpc/client.ts";

/** A message of the service that transports are tested with: a text, and bytes of any number. */
export type Note = { readonly text: string; readonly bytes?: Buffer };

const serialize = ({ text, bytes }: Note): Buffer =>
  Buffer.from(JSON.stringify([text, bytes?.toString("latin1")]));

const deserialize = (sent: Buffer): Note => {
  const [text, bytes] = JSON.parse(sent.toString()) as [string, string | null];
  return bytes === null || bytes === undefined ? { text } : { text, bytes: Buffer.from(bytes, "latin1") };
};

const method = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Note, Note> => ({
  path: `/airlock.test.EchoService/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});

/** A service with one method of each kind. */
export const EchoService = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  repeat: method("Repeat", false, true),
  converse: method("Converse", true, true),
} satisfies ServiceDefinition;

type Options = Partial<CallOptions>;
type Answer = (error: ServiceError | null, response: Note) => void;

export type EchoClient = Client & {
  unary(request: Note, metadata: Metadata, options: Options, callback: Answer): ClientUnaryCall;
  collect(metadata: Metadata, options: Options, callback: Answer): ClientWritableStream<Note>;
  repeat(request: Note, metadata: Metadata, options: Options): ClientReadableStream<Note>;
  converse(metadata?: Metadata, options?: Options): ClientDuplexStream<Note, Note>;
};

export const EchoServiceClient = makeGenericClientConstructor(
  EchoService,
  "airlock.test.EchoService",
) as unknown as ClientConstructor<EchoClient>;
