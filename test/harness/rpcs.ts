import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";

export type Rpc = { readonly path: string };

const descriptors = loadFileDescriptorSetFromBuffer(
  readFileSync(join(import.meta.dirname, "..", "..", "proto", "airlock.binpb")),
);

/** Every RPC of every service in the .proto files. */
export const RPCS: readonly Rpc[] = Object.values(descriptors)
  .filter((definition) => !("format" in definition))
  .flatMap((service) => Object.values(service as ServiceDefinition));
