import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  handleBidiStreamingCall,
  MethodDefinition,
  Server,
  ServerDuplexStream,
  ServiceDefinition,
} from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { AirlockError } from "../errors.ts";
import { toGrpcStatus } from "./errors.ts";

const PROTO = join(import.meta.dirname, "..", "..", "..", "proto");

type Call = ServerDuplexStream<Buffer, Buffer>;
type Method = { serve(call: Call): void };

/**
 * Lets clients that have no .proto files ask `server` for them (gRPC Server Reflection, v1 and v1alpha). `services` are
 * the full names of those to list. The descriptors are read at the first question: no start pays for them.
 */
export function addReflection(server: Server, services: readonly string[]): void {
  let loading: Promise<ReadonlyMap<string, Method>> | undefined;
  const load = () => {
    loading ??= loadMethods(services).catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
  for (const version of ["v1", "v1alpha"]) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    server.addService(lazyDefinition(path), { ServerReflectionInfo: lazyHandler(path, load) });
  }
}

// Bytes go through as they are: what they mean is known once the package is there.
function lazyDefinition(path: string): ServiceDefinition {
  const asIs = (bytes: Buffer) => bytes;
  return {
    ServerReflectionInfo: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  };
}

function lazyHandler(
  path: string,
  load: () => Promise<ReadonlyMap<string, Method>>,
): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    // Nothing of the stream is read, and so nothing is lost, before somebody listens to its data.
    load().then(
      (methods) => methods.get(path)?.serve(call),
      (cause: unknown) =>
        call.emit(
          "error",
          toGrpcStatus(new AirlockError("internal", "The descriptors cannot be read.", { cause })),
        ),
    );
  };
}

/** What the library would have added to a server, by path. */
async function loadMethods(services: readonly string[]): Promise<ReadonlyMap<string, Method>> {
  const [{ ReflectionService }, airlock, health] = await Promise.all([
    import("@grpc/reflection"),
    readDescriptors("airlock.binpb"),
    readDescriptors("health.binpb"),
  ]);
  const methods = new Map<string, Method>();
  const listed = [...services, "grpc.health.v1.Health"];
  new ReflectionService({ airlock, health }, { services: listed }).addToServer({
    addService(definition, implementation) {
      for (const [name, { path, requestDeserialize, responseSerialize }] of Object.entries(definition)) {
        const handle = implementation[name] as handleBidiStreamingCall<unknown, unknown>;
        methods.set(path, {
          serve: (call) => handle(translated(call, requestDeserialize, responseSerialize)),
        });
      }
    },
  });
  return methods;
}

/**
 * The files of a descriptor set as the compiler wrote them, in the only form that the library looks at. What the
 * proto-loader makes of them is refused by clients in other languages: one file of all in a package, and no maps.
 */
async function readDescriptors(name: string): Promise<PackageDefinition[string]> {
  const [{ fromBinary, toBinary }, { FileDescriptorProtoSchema, FileDescriptorSetSchema }] =
    await Promise.all([import("@bufbuild/protobuf"), import("@bufbuild/protobuf/wkt")]);
  const { file } = fromBinary(FileDescriptorSetSchema, await readFile(join(PROTO, name)));
  const fileDescriptorProtos = file.map((each) => Buffer.from(toBinary(FileDescriptorProtoSchema, each)));
  return { fileDescriptorProtos } as PackageDefinition[string];
}

/** A call that carries messages, on top of one that carries their bytes; the library uses no more of it than this. */
function translated(
  call: Call,
  parse: MethodDefinition<unknown, unknown>["requestDeserialize"],
  print: MethodDefinition<unknown, unknown>["responseSerialize"],
): ServerDuplexStream<unknown, unknown> {
  const view = {
    on(event: string, listener: (message?: unknown) => void) {
      call.on(event, event === "data" ? (bytes: Buffer) => listener(parse(bytes)) : listener);
      return view;
    },
    write: (message: unknown) => call.write(print(message)),
    end: () => call.end(),
  };
  return view as unknown as ServerDuplexStream<unknown, unknown>;
}
