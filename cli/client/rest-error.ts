/** The failure of a call to the service. The message is one sentence for the person at the terminal. */
export class RestError extends Error {
  /** The HTTP status; undefined when the service did not answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.name = "RestError";
    this.status = status;
  }
}
