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
 * Adds gRPC Server Reflection (v1 and v1alpha) to `server`, so that clients without .proto files, such as
 * grpcurl, can ask the server for its message types. `services` are the full names of the services to list.
 * The descriptor files are read at the first reflection call, so that they do not slow the start of the
 * server down.
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

// A method definition that passes messages as raw bytes, because their types are known only after the
// reflection package has been loaded.
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
    // Messages that arrive while the descriptors load are not lost, because grpc-js reads nothing from a
    // stream until a listener for `data` is added.
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

/**
 * The reflection methods that the library @grpc/reflection would add to a server, by their gRPC path. Rejects
 * when a descriptor file cannot be read.
 */
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
 * Reads the descriptor set `proto/NAME` into the form that @grpc/reflection takes: the bytes of one
 * FileDescriptorProto for each .proto file, as the proto compiler wrote them. The package @grpc/proto-loader
 * is not used, because it merges all files of a package into one and drops map types, and clients in other
 * languages refuse such descriptors.
 */
async function readDescriptors(name: string): Promise<PackageDefinition[string]> {
  const [{ fromBinary, toBinary }, { FileDescriptorProtoSchema, FileDescriptorSetSchema }] =
    await Promise.all([import("@bufbuild/protobuf"), import("@bufbuild/protobuf/wkt")]);
  const { file } = fromBinary(FileDescriptorSetSchema, await readFile(join(PROTO, name)));
  const fileDescriptorProtos = file.map((each) => Buffer.from(toBinary(FileDescriptorProtoSchema, each)));
  return { fileDescriptorProtos } as PackageDefinition[string];
}

/**
 * Wraps a stream of raw bytes as a stream of messages: `parse` decodes what the client sends, `print` encodes
 * what the library answers. The wrapper has only the members that the reflection library uses.
 */
function translated(
  call: Call,
  parse: MethodDefinition<unknown, unknown>["requestDeserialize"],
  print: MethodDefinition<unknown, unknown>["responseSerialize"],
): ServerDuplexStream<unknown, unknown> {
  let isRefused = false;
  // An exception in a listener of the call would end the process. The library's listener is called in here as
  // well, because it throws on some requests too.
  const receive = (listener: (message: unknown) => void, bytes: Buffer) => {
    if (isRefused) return;
    try {
      listener(parse(bytes));
    } catch (cause) {
      isRefused = true;
      call.emit("error", toGrpcStatus(unreadable(cause)));
    }
  };
  const view = {
    on(event: string, listener: (message?: unknown) => void) {
      call.on(event, event === "data" ? (bytes: Buffer) => receive(listener, bytes) : listener);
      return view;
    },
    write: (message: unknown) => call.write(print(message)),
    end() {
      if (!isRefused) call.end();
    },
  };
  return view as unknown as ServerDuplexStream<unknown, unknown>;
}

function unreadable(cause: unknown): AirlockError {
  return new AirlockError(
    "invalid_request",
    "The reflection request cannot be read; send a ServerReflectionRequest of grpc.reflection.v1 or v1alpha.",
    { cause },
  );
}
