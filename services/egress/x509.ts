// tsyringe, below x509, wants it first.
import "reflect-metadata";

export * from "@peculiar/x509";
