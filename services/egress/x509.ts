// reflect-metadata must be loaded first, because tsyringe, which x509 uses, needs it.
import "reflect-metadata";

export * from "@peculiar/x509";
