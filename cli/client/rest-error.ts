/** Why a call to the service failed, as one sentence for the person at the terminal. */
export class RestError extends Error {
  /** The HTTP status, if the service answered at all. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.name = "RestError";
    this.status = status;
  }
}
