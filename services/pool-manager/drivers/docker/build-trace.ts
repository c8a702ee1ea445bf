import { BinaryReader } from "@bufbuild/protobuf/wire";

/** One decoded message of BuildKit's trace, in which the Docker engine reports how a build goes on. */
export type BuildTrace = {
  /** Steps of the Dockerfile whose state has changed. A step's `error` is empty unless it failed. */
  readonly steps: readonly { readonly id: string; readonly name: string; readonly error: string }[];
  /** Text that steps have printed. `step` is the id of the step. */
  readonly output: readonly { readonly step: string; readonly text: string }[];
};

// The protobuf field numbers of moby.buildkit.v1: StatusResponse{vertexes = 1, logs = 3}, Vertex{digest = 1,
// name = 3, error = 7}, VertexLog{vertex = 1, msg = 4}.
const STEPS = 1;
const LOGS = 3;
const STEP = { id: 1, name: 3, error: 7 };
const LOG = { step: 1, text: 4 };

/** Decodes `aux`, the text of a line in the engine's response to a build: a protobuf message in base64. */
export function decodeTrace(aux: string): BuildTrace {
  const parts = fieldsOf(Buffer.from(aux, "base64"));
  const decode = (number: number) => (parts.get(number) ?? []).map(fieldsOf);
  const text = (fields: Fields, number: number) => fields.get(number)?.[0]?.toString("utf8") ?? "";
  return {
    steps: decode(STEPS).map((fields) => ({
      id: text(fields, STEP.id),
      name: text(fields, STEP.name),
      error: text(fields, STEP.error),
    })),
    output: decode(LOGS).map((fields) => ({ step: text(fields, LOG.step), text: text(fields, LOG.text) })),
  };
}

type Fields = ReadonlyMap<number, readonly Buffer[]>;

/**
 * The fields of a protobuf message that contain bytes, texts or messages, by field number. Other fields, such
 * as numbers, are left out.
 */
function fieldsOf(message: Buffer): Fields {
  const reader = new BinaryReader(message);
  const fields = new Map<number, Buffer[]>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== 2) {
      reader.skip(wireType, number);
      continue;
    }
    const values = fields.get(number) ?? [];
    values.push(Buffer.from(reader.bytes()));
    fields.set(number, values);
  }
  return fields;
}
